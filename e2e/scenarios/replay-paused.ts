import { postgresProcesses } from '../../hack/testbed/pod-processes.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'the primary’s postgres is killed while no replica has replayed for a while',
  { localNodes: true, runs: 'soak' },
  async ({ orders, writeBeside, faults }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    for (const { name } of await orders.replicas()) await orders.psql(name, 'SELECT pg_wal_replay_pause()');
    await orders.psql(
      primary.instance,
      "CREATE TABLE backlog AS SELECT n, repeat('x', 100) AS filling FROM generate_series(1, 300000) n",
    );
    await client.expectTrouble();
    faults.kill((await postgresProcesses(primary.podUid)).slice(0, 1));
    await client.acknowledgedAgain({ within: budgets.hungMs });
    await client.outageIsAtMost(budgets.hungMs);
    // A pause that nobody has ended would keep its replica behind for ever.
    const leader = (await orders.primary()).instance;
    for (const { name } of await orders.pods())
      if (name !== leader) await orders.psql(name, 'SELECT pg_wal_replay_resume()').catch(() => undefined);
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await orders.psql((await orders.primary()).instance, 'DROP TABLE backlog');
  },
);
