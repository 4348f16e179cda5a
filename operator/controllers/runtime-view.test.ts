import { afterEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { createLink, memoryDcs } from '../dcs/memory.ts';
import { systemClock } from '../platform/clock.ts';
import { member } from './database-cluster/modelled-world.ts';
import { createRuntimeView, placeOf } from './runtime-view.ts';

const uid = '5a0f3c0e-6f9d-4b7e-9a53-0d9c3f1f2b11';
const orders = { namespace: 'shop', name: 'orders', uid };
const prefix = `/mainstay/shop/orders-${uid}/`;
const deadline = { milliseconds: 1_000 };
const stop: AbortController[] = [];
afterEach(() => stop.splice(0).forEach((controller) => controller.abort()));

async function eventually(holds: () => boolean): Promise<void> {
  for (let round = 0; round < 400 && !holds(); round += 1) await systemClock.sleep(10);
  expect(holds()).toBe(true);
}

function start() {
  const link = createLink();
  const dcs = memoryDcs({ clock: systemClock, link });
  const changes: [string, boolean][] = [];
  let connections = 0;
  const view = createRuntimeView({
    dcs,
    clock: systemClock,
    random: () => 0,
    log: pino({ level: 'silent' }),
    explain: (entries, at) => {
      if (entries.has('odd')) throw new Error('?');
      return { summary: `${entries.size} keys in ${at.clusterId}`, ifLost: new Map() };
    },
    onChange: ({ namespace, name }, soon) => changes.push([`${namespace}/${name}`, soon]),
    onConnection: () => {
      connections += 1;
    },
  });
  const controller = new AbortController();
  stop.push(controller);
  const put = (key: string, value: string) => dcs.txn([], [{ put: prefix + key, value }], deadline);
  void view.start(controller.signal);
  return { view, dcs, link, put, changes, connections: () => connections, signal: controller.signal };
}

test('follows what agents write; positions alone can wait', async () => {
  const { view, put, changes, signal } = start();
  await view.whenSynced(signal);
  expect(view.of(orders)?.empty).toBe(true);
  await put('epoch', '3');
  await put('members/orders-1', JSON.stringify(member('orders-1', true, 3)));
  const moved = member('orders-1', true, 3, { position: { epoch: 3, lsn: '0/6000000' } });
  await put('members/orders-1', JSON.stringify(moved));
  await eventually(() => changes.length === 3);
  expect(changes).toEqual([
    ['shop/orders', true],
    ['shop/orders', true],
    ['shop/orders', false],
  ]);
  expect(view.of(orders)).toMatchObject({ epoch: 3, empty: false });
  expect(view.of(orders)?.members.get('orders-1')?.position).toMatchObject({ lsn: '0/6000000' });
});

test('the same words again are no news', async () => {
  const { view, put, changes, signal } = start();
  await view.whenSynced(signal);
  const same = JSON.stringify(member('orders-1', true, 3));
  await put('members/orders-1', same);
  await put('members/orders-1', same);
  await put('epoch', '4');
  await eventually(() => view.of(orders)?.epoch === 4);
  expect(changes).toHaveLength(2);
});

test('says for how long it has heard nothing, and catches up by reading again', async () => {
  const { view, link, put, connections, signal } = start();
  await view.whenSynced(signal);
  expect(view.silentForMs()).toBe(0);
  link.set('refused');
  await eventually(() => view.silentForMs() > 0);
  link.set('up');
  await put('epoch', '9');
  await eventually(() => view.silentForMs() === 0);
  expect(view.of(orders)?.epoch).toBe(9);
  expect(connections()).toBe(3);
});

test('a value that can’t be understood is an error, not an absence; a member that can’t is silent', async () => {
  const { view, put, signal } = start();
  await view.whenSynced(signal);
  await put('members/orders-1', '{"state":"something new"}');
  await eventually(() => view.of(orders)?.empty === false);
  expect(view.of(orders)?.members.size).toBe(0);
  await put('sync', '{"epoch":"?"}');
  await expect(view.readNow(orders, signal)).rejects.toThrow();
});

test('asks the protocol for an explanation, and does without one that it can’t give', async () => {
  const { view, put, signal } = start();
  await view.whenSynced(signal);
  await put('epoch', '3');
  await eventually(() => view.of(orders)?.epoch === 3);
  const { summary = '' } = view.of(orders)?.explanation ?? {};
  expect(summary).toMatch(/^1 keys in .+/);
  expect((await view.readNow(orders, signal)).explanation?.summary).toBe(summary);
  await put('odd', '1');
  await eventually(() => view.of(orders)?.explanation === undefined);
  expect(view.of(orders)?.epoch).toBe(3);
});

test.each([
  [`${prefix}members/orders-1`, ['shop', 'orders', 'members/orders-1']],
  [`/mainstay/shop/orders-eu-2-${uid}/epoch`, ['shop', 'orders-eu-2', 'epoch']],
  ['/mainstay/shop/orders/epoch', undefined],
  ['/other/shop/orders', undefined],
])('%s', (key, expected) => {
  const place = placeOf(key);
  expect(place && [place.cluster.namespace, place.cluster.name, place.key]).toEqual(expected);
});
