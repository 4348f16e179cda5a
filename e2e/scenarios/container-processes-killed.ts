import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { processesOf } from '../../hack/testbed/pod-processes.ts';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

const initOf = /^bash \/mainstay\/init /;
const deadmanOf = /^bash -c limit=.* deadman /;

scenario(
  'PID 1 of the primary’s container is killed',
  { localNodes: true, runs: 'soak' },
  async ({ orders, writeBeside, faults }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    const init = (await processesOf(primary.podUid)).filter(({ command }) => initOf.test(command));
    assert.equal(init.length, 1);
    await client.expectTrouble();
    faults.kill(init);
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);
  },
);

scenario(
  'the primary’s deadman is killed',
  { localNodes: true, runs: 'soak' },
  async ({ orders, writeBeside, faults, signal }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    const deadmen = async () => (await processesOf(primary.podUid)).filter(({ command }) => deadmanOf.test(command));
    const before = await deadmen();
    assert.equal(before.length, 1);
    await client.expectTrouble();
    faults.kill(before);
    await until(
      'another deadman',
      async () => {
        const now = (await deadmen()).filter(({ pid }) => pid !== before[0]?.pid);
        return now.length === 1 ? yes(undefined) : notYet(`${now.length}`);
      },
      { within: seconds(5), signal },
    );
    // Longer than the silence after which the new one would strike if nobody fed it.
    await delay(seconds(5), undefined, { signal });
    assert.deepEqual(await orders.primary(), primary, 'nobody is replaced for it');
    await client.outageIsAtMost(budgets.undisturbedMs);
  },
);
