import assert from 'node:assert/strict';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'the primary’s node loses power while the operator is down',
  { localNodes: true, operator: 'needed', sample: true },
  async ({ orders, writeBeside, nodes, operator }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    await operator.scaleTo(0);
    await client.expectTrouble();
    await nodes.powerOff(primary.node);
    await client.acknowledgedAgain({ within: budgets.outageMs });
    const successor = await orders.primaryOtherThan(primary, { within: budgets.outageMs });
    assert.notEqual(successor.instance, primary.instance);

    await nodes.powerOn(primary.node);
    await orders.fullyRedundant({ within: budgets.redundantMs, withoutOperator: true });
    await operator.scaleTo(2);
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);
  },
);
