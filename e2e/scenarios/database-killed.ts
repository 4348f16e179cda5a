import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario('the primary’s database is killed', { sample: true }, async ({ orders, writeBeside }) => {
  const primary = await orders.primary();
  const client = await writeBeside(primary);
  await client.expectTrouble();
  await orders.shell(primary.instance, orders.engine.shell.kill);
  await client.acknowledgedAgain({ within: budgets.outageMs });
  await orders.fullyRedundant({ within: budgets.redundantMs });
  await client.outageIsAtMost(budgets.outageMs);
});
