import assert from 'node:assert/strict';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario('a switchover is asked for', { localNodes: true }, async ({ orders, writeBeside }) => {
  const primary = await orders.primary();
  const candidate = (await orders.pods()).find((pod) => pod.name !== primary.instance);
  assert.ok(candidate);
  const client = await writeBeside(primary);
  await client.expectTrouble();
  await orders.requestSwitchover(primary.instance, candidate.name);
  const successor = await orders.primaryOtherThan(primary, { within: budgets.handOverMs });
  assert.equal(successor.instance, candidate.name);
  await client.acknowledgedAgain({ within: budgets.handOverMs });
  await orders.fullyRedundant({ within: budgets.redundantMs });
  await client.outageIsAtMost(budgets.handOverMs);
});
