import assert from 'node:assert/strict';
import { databaseProcesses, signalTo } from '../../hack/testbed/pod-processes.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario('the primary’s database hangs', { localNodes: true }, async ({ orders, writeBeside }) => {
  const primary = await orders.primary();
  const client = await writeBeside(primary);
  const stopped = await databaseProcesses(primary.podUid);
  await client.expectTrouble();
  signalTo(stopped, 'SIGSTOP');
  try {
    const successor = await orders.primaryOtherThan(primary, { within: budgets.hungMs });
    assert.notEqual(successor.instance, primary.instance);
    await client.acknowledgedAgain({ within: budgets.hungMs });
  } finally {
    signalTo(stopped, 'SIGCONT');
  }
  await orders.fullyRedundant({ within: budgets.redundantMs });
  await client.outageIsAtMost(budgets.hungMs);
});
