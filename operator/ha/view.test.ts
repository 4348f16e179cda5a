import { expect, test } from '@jest/globals';
import { parseView, type ParsedValues, type RawEntry } from './view.ts';

const at = { revision: 7, clusterId: 'e1' };
const entry = (value: unknown, modRevision = 1): RawEntry => ({
  value: JSON.stringify(value),
  modRevision,
  lease: '0',
});
const history = (epoch: number): RawEntry => entry({ epoch, winner: 'a', reason: 'Bootstrap', at: '' });

test('what has not changed is not parsed again', () => {
  const known: ParsedValues = new Map();
  const first = parseView(new Map([['history/0000000001', history(1)]]), at, known);
  const second = parseView(
    new Map([
      ['history/0000000001', history(1)],
      ['history/0000000002', history(2)],
    ]),
    at,
    known,
  );
  expect(second.history.get(1)).toBe(first.history.get(1));
  expect(second.history.get(2)).toMatchObject({ epoch: 2 });
});

test('what has changed is, and its revision counts even where its text is the same', () => {
  const known: ParsedValues = new Map();
  const leader = (instance: string): RawEntry => entry({ instance, incarnation: 'v1', epoch: 1, lease: '5' });
  parseView(new Map([['leader', leader('a')]]), at, known);
  expect(parseView(new Map([['leader', leader('b')]]), at, known).leader?.value.instance).toBe('b');
  expect(parseView(new Map([['leader', { ...leader('b'), modRevision: 9 }]]), at, known).leader?.modRevision).toBe(9);
});

test('a value that decides and makes no sense stops everything; a request or a member that doesn’t is absent', () => {
  expect(() => parseView(new Map([['sync', entry({ epoch: 'x' })]]), at)).toThrow();
  expect(parseView(new Map([['requests/switchover', entry(5)]]), at).switchover).toBeUndefined();
  expect(parseView(new Map([['members/a', entry({})]]), at).members.size).toBe(0);
});
