import { setTimeout as delay } from 'node:timers/promises';
import { databaseProcesses } from '../../hack/testbed/pod-processes.ts';
import { seconds } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'whoever leads crashes every 20 s',
  { localNodes: true, runs: 'soak' },
  async ({ orders, writeBeside, faults, signal }) => {
    const client = await writeBeside(await orders.primary());
    await client.expectTrouble();
    for (let crash = 0; crash < 4; crash += 1) {
      const { podUid } = await orders.primary();
      faults.kill((await databaseProcesses(podUid)).slice(0, 1));
      await client.acknowledgedAgain({ within: budgets.outageMs });
      await delay(seconds(20), undefined, { signal });
    }
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);
  },
);
