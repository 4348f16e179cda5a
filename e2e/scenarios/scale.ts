import assert from 'node:assert/strict';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'a cluster grows from 3 to 5 instances and shrinks again',
  { operator: 'needed' },
  async ({ orders, writeBeside }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    await client.expectTrouble();
    await orders.scaleTo(5);
    await orders.fullyRedundant({ within: budgets.redundantMs });
    assert.equal((await orders.pods()).length, 5);

    await orders.scaleTo(3);
    await orders.fullyRedundant({ within: budgets.redundantMs });
    const pods = (await orders.pods()).map((pod) => pod.name);
    assert.ok(pods.includes(primary.instance), 'replicas leave, not the primary');
    assert.equal((await orders.volumes()).length, 5, 'the volumes stay (deletionPolicy: Retain)');
    await client.outageIsAtMost(budgets.undisturbedMs);
  },
);
