import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario('the primary’s agent is killed', { localNodes: true }, async ({ orders, writeBeside, nodes }) => {
  const primary = await orders.primary();
  const client = await writeBeside(primary);
  await client.expectTrouble();
  await nodes.killAgent(primary.podUid);
  await client.acknowledgedAgain({ within: budgets.outageMs });
  await orders.fullyRedundant({ within: budgets.redundantMs });
  await client.outageIsAtMost(budgets.outageMs);
});
