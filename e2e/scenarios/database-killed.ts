import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario('the primary’s postgres is killed', {}, async ({ orders, writeBeside, access }) => {
  const primary = await orders.primary();
  const client = await writeBeside(primary);
  await client.expectTrouble();
  await access.kubectl([
    ...['exec', '--namespace', orders.namespace, primary.instance, '--container', 'postgres', '--'],
    ...['bash', '-c', 'kill -9 $(head -1 /var/lib/mainstay/pgdata/postmaster.pid)'],
  ]);
  await client.acknowledgedAgain({ within: budgets.outageMs });
  await orders.fullyRedundant({ within: budgets.redundantMs });
  await client.outageIsAtMost(budgets.outageMs);
});
