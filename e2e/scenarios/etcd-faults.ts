import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { etcdOf, isAlive, databaseProcesses } from '../../hack/testbed/pod-processes.ts';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario, type World } from '../scenario.ts';

scenario('etcd’s leader is killed', { localNodes: true, runs: 'soak' }, async ({ orders, writeBeside, faults }) => {
  const primary = await orders.primary();
  const client = await writeBeside(primary);
  const leader = await (await faults.etcd()).leader();
  await client.expectTrouble();
  faults.kill([await etcdOf(leader.podUid)]);
  await client.acknowledgedAgain({ within: budgets.outageMs });
  await orders.fullyRedundant({ within: budgets.redundantMs });
  assert.deepEqual(await orders.primary(), primary, 'nobody is replaced for it');
  await client.outageIsAtMost(budgets.undisturbedMs);
});

for (const [duration, runs] of [
  [3, {}],
  [15, { runs: 'soak' }],
  [60, { runs: 'soak' }],
] as const) {
  scenario(`all of etcd hangs for ${duration} s`, { localNodes: true, ...runs }, (world) =>
    outage(world, seconds(duration)),
  );
}

scenario('all of etcd hangs for one to five seconds', { localNodes: true, runs: 'soak' }, (world) =>
  outage(world, world.random.between(seconds(1), seconds(5))),
);

async function outage({ orders, writeBeside, faults, signal }: World, milliseconds: number): Promise<void> {
  const primary = await orders.primary();
  const client = await writeBeside(primary);
  const [server] = await databaseProcesses(primary.podUid);
  assert.ok(server);
  await client.expectTrouble();
  const goOn = faults.stop(await faults.allOfEtcd());
  await delay(milliseconds, undefined, { signal });
  goOn();
  await until(
    'replicas that stream',
    async () => {
      const receiving = (await orders.sql(primary.instance, orders.engine.sql.receiving)).trim();
      return receiving === '2' ? yes(undefined) : notYet(`${receiving} stream`);
    },
    { within: budgets.streamingMs, signal },
  );
  assert.ok(isAlive(server), 'the same database serves on');
  await client.acknowledgedAgain({ within: budgets.outageMs });
  await orders.fullyRedundant({ within: budgets.redundantMs });
  await client.outageIsAtMost(budgets.undisturbedMs);
}

scenario(
  'etcd is slow: each member hangs for half a second again and again',
  { localNodes: true, runs: 'soak' },
  async ({ orders, writeBeside, faults, random, signal }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    const members = await faults.allOfEtcd();
    await client.expectTrouble();
    const until = performance.now() + seconds(20);
    await Promise.all(
      members.map(async (member) => {
        while (performance.now() < until) {
          const goOn = faults.stop([member]);
          await delay(500, undefined, { signal });
          goOn();
          await delay(random.between(100, 300), undefined, { signal });
        }
      }),
    );
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);
  },
);

scenario(
  'the primary’s node loses power and etcd’s leader with it',
  { localNodes: true, runs: 'soak' },
  async ({ orders, writeBeside, faults, nodes }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    const etcd = await faults.etcd();
    const beside = etcd.members.find(({ node }) => node === primary.node);
    assert.ok(beside, 'a member of etcd on each node');
    await etcd.giveLeadershipTo(beside);
    await client.expectTrouble();
    await nodes.powerOff(primary.node);
    await client.acknowledgedAgain({ within: budgets.withEtcdLeaderMs });
    const successor = await orders.primaryOtherThan(primary, { within: budgets.outageMs });
    assert.notEqual(successor.instance, primary.instance);
    await nodes.powerOn(primary.node);
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.withEtcdLeaderMs);
  },
);
