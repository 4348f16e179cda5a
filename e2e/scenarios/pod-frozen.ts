import assert from 'node:assert/strict';
import { processesOf } from '../../hack/testbed/pod-processes.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'the primary’s Pod is frozen like a paused machine and goes on after the takeover',
  { localNodes: true },
  async ({ orders, writeBeside, clientOf, faults }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    await clientOf(primary);
    await client.expectTrouble();
    const thaw = faults.stop(await processesOf(primary.podUid));
    const successor = await orders.primaryOtherThan(primary, { within: budgets.outageMs });
    assert.notEqual(successor.instance, primary.instance);
    await client.acknowledgedAgain({ within: budgets.outageMs });
    thaw();
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);
  },
);
