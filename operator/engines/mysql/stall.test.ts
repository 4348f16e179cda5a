import { expect, test } from '@jest/globals';
import { systemClock } from '../../platform/clock.ts';
import { stallWatch } from './stall.ts';
import type { SemiSync } from './sync-set.ts';

function watch(...looks: readonly (readonly [at: number, seen: Partial<SemiSync>])[]): readonly boolean[] {
  let now = 0;
  const look = stallWatch({ ...systemClock, now: () => now });
  return looks.map(([at, seen]) => {
    now = at;
    return look({ on: true, clients: 1, waiting: 1, acknowledged: 5, ...seen }, 1);
  });
}

test('commits that wait while enough are connected get another write, once a second', () => {
  expect(watch([0, {}], [900, {}], [1000, {}], [1500, {}], [2000, {}])).toEqual([false, false, true, false, true]);
});

test.each([
  ['nobody waits', { waiting: 0 }],
  ['too few are connected', { clients: 0 }],
])('not while %s', (_, seen) => {
  expect(watch([0, seen], [5000, seen])).toEqual([false, false]);
});

test('a database that gets on is not stuck, however long its queue', () => {
  expect(watch([0, {}], [900, { acknowledged: 6 }], [1800, { acknowledged: 7 }])).toEqual([false, false, false]);
});
