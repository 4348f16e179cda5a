import assert from 'node:assert/strict';
import { databaseProcesses, isAlive } from '../../hack/testbed/pod-processes.ts';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'a backend survives its postmaster and commits afterwards',
  { localNodes: true, runs: 'soak', engines: ['postgres'] },
  async ({ orders, writeBeside, faults }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    await orders.sql(primary.instance, 'CREATE TABLE IF NOT EXISTS orphans (id int)');
    // It waits for nothing, so it doesn't notice that the postmaster is gone; one transaction, committed at its end.
    const busy = `DO $$ DECLARE t timestamptz := clock_timestamp(); BEGIN
      WHILE clock_timestamp() < t + interval '5 s' LOOP END LOOP; END $$; INSERT INTO orphans VALUES (1)`;
    const orphan = orders.sql(primary.instance, busy).then(
      () => 'committed',
      () => 'failed',
    );
    const isBusy = async (): Promise<boolean> =>
      (await orders.sql(primary.instance, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'DO %'")) !== '0\n';
    await until('the busy backend', async () => ((await isBusy()) ? yes(undefined) : notYet('none')), {
      within: seconds(5),
    });

    const before = await databaseProcesses(primary.podUid);
    await client.expectTrouble();
    faults.kill(before.slice(0, 1));
    await client.acknowledgedAgain({ within: budgets.outageMs });
    assert.deepEqual(before.filter(isAlive), [], 'nothing of the old postgres runs when somebody leads again');
    assert.equal(await orphan, 'failed', 'it was promised nothing');
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);
    await orders.sql((await orders.primary()).instance, 'DROP TABLE orphans');
  },
);
