import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

/** Which of them hit a commit in the moment between its arrival and its acknowledgement is chance. */
const rounds = 10;

scenario(
  'acknowledgements are lost: all connections of replicas are ended amid commits, again and again',
  { localNodes: true, runs: 'soak', sample: true },
  async ({ orders, writeBeside, random, signal }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    await client.expectTrouble();
    for (let round = 0; round < rounds; round += 1) {
      await orders.shell(primary.instance, orders.engine.shell.dropReplicas);
      await client.acknowledgedAgain({ within: budgets.outageMs });
      await delay(random.between(200, 1_000), undefined, { signal });
    }
    await orders.fullyRedundant({ within: budgets.redundantMs });
    assert.equal((await orders.primary()).podUid, primary.podUid, 'nobody is replaced for it');
    await client.outageIsAtMost(budgets.undisturbedMs);
  },
);
