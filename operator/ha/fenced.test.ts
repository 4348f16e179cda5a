import { expect, test } from '@jest/globals';
import { answersAsLeader } from './proof.ts';
import type { HaState } from './state.ts';
import {
  at,
  first,
  member,
  of,
  primary,
  replica,
  sealedAt,
  stopped,
  time,
  written,
  type ViewParts,
} from './testing.ts';

const heard = { dcsHeardAt: time.now - 400 };
const following = replica({ following: { epoch: 1, instance: 'a', address: member('a').address } });
const b = (parts: ViewParts, over: Partial<HaState>): HaState => of('b', parts, { ...heard, ...over });
const fencedB: ViewParts = { fenced: ['b'] };

test('a replica stops, and stays so, until the fence is gone', () => {
  expect(first(b(fencedB, { database: following }))).toBe('stop');
  expect(first(b(fencedB, { database: stopped }))).toBe('wait: fenced: test');
  expect(first(b({}, { database: stopped }))).toBe('start');
});

test('it neither starts for an election nor clones', () => {
  expect(first(b({ ...fencedB, leader: undefined }, { database: stopped }))).toBe('wait: fenced: test');
  expect(first(b({ ...fencedB, leader: undefined }, { database: sealedAt('0/100') }))).toBe('stop');
  expect(first(b(fencedB, { database: { status: 'absent' } }))).toBe('wait: fenced: test');
});

test('others, and other data under the same name, are not fenced by it', () => {
  expect(first(b({ fenced: ['c'] }, { database: following }))).toBe('wait: following a');
  const other = b(fencedB, { database: following });
  expect(first({ ...other, self: { ...other.self, incarnation: 'v2' } })).toBe('wait: following a');
});

test('a primary hands over, as if its process ended', () => {
  const parts: ViewParts = { fenced: ['a'] };
  const serving = of('a', parts, { ...heard, database: primary(), proven: { epoch: 1, until: time.now + 4000 } });
  expect(first(serving)).toBe('stop');
  const ended = of('a', parts, { ...heard, database: { ...stopped, recovery: 300 } });
  expect(written(ended, 'release')).toEqual({ epoch: 1, instance: 'a', reason: 'Switchover' });
  expect(answersAsLeader(ended)).toBe(answersAsLeader({ ...of('a', {}, ended), ending: true }));
  const after: ViewParts = { ...parts, leader: 'b', epoch: 2, promises: { b: [2, at(1, '0/100')] } };
  expect(first(of('a', after, { ...heard, database: stopped }))).toBe('wait: fenced: test');
});
