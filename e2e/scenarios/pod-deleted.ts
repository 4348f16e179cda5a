import assert from 'node:assert/strict';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

const ways = [
  { title: 'the primary’s Pod is deleted', options: {}, grace: [] },
  {
    title: 'the primary’s Pod is deleted without any grace',
    options: { runs: 'soak' },
    grace: ['--grace-period=0', '--force'],
  },
] as const;

for (const { title, options, grace } of ways) {
  scenario(title, { ...options, operator: 'needed' }, async ({ orders, writeBeside, access }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    await client.expectTrouble();
    await access.kubectl(
      ['delete', 'pod', '--namespace', orders.namespace, primary.instance, '--wait=true', ...grace],
      {
        timeoutMs: 120_000,
      },
    );
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);

    const replaced = (await orders.pods()).find((pod) => pod.name === primary.instance);
    assert.notEqual(replaced?.uid, primary.podUid, 'the instance has a new Pod');
  });
}
