import assert from 'node:assert/strict';
import { databaseProcesses } from '../../hack/testbed/pod-processes.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

// PostgreSQL itself takes the violent end of any process for damage to its shared memory, ends all sessions and recovers.
for (const victim of ['a client’s backend', 'the checkpointer', 'the walwriter'] as const) {
  scenario(
    `${victim} of the primary is killed`,
    { localNodes: true, runs: 'soak', engines: ['postgres'] },
    async ({ orders, writeBeside, faults }) => {
      const primary = await orders.primary();
      const client = await writeBeside(primary);
      const words = {
        'a client’s backend': /postgres: .*app/,
        'the checkpointer': /checkpointer/,
        'the walwriter': /walwriter/,
      };
      const process = (await databaseProcesses(primary.podUid)).find(({ command }) => words[victim].test(command));
      assert.ok(process, `${victim} runs`);
      await client.expectTrouble();
      faults.kill([process]);
      await client.acknowledgedAgain({ within: budgets.outageMs });
      await orders.fullyRedundant({ within: budgets.redundantMs });
      await client.outageIsAtMost(budgets.outageMs);
    },
  );
}

scenario('every session of the primary is ended', {}, async ({ orders, writeBeside }) => {
  const primary = await orders.primary();
  const client = await writeBeside(primary);
  await client.expectTrouble();
  const ended = await orders.shell(primary.instance, orders.engine.shell.endSessions('app'));
  assert.ok(Number(ended) > 0, `sessions were ended: ${ended}`);
  await client.acknowledgedAgain({ within: budgets.undisturbedMs });
  assert.deepEqual(await orders.primary(), primary, 'nobody is replaced for it');
  await client.outageIsAtMost(budgets.undisturbedMs);
});
