import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { asEarlierReleaseLeft } from '../../hack/testbed/earlier-release.ts';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import type { ClusterOperation } from '../../operator/api/cluster-operation.ts';
import { budgets } from '../budgets.ts';
import { createOperation } from '../cluster-operation.ts';
import { scenario, type World } from '../scenario.ts';

/** Holds 17 and 18: for a cluster of either it is another image. */
const bothVersions = 'mainstay.dev/postgres-upgrade:18';

scenario(
  'a minor upgrade by another image; a wrong one stops at one Pod',
  // Of MySQL there is one image.
  { operator: 'needed', runs: 'soak', engines: ['postgres'] },
  async (world) => {
    const { orders, writeBeside } = world;
    const usual = (await orders.pods())[0]?.image;
    assert.ok(usual);
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    await client.expectTrouble();
    await orders.change({ image: bothVersions });
    const order = await replaced(world, bothVersions);
    assert.equal(order.at(-1), primary.instance, `replicas first, then the primary: ${order.join(', ')}`);
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.handOverMs);

    const second = await orders.primary();
    const wrong = 'mainstay.dev/postgres:no-such';
    await orders.change({ image: wrong });
    await until(
      'the wrong image in one Pod',
      async () => ((await withImage(world, wrong)).length > 0 ? yes(undefined) : notYet('in none')),
      { within: budgets.redundantMs },
    );
    await delay(seconds(15), undefined, { signal: world.signal });
    assert.equal((await withImage(world, wrong)).length, 1, 'the others are left alone');
    assert.equal((await orders.primary()).podUid, second.podUid);

    await orders.change({ image: null });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await replaced(world, usual);
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.handOverMs);
  },
);

scenario(
  'PostgreSQL 17: a failover, then the upgrade to 18',
  { orders: 'none', operator: 'needed', runs: 'soak', engines: ['postgres'] },
  async (world) => {
    const { orders, writeBeside } = world;
    await orders.apply({ version: '17', image: bothVersions });
    await orders.fullyRedundant({ within: budgets.readyMs });
    const first = await orders.primary();
    assert.match(await orders.sql(first.instance, 'SHOW server_version'), /^17\./);
    const client = await writeBeside(first);
    await client.expectTrouble();
    await orders.shell(first.instance, 'kill -9 $(head -1 /var/lib/mainstay/pgdata/postmaster.pid)');
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);

    const second = await orders.primary();
    await orders.shell(second.instance, asEarlierReleaseLeft);
    await operate(world, 'to-18', { type: 'Upgrade', upgrade: { to: '18' } });
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    assert.equal((await orders.primary()).podUid, second.podUid, 'nobody has been elected');
    for (const { name } of await orders.pods()) assert.match(await orders.sql(name, 'SHOW server_version'), /^18\./);
    assert.equal((await orders.resource())?.status?.version, '18');
    await client.outageIsAtMost(budgets.upgradeMs);

    await orders.change({ version: '18', image: null });
    await replaced(world, 'mainstay.dev/postgres:18');
    await orders.fullyRedundant({ within: budgets.redundantMs });
  },
);

const withImage = async ({ orders }: World, image: string): Promise<readonly string[]> =>
  (await orders.pods()).filter((pod) => pod.image === image).map(({ name }) => name);

/** Resolves with the instances in the order in which they have got the image. */
async function replaced(world: World, image: string): Promise<readonly string[]> {
  const order: string[] = [];
  const instances = (await world.orders.resource())?.spec.instances;
  return until(
    `every Pod with ${image}`,
    async () => {
      const have = await withImage(world, image);
      order.push(...have.filter((name) => !order.includes(name)));
      return have.length === instances ? yes(order) : notYet(order.join(', '));
    },
    { within: 3 * budgets.redundantMs, signal: world.signal },
  );
}

/** Resolves when it is complete. */
async function operate({ access, api, orders, signal }: World, name: string, spec: object): Promise<void> {
  await createOperation({ access, orders }, name, spec);
  const failure = await until(
    `operation ${name}`,
    async () => {
      const path = `/apis/mainstay.dev/v1alpha1/namespaces/${orders.namespace}/clusteroperations/${name}`;
      const conditions = (await api.get<ClusterOperation>(path))?.status.conditions ?? [];
      const end = conditions.find(({ type, status }) => type !== 'Reconciling' && status === 'True');
      if (end) return yes(end.type === 'Complete' ? undefined : end.message);
      return notYet(conditions.find(({ type }) => type === 'Reconciling')?.message ?? 'nothing yet');
    },
    { within: 3 * budgets.upgradeMs, signal },
  );
  assert.equal(failure, undefined);
}
