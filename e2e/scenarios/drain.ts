import assert from 'node:assert/strict';
import { ApiRefused, type ApiServer } from '../../hack/testbed/api-server.ts';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario, type Orders } from '../scenario.ts';

scenario('the primary’s node is drained', { operator: 'needed' }, async ({ orders, writeBeside, nodes, api }) => {
  const primary = await orders.primary();
  const client = await writeBeside(primary);
  await client.expectTrouble();
  const drained = await nodes.drain(primary.node, 150);
  assert.equal(drained.code, 0, `kubectl drain ${primary.node} failed: ${drained.stderr}`);
  await client.acknowledgedAgain({ within: budgets.outageMs });
  const successor = await orders.primaryOtherThan(primary, { within: budgets.outageMs });
  assert.notEqual(successor.node, primary.node);

  // With one instance away, the disruption budget protects the others.
  const other = (await orders.pods()).find((pod) => pod.node !== primary.node && pod.node !== '');
  assert.ok(other, 'no instance left on another node');
  await until(
    `eviction of ${other.name} refused`,
    async () => ((await evictionIsRefused(api, orders, other.name)) ? yes(undefined) : notYet('it would be evicted')),
    { within: seconds(30) },
  );

  await nodes.uncordon(primary.node);
  await orders.fullyRedundant({ within: budgets.redundantMs });
  await client.outageIsAtMost(budgets.outageMs);
});

scenario(
  'the node of a single instance is drained',
  { orders: 'none', operator: 'needed', runs: 'soak' },
  async ({ orders, writeBeside, nodes }) => {
    await orders.apply({ instances: 1 });
    await orders.ready({ within: budgets.readyMs });
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    const drained = await nodes.drain(primary.node, 150);
    assert.equal(drained.code, 0, `no budget may block the drain for ever: ${drained.stderr}`);

    // Its volume is there, so it waits for its node.
    await nodes.uncordon(primary.node);
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await orders.scaleTo(3);
    await orders.fullyRedundant({ within: budgets.redundantMs });
  },
);

scenario(
  'kubectl drain of every node in turn, under load: nothing lost, and one hand-over each',
  { operator: 'needed', runs: 'soak' },
  async ({ orders, writeBeside, nodes }) => {
    for (const node of new Set((await orders.pods()).map((pod) => pod.node))) {
      const before = await orders.primary();
      // The client's own Pod is not what is drained.
      const client = await writeBeside({ ...before, node });
      await client.expectTrouble();
      const drained = await nodes.drain(node, 150);
      assert.equal(drained.code, 0, `kubectl drain ${node} failed: ${drained.stderr}`);
      const after = await orders.primary();
      assert.notEqual(after.node, node);
      if (before.node !== node) assert.equal(after.instance, before.instance, 'only the drained node’s primary moves');
      await nodes.uncordon(node);
      await orders.fullyRedundant({ within: budgets.redundantMs });
      await client.outageIsAtMost(budgets.handOverMs);
      assert.equal((await client.stop()).lost, 0);
      await client.remove();
    }
  },
);

async function evictionIsRefused(api: ApiServer, orders: Orders, pod: string): Promise<boolean> {
  try {
    await api.post(`/api/v1/namespaces/${orders.namespace}/pods/${pod}/eviction?dryRun=All`, {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: pod, namespace: orders.namespace },
      deleteOptions: { dryRun: ['All'] },
    });
    return false;
  } catch (error) {
    if (error instanceof ApiRefused && error.status === 429) return true;
    throw error;
  }
}
