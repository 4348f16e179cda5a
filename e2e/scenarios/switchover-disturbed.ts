import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { agentOf, databaseProcesses, processesOf } from '../../hack/testbed/pod-processes.ts';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'a switchover with a logical walsender that is stuck',
  { localNodes: true, runs: 'soak', orders: 'none', operator: 'needed', engines: ['postgres'] },
  async ({ orders, writeBeside, faults, signal }) => {
    await orders.apply({ postgresql: { parameters: { wal_level: 'logical' } } });
    await orders.ready({ within: budgets.readyMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await orders.allCount({ within: budgets.redundantMs });
    const primary = await orders.primary();
    const [candidate] = await orders.replicas();
    assert.ok(candidate);
    const client = await writeBeside(primary);

    await orders.sql(primary.instance, "SELECT pg_create_logical_replication_slot('stuck', 'test_decoding')");
    const subscriber = orders
      .shell(primary.instance, 'pg_recvlogical -h /run/mainstay -U postgres -d postgres -S stuck --start -f /dev/null')
      .catch(() => undefined);
    const receiver = await until(
      'the subscriber',
      async () => {
        const found = (await processesOf(primary.podUid)).find(({ command }) => /^pg_recvlogical /.test(command));
        return found === undefined ? notYet('none') : yes(found);
      },
      { within: seconds(10), signal },
    );
    faults.stop([receiver]);
    // More than its socket holds, so that the walsender waits for it.
    await orders.sql(
      primary.instance,
      "CREATE TABLE bulk AS SELECT n, repeat('x', 200) AS filling FROM generate_series(1, 100000) n",
    );

    await client.expectTrouble();
    await orders.requestSwitchover(primary.instance, candidate.name);
    await orders.primaryOtherThan(primary, { within: budgets.outageMs });
    await client.acknowledgedAgain({ within: budgets.outageMs });
    faults.kill([receiver]);
    await subscriber;
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);
    for (const { name } of await orders.pods())
      await orders.sql(
        name,
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'stuck' AND NOT active",
      );
    await orders.sql((await orders.primary()).instance, 'DROP TABLE bulk');
  },
);

scenario(
  'a switchover with an archiver that is stuck',
  { localNodes: true, runs: 'soak', operator: 'needed', engines: ['postgres'] },
  async ({ orders, writeBeside, access, signal }) => {
    // Archiving is not to be had from the spec yet; this file wins over what the agent writes.
    const auto = '/var/lib/mainstay/pgdata/postgresql.auto.conf';
    const everywhere = async (lines: string): Promise<void> => {
      for (const { name } of await orders.pods()) await orders.shell(name, `printf '%s\\n' ${lines} > ${auto}`);
      const restarted = await access.mainstay(['restart', 'orders', '-n', orders.namespace], { timeoutMs: 300_000 });
      assert.equal(restarted.code, 0, restarted.stderr);
      await orders.fullyRedundant({ within: budgets.redundantMs });
      await orders.allCount({ within: budgets.redundantMs });
    };
    await everywhere(`"archive_mode = on" "archive_command = 'sleep 3600'"`);
    const primary = await orders.primary();
    const [candidate] = await orders.replicas();
    assert.ok(candidate);
    const client = await writeBeside(primary);
    await orders.sql(primary.instance, 'SELECT pg_switch_wal()');
    await until(
      'the stuck archiver',
      async () => {
        const stuck = (await processesOf(primary.podUid)).some(({ command }) => command === 'sleep 3600');
        return stuck ? yes(undefined) : notYet('it has nothing to do');
      },
      { within: seconds(30), signal },
    );
    await client.expectTrouble();
    await orders.requestSwitchover(primary.instance, candidate.name);
    const successor = await orders.primaryOtherThan(primary, { within: budgets.outageMs });
    assert.equal(successor.instance, candidate.name);
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);
    await everywhere('""');
  },
);

/** Whichever step it has reached by then: other seeds, other steps. */
const dying = {
  'the old primary’s agent': async (old: string) => [await agentOf(old)],
  'the candidate’s agent': async (_: string, candidate: string) => [await agentOf(candidate)],
  'the candidate’s database': async (_: string, candidate: string) => (await databaseProcesses(candidate)).slice(0, 1),
} as const;

for (const [who, victims] of Object.entries(dying)) {
  scenario(
    `${who} dies amid a switchover`,
    { localNodes: true, runs: 'soak' },
    async ({ orders, writeBeside, faults, random, signal }) => {
      const primary = await orders.primary();
      const [candidate] = await orders.replicas();
      assert.ok(candidate);
      const client = await writeBeside(primary);
      const victim = await victims(primary.podUid, candidate.uid);
      await client.expectTrouble();
      await orders.requestSwitchover(primary.instance, candidate.name);
      await delay(random.between(0, 600), undefined, { signal });
      faults.kill(victim);
      await client.acknowledgedAgain({ within: budgets.outageMs });
      await orders.fullyRedundant({ within: budgets.redundantMs });
      await client.outageIsAtMost(budgets.outageMs);
    },
  );
}

scenario(
  'the primary dies while the sync set changes',
  { localNodes: true, runs: 'soak' },
  async ({ orders, writeBeside, faults, random, signal }) => {
    const primary = await orders.primary();
    const [replica] = await orders.replicas();
    assert.ok(replica);
    const client = await writeBeside(primary);
    const agent = await agentOf(primary.podUid);
    await client.expectTrouble();
    // It leaves the set, and comes back as soon as it streams again.
    faults.kill(await databaseProcesses(replica.uid));
    await delay(random.between(0, 3_000), undefined, { signal });
    faults.kill([agent]);
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);
  },
);
