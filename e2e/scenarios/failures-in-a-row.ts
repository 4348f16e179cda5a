import assert from 'node:assert/strict';
import { notYet, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'two failures in a row: the primary is killed, and its successor as soon as it is one',
  { localNodes: true, runs: 'soak' },
  async ({ orders, writeBeside, faults }) => {
    const first = await orders.primary();
    const client = await writeBeside(first);
    await client.expectTrouble();
    faults.kill(await faults.agentAndDatabase(first.podUid));
    const second = await orders.primaryOtherThan(first, { within: budgets.outageMs });
    await client.acknowledgedAgain({ within: budgets.outageMs });
    faults.kill(await faults.agentAndDatabase(second.podUid));
    await client.acknowledgedAgain({ within: budgets.redundantMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.redundantMs);
  },
);

scenario(
  'every instance is killed at once, and they come back by themselves',
  { localNodes: true, runs: 'soak' },
  async ({ orders, writeBeside, faults, signal }) => {
    const client = await writeBeside(await orders.primary());
    await client.expectTrouble();
    const pods = await orders.pods();
    const processes = (await Promise.all(pods.map(({ uid }) => faults.agentAndDatabase(uid)))).flat();
    const before = (await orders.runtime()).epoch;
    faults.kill(processes);
    await until(
      'another epoch',
      async () => {
        const { epoch } = await orders.runtime();
        return epoch > before ? yes(undefined) : notYet(`still ${epoch}`);
      },
      { within: budgets.redundantMs, signal },
    );
    await client.acknowledgedAgain({ within: budgets.redundantMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    assert.deepEqual(
      (await orders.pods()).map(({ uid }) => uid).toSorted(),
      pods.map(({ uid }) => uid).toSorted(),
      'the Pods stay',
    );
    await client.outageIsAtMost(budgets.redundantMs);
  },
);
