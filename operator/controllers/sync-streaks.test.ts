import { expect, test } from '@jest/globals';
import { emptyRuntime, member } from './database-cluster/modelled-world.ts';
import { syncStreaks } from './sync-streaks.ts';

const voter = (instance: string) => ({ instance, incarnation: instance });

function runtime(members: readonly string[], epoch = 3, streaming: readonly string[] = ['orders-2', 'orders-3']) {
  return {
    ...emptyRuntime,
    epoch,
    sync: { epoch, primary: voter('orders-1'), members: members.map(voter), acknowledgements: 1 },
    members: new Map(streaming.map((name) => [name, member(name, false, epoch)])),
  };
}
const failing = ({ members, ...rest }: ReturnType<typeof runtime>) => ({
  ...rest,
  members: new Map(members).set('orders-3', member('orders-3', false, 3, { failing: 'DiskFull' })),
});
const both = ['orders-2', 'orders-3'];

test.each([
  ['nothing happens', runtime(both), { 'orders-2': 1_500, 'orders-3': 1_500 }],
  ['one leaves the sync set', runtime(['orders-2']), { 'orders-2': 1_500, 'orders-3': 500 }],
  ['one does not stream', runtime(both, 3, ['orders-2']), { 'orders-2': 1_500, 'orders-3': 500 }],
  ['one’s disk fails', failing(runtime(both)), { 'orders-2': 1_500, 'orders-3': 500 }],
  ['another epoch begins', runtime(both, 4), { 'orders-2': 500, 'orders-3': 500 }],
  ['etcd is silent', undefined, { 'orders-2': 500, 'orders-3': 500 }],
])('%s', (_, between, expected) => {
  let now = 10_000;
  const streaks = syncStreaks({ now: () => now });
  expect([...streaks.see('shop/orders', runtime(both)).values()]).toEqual([0, 0]);
  now += 500;
  streaks.see('shop/orders', between);
  now += 500;
  streaks.see('shop/orders', runtime(both));
  now += 500;
  expect(Object.fromEntries(streaks.see('shop/orders', runtime(both)))).toEqual(expected);
});
