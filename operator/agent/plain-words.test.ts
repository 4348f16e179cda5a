import { expect, test } from '@jest/globals';
import type { Member } from '../api/cluster-state.ts';
import { mayAskPlainly } from './plain-words.ts';

const members = (tls: Readonly<Record<string, boolean>>): ReadonlyMap<string, Member> =>
  new Map(Object.entries(tls).map(([name, does]) => [name, (does ? { agentTls: true } : {}) as Member]));

test.each<[string, Parameters<typeof mayAskPlainly>[0], string | undefined, boolean]>([
  ['nothing is known yet', undefined, 'b', true],
  ['it has not told yet that it hears by TLS', members({ b: true }), 'b', true],
  ['it does not hear by TLS', members({ a: false, b: true }), 'b', true],
  ['a question, while one knows no better', members({ a: true, b: true, c: false }), undefined, true],
  ['a question, when all know better', members({ a: true, b: true, c: true }), undefined, false],
  ['the word of one that knows no better', members({ a: true, b: true, c: false }), 'c', true],
  ['the word of one that knows better', members({ a: true, b: true, c: false }), 'b', false],
  ['the word of one that nobody knows', members({ a: true, b: true, c: false }), 'd', false],
])('without TLS, %s', (_, known, from, heard) => {
  expect(mayAskPlainly(known, 'a', from)).toBe(heard);
});
