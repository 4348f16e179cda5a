import assert from 'node:assert/strict';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'a cluster is applied and becomes ready',
  { orders: 'none', operator: 'needed', sample: true },
  async ({ orders, writeBeside }) => {
    await orders.apply();
    await orders.ready({ within: budgets.readyMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });

    const pods = await orders.pods();
    assert.deepEqual(pods.map((pod) => pod.name).toSorted(), ['orders-1', 'orders-2', 'orders-3']);
    assert.equal(new Set(pods.map((pod) => pod.node)).size, 3, 'one instance on each node');

    const primary = await orders.primary();
    const status = (await orders.resource())?.status;
    assert.equal(status?.primary, primary.instance, 'status names the primary that -rw leads to');
    await writeBeside(primary);
  },
);
