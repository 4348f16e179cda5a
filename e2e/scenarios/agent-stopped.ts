import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { agentOf, endOfDatabase } from '../../hack/testbed/pod-processes.ts';
import { seconds } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario('the primary’s agent is stopped, not killed', { localNodes: true }, async ({ orders, writeBeside, nodes }) => {
  const primary = await orders.primary();
  const client = await writeBeside(primary);
  const isFenced = await endOfDatabase(primary.podUid);
  await client.expectTrouble();
  const letGoOn = await nodes.stopAgent(primary.podUid);
  try {
    await isFenced({ within: budgets.fencedMs });
    const successor = await orders.primaryOtherThan(primary, { within: budgets.outageMs });
    assert.notEqual(successor.instance, primary.instance);
    await client.acknowledgedAgain({ within: budgets.outageMs });
  } finally {
    letGoOn();
  }
  await orders.fullyRedundant({ within: budgets.redundantMs });
  await client.outageIsAtMost(budgets.outageMs);
});

for (const duration of [1, 3, 10, 60]) {
  scenario(
    `the primary’s agent is stopped for ${duration} s and goes on`,
    { localNodes: true, runs: 'soak' },
    async ({ orders, writeBeside, clientOf, faults, signal }) => {
      const primary = await orders.primary();
      const client = await writeBeside(primary);
      await clientOf(primary);
      await client.expectTrouble();
      const goOn = faults.stop([await agentOf(primary.podUid)]);
      await delay(seconds(duration), undefined, { signal });
      goOn();
      await client.acknowledgedAgain({ within: budgets.outageMs });
      await orders.fullyRedundant({ within: budgets.redundantMs });
      await client.outageIsAtMost(budgets.outageMs);
    },
  );
}
