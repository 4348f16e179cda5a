import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { databaseProcesses, processesOf } from '../../hack/testbed/pod-processes.ts';
import { seconds } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'a sync standby is killed, then both at once',
  { localNodes: true, runs: 'soak' },
  async ({ orders, writeBeside, faults }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    const [one, other] = await orders.replicas();
    assert.ok(one && other);
    await client.expectTrouble();
    faults.kill(await faults.agentAndDatabase(one.uid));
    await client.acknowledgedAgain({ within: budgets.stallMs });
    await client.outageIsAtMost(budgets.stallMs);

    await orders.fullyRedundant({ within: budgets.redundantMs });
    await orders.allCount({ within: budgets.redundantMs });
    await client.expectTrouble();
    for (const { uid } of await orders.replicas()) faults.kill(await databaseProcesses(uid));
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    assert.deepEqual(await orders.primary(), primary, 'the primary stays');
    await client.outageIsAtMost(budgets.outageMs);
  },
);

scenario(
  'the primary and a sync standby are away together: the third alone must not lead',
  { localNodes: true, runs: 'soak' },
  async ({ orders, writeBeside, faults, signal }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    const [lost, left] = await orders.replicas();
    assert.ok(lost && left);
    await client.expectTrouble();
    const thaw = faults.stop([...(await processesOf(primary.podUid)), ...(await processesOf(lost.uid))]);
    // Beyond any lease; short of the liveness probes, whose restarts would bring them back.
    await delay(seconds(15), undefined, { signal });
    assert.notEqual((await orders.runtime()).leader?.instance, left.name, 'it can’t know what the others acknowledged');
    thaw();
    await client.acknowledgedAgain({ within: budgets.redundantMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
  },
);
