import { databaseProcesses } from '../../hack/testbed/pod-processes.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'the primary’s database is killed while no replica has replayed for a while',
  { localNodes: true, runs: 'soak' },
  async ({ orders, writeBeside, faults }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    const { sql } = orders.engine;
    for (const { name } of await orders.replicas()) await orders.sql(name, sql.pauseReplay);
    await orders.sql(primary.instance, sql.bulk('backlog', 300_000));
    await client.expectTrouble();
    faults.kill((await databaseProcesses(primary.podUid)).slice(0, 1));
    await client.acknowledgedAgain({ within: budgets.hungMs });
    await client.outageIsAtMost(budgets.hungMs);
    // A pause that nobody has ended would keep its replica behind for ever.
    const leader = (await orders.primary()).instance;
    for (const { name } of await orders.pods())
      if (name !== leader) await orders.sql(name, sql.resumeReplay).catch(() => undefined);
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await orders.sql((await orders.primary()).instance, 'DROP TABLE backlog');
  },
);
