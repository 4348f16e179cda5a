import { expect, test } from '@jest/globals';
import type { Corruption, DiskUse, Member } from '../../api/cluster-state.ts';
import type { ClusterStatus } from '../../api/database-cluster.ts';
import { eventsBetween } from './cluster-events.ts';
import { judgeDamage, judgeDisks } from './data-conditions.ts';
import { member } from './modelled-world.ts';

const disk = (usedPercent: number, over: Partial<DiskUse> = {}): DiskUse => ({
  name: 'data',
  size: 20 * 1024 ** 3,
  usedPercent,
  ...over,
});
const corruption: Corruption = {
  databases: ['shop'],
  since: '2026-01-01T00:00:00Z',
  detail: 'one page',
  copyHelps: true,
};
const members = (second: Partial<Member>, first: Partial<Member> = {}): readonly Member[] => [
  member('orders-1', true, 2, { disks: [disk(10)], ...first }),
  member('orders-2', false, 2, { disks: [disk(10)], ...second }),
];

test.each<[string, readonly Member[], string, RegExp]>([
  ['room', members({}), 'EnoughRoom', /enough room/],
  ['nobody tells', members({ disks: undefined }, { disks: undefined }), 'EnoughRoom', /enough room/],
  [
    '80 %',
    members({ disks: [disk(80)] }),
    'Filling',
    /^orders-2: 80 % of 20\.0 GiB used \(data\)\. Raise spec\.storage\.size/,
  ],
  ['the log fills', members({ disks: [disk(10), disk(95, { name: 'wal' })] }), 'AlmostFull', /95 % .* \(wal\)/],
  ['the worst counts', members({ disks: [disk(85)] }, { disks: [disk(91)] }), 'AlmostFull', /^orders-1: 91 %/],
  ['full', members({ failing: 'DiskFull' }), 'Full', /^The disk of orders-2 is full\. Raise/],
  [
    'full, the reserve lent, and primary',
    members({}, { disks: [disk(99, { reserveLent: true })], keepsClientsFromWriting: true }),
    'Full',
    /^The disk of orders-1 is full, its reserve lent\. Clients write only if they ask for it/,
  ],
  ['read-only', members({ failing: 'DiskReadOnly' }), 'ReadOnly', /orders-2 can only be read/],
])('disks: %s', (_what, told, reason, message) => {
  const judged = judgeDisks(told);
  expect(judged).toMatchObject({ reason, status: reason === 'EnoughRoom' ? 'False' : 'True' });
  expect(judged.message).toMatch(message);
});

test.each<[string, readonly Member[], string, RegExp]>([
  ['none', members({}), 'NoneFound', /No damaged data/],
  [
    'a replica',
    members({ corruption }),
    'ReplicaDamaged',
    /^orders-2 in shop, since \S+: one page\. It takes a fresh copy/,
  ],
  ['the primary', members({}, { corruption }), 'PrimaryDamaged', /^orders-1 in shop, .* switch over/],
  ['both', members({ corruption }, { corruption }), 'PrimaryDamaged', /orders-1 .* orders-2 /],
  [
    'who knows',
    members({ corruption: { ...corruption, databases: [], copyHelps: undefined } }),
    'ReplicaDamaged',
    /^orders-2, since .* not known/,
  ],
])('damage: %s', (_what, told, reason, message) => {
  const judged = judgeDamage(told, 'orders-1');
  expect(judged.reason).toBe(reason);
  expect(judged.message).toMatch(message);
});

test('each is told once, again when it changes, and when it is over', () => {
  const status = (reason: string, is: 'True' | 'False'): ClusterStatus => ({
    observedGeneration: 1,
    conditions: [
      { type: 'DiskPressure', status: is, reason, message: reason, lastTransitionTime: '2026-01-01T00:00:00Z' },
    ],
  });
  const well = status('EnoughRoom', 'False');
  const [filling, full] = [status('Filling', 'True'), status('Full', 'True')];
  const between = (before: ClusterStatus, after: ClusterStatus) => eventsBetween(before, after, 3);
  expect(between(well, filling)).toEqual([{ reason: 'DiskPressure', note: 'Filling' }]);
  expect(between(filling, filling)).toEqual([]);
  expect(between(filling, full)).toEqual([{ reason: 'DiskPressure', note: 'Full' }]);
  expect(between(full, well)).toEqual([{ reason: 'DiskPressureOver', note: 'EnoughRoom' }]);
});
