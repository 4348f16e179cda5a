import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { seconds } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

const cuts = [
  ['etcd', 'both ways', 'the primary is cut off from etcd'],
  ['etcd', 'sending', 'what the primary sends to etcd is lost'],
  ['etcd', 'receiving', 'what etcd sends to the primary is lost'],
  ['replicas', 'both ways', 'the primary is cut off from its replicas'],
  ['replicas', 'sending', 'what the primary sends to its replicas is lost'],
  ['replicas', 'receiving', 'what the replicas send to the primary is lost'],
  ['etcd and replicas', 'both ways', 'the primary is cut off from etcd and replicas, but not from clients'],
] as const;

for (const [from, how, title] of cuts) {
  const runs = title === 'the primary is cut off from its replicas' ? {} : ({ runs: 'soak' } as const);
  scenario(title, { localNodes: true, ...runs }, async ({ orders, writeBeside, clientOf, faults }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    await clientOf(primary);
    await client.expectTrouble();
    await faults.cut(primary, from, how);
    const successor = await orders.primaryOtherThan(primary, { within: budgets.outageMs });
    assert.notEqual(successor.instance, primary.instance);
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await faults.heal();
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);
  });
}

scenario(
  'the nodes form a ring: the primary’s and another one don’t see each other, the third sees both',
  { localNodes: true, runs: 'soak' },
  async ({ orders, writeBeside, nodes, signal }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    const far = (await orders.replicas()).find(({ node }) => node !== client.node);
    assert.ok(far);
    await client.expectTrouble();
    await nodes.cutOff(primary.node, [far.node]);
    await delay(seconds(15), undefined, { signal });
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await nodes.heal();
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);
  },
);
