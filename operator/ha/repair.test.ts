import { expect, test } from '@jest/globals';
import type { Corruption, Member } from '../api/cluster-state.ts';
import { memberState } from './member-state.ts';
import type { HaState } from './state.ts';
import { first, member, of, replica, voter, type ViewParts } from './testing.ts';

const corruption: Corruption = {
  databases: ['shop'],
  since: '2026-01-01T00:00:00Z',
  detail: 'one page',
  copyHelps: true,
};
const primary = (over: Partial<Member> = {}): Member => member('a', { role: 'primary', state: 'running', ...over });
const damaged = (name: string, over: Partial<Member> = {}): Member => member(name, { corruption, ...over });
const following = replica({ following: { epoch: 1, instance: 'a', address: member('a').address } });

const stateOf = (members: readonly Member[], parts: ViewParts = {}, over: Partial<HaState> = {}): HaState =>
  of('b', { members, ...parts }, { database: following, ...over });

test.each<[string, readonly Member[], string]>([
  ['another streams', [primary(), damaged('b'), member('c')], 'diverged'],
  ['no other streams', [primary(), damaged('b'), member('c', { state: 'starting' })], 'streaming'],
  ['the other is damaged too', [primary(), damaged('b'), damaged('c')], 'streaming'],
  ['the other fails', [primary(), damaged('b'), member('c', { failing: 'DiskFull' })], 'streaming'],
  ['the primary is damaged', [primary({ corruption }), damaged('b'), member('c')], 'streaming'],
  ['the primary fails', [primary({ failing: 'DiskStalled' }), damaged('b'), member('c')], 'streaming'],
  [
    'a copy would not help',
    [primary(), member('b', { corruption: { ...corruption, copyHelps: undefined } }), member('c')],
    'streaming',
  ],
  ['it was said of its former data', [primary(), damaged('b', { incarnation: 'before' }), member('c')], 'streaming'],
])('a damaged replica while %s', (_while, members, state) => {
  expect(memberState(stateOf(members), true)).toBe(state);
});

test('leaves the sync set, then tells, then takes a copy', () => {
  const members = [primary(), damaged('b'), member('c')];
  expect(first(stateOf(members))).toBe('wait: waiting to leave the sync set before the data is replaced');
  const left: ViewParts = { sync: { members: [voter('c')] } };
  expect(first(stateOf(members, left))).toBe('retire');
  const retired = { retired: { epoch: 1, settled: true, at: 9000, since: 0 } };
  const told = [primary(), damaged('b', { state: 'diverged' }), member('c')];
  expect(first(stateOf(told, left, retired))).toBe('clone');
  // Its lease had ended, and the primary may have seen it stream since.
  expect(first(stateOf(members, left, retired))).toBe('retire');
});

test('what it has told it does, whoever falls behind meanwhile; but never copies what is damaged', () => {
  const left: ViewParts = { sync: { members: [] } };
  const retired = { retired: { epoch: 1, settled: true, at: 9000, since: 0 } };
  const told = (a: Member): HaState => stateOf([a, damaged('b', { state: 'diverged' })], left, retired);
  expect(first(told(primary()))).toBe('clone');
  expect(first(told(primary({ corruption })))).toBe(
    'wait: damaged, and waiting for a primary that is sound to copy from',
  );
});

test('a damaged primary serves on', () => {
  const members = [primary({ corruption }), member('b'), member('c')];
  expect(memberState(of('a', { members }, {}), false)).not.toBe('diverged');
});
