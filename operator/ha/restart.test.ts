import { expect, test } from '@jest/globals';
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
const asked: ViewParts = { restarts: ['b'] };
const b = (parts: ViewParts, over: Partial<HaState>): HaState => of('b', parts, { ...heard, ...over });

test('a replica that follows stops, answers, and starts again', () => {
  expect(first(b(asked, { database: following }))).toBe('stop');
  expect(first(b(asked, { database: stopped }))).toBe('answer-restart');
  expect(written(b(asked, { database: stopped }), 'answer')).toMatchObject({ id: 'restart-b', outcome: 'done' });
  expect(first(b({}, { database: stopped }))).toBe('start');
});

test('nobody else is restarted by it', () => {
  expect(first(b({ restarts: ['c'] }, { database: following }))).toBe('wait: following a');
});

test('too late, it is refused', () => {
  const late = b(asked, { database: following, wall: '2026-01-01T00:02:00Z' });
  expect(first(late)).toBe('answer-restart');
  expect(written(late, 'answer')).toMatchObject({ outcome: 'refused' });
});

test('while etcd is silent a replica is not stopped, and one that is stopped starts', () => {
  const silent = { dcsHeardAt: time.now - 5000 };
  expect(first(b(asked, { database: following, ...silent }))).toBe('wait: following a');
  expect(first(b(asked, { database: stopped, ...silent }))).toBe('start');
});

test('an election comes first', () => {
  expect(first(b({ ...asked, leader: undefined }, { database: following }))).toBe('seal');
});

test('a primary stops, and releases its epoch to claim the next one itself', () => {
  const parts: ViewParts = { restarts: ['a'] };
  const serving = { database: primary(), proven: { epoch: 1, until: time.now + 4000 }, ...heard };
  expect(first(of('a', parts, serving))).toBe('stop');
  const ended = of('a', parts, { ...heard, database: { ...stopped, recovery: 300 } });
  expect(written(ended, 'release')).toEqual({
    epoch: 1,
    instance: 'a',
    reason: 'Restart',
    candidate: 'a',
    restart: 300,
  });
  expect(written(ended, 'answer')).toMatchObject({ id: 'restart-a', outcome: 'done' });
});

test('the others leave the claim to it until it should be back', () => {
  const parts: ViewParts = {
    leader: undefined,
    release: { epoch: 1, instance: 'a', reason: 'Restart', candidate: 'a', restart: 300 },
    promises: { b: [2, at(1, '0/100')], c: [2, at(1, '0/100')] },
    members: [member('b'), member('c')],
  };
  const waiting = { database: sealedAt('0/100'), vow: 2 };
  const since = (milliseconds: number) => ({ quorumSince: { epoch: 1, at: time.now - milliseconds } });
  expect(first(of('b', parts, { ...waiting, ...since(1100) }))).toMatch(/leaving the claim to a/);
  expect(first(of('b', parts, { ...waiting, ...since(1400) }))).toBe('claim');
});
