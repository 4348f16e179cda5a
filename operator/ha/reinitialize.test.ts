import { expect, test } from '@jest/globals';
import { memberState } from './member-state.ts';
import type { HaState } from './state.ts';
import { step } from './step.ts';
import { first, member, of, primary, replica, time, view, voter, written, type ViewParts } from './testing.ts';

const heard = { dcsHeardAt: time.now - 400 };
const following = replica({ following: { epoch: 1, instance: 'a', address: member('a').address } });
const asked: ViewParts = {
  reinitialized: ['b'],
  members: [member('a', { role: 'primary' }), member('b'), member('c')],
};
const b = (parts: ViewParts, over: Partial<HaState> = {}): HaState =>
  of('b', parts, { ...heard, database: following, ...over });
const told: ViewParts = {
  ...asked,
  sync: { members: [voter('c')] },
  members: [member('a', { role: 'primary' }), member('b', { state: 'diverged' }), member('c')],
};
const without: ViewParts = { ...asked, sync: { members: [voter('c')] } };

test('as long as it counts, it only tells that its data will go', () => {
  expect(first(b(asked))).toBe('wait: waiting to leave the sync set before the data is replaced');
  expect(memberState(b(asked), true)).toBe('diverged');
});

test('out of the sync set it says so, and once more when no older word of it can arrive, then clones', () => {
  expect(first(b(without))).toBe('retire');
  const retired = { epoch: 1, settled: true, at: 0, since: 0 };
  expect(first(b(told, { now: 7000, retired }))).toBe('wait: waiting until nothing older can be said of it in etcd');
  expect(first(b(told, { retired }))).toBe('retire');
  expect(first(b(told, { retired: { ...retired, at: 9000 } }))).toBe('clone');
});

test('what etcd has not listed meanwhile is told from the beginning', () => {
  const before = { epoch: 1, settled: true, at: 9000, since: 0 };
  const { retired } = step(b(without, { retired: before }), { type: 'tick' }, time).state;
  expect(retired).toEqual({ epoch: 1, settled: false, at: time.now, since: time.now });
  const again = step(b(told, { retired: { ...before, at: 0 } }), { type: 'tick' }, time).state;
  expect(again.retired).toEqual({ epoch: 1, settled: false, at: time.now, since: 0 });
});

test('with new data it answers, once it follows', () => {
  const cloned = b(without);
  const state = { ...cloned, self: { ...cloned.self, incarnation: 'v2' } };
  expect(first(state)).toBe('answer-reinitialize');
  expect(written(state, 'answer')).toMatchObject({ id: 'reinitialize-b', outcome: 'done' });
  expect(memberState(state, true)).toBe('streaming');
});

test('too late, it is refused; what is under way goes on', () => {
  const wall = '2026-01-01T00:02:00Z';
  expect(written(b(without, { wall }), 'answer')).toMatchObject({ outcome: 'refused' });
  expect(first(b(told, { wall, retired: { epoch: 1, settled: true, at: 9000, since: 0 } }))).toBe('clone');
});

test('a primary refuses, and nobody else is meant', () => {
  const serving = { ...heard, database: primary(), proven: { epoch: 1, until: time.now + 4000 } };
  const state = of('a', { reinitialized: ['a'] }, serving);
  expect(first(state)).toBe('answer-reinitialize');
  expect(written(state, 'answer')).toMatchObject({
    outcome: 'refused',
    reason: 'a is primary: ask for a switchover first',
  });
  expect(first(of('c', asked, { ...heard, database: following }))).toBe('wait: following a');
});

test('without a primary its data may be what is left: it takes part in the election', () => {
  const parts = { ...asked, leader: undefined };
  expect(first(b(parts))).toBe('seal');
  expect(memberState(b(parts), true)).toBe('streaming');
  expect(view(parts).reinitializations.size).toBe(1);
});
