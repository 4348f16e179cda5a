import assert from 'node:assert/strict';
import { endOfDatabase } from '../../hack/testbed/pod-processes.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'the primary’s node is cut off from everybody',
  { localNodes: true },
  async ({ orders, writeBeside, nodes }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    const isFenced = await endOfDatabase(primary.podUid);
    await client.expectTrouble();
    await nodes.cutOff(primary.node);
    await client.acknowledgedAgain({ within: budgets.outageMs });
    const successor = await orders.primaryOtherThan(primary, { within: budgets.outageMs });
    assert.notEqual(successor.instance, primary.instance);
    await isFenced({ within: budgets.fencedMs });

    await nodes.heal();
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);
  },
);
