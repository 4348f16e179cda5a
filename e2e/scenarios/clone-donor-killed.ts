import assert from 'node:assert/strict';
import { databaseProcesses } from '../../hack/testbed/pod-processes.ts';
import { notYet, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'the source of a copy is killed midway: the copy is begun again and comes to its end',
  { localNodes: true, operator: 'needed', runs: 'soak' },
  async ({ orders, writeBeside, faults, access, signal }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    const [target] = await orders.replicas();
    assert.ok(target);
    // So that there is a midway.
    await orders.change({ replication: { cloneRate: '4Mi' } });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    const incarnation = async () => (await orders.runtime()).members.get(target.name)?.incarnation;
    const before = await incarnation();
    await client.expectTrouble();
    const done = access.mainstay(['reinitialize', 'orders', target.name, '-n', orders.namespace], {
      timeoutMs: 2 * budgets.redundantMs,
    });
    const source = await until(
      'the copy under way',
      async () => {
        for (const pod of (await orders.pods()).filter(({ name }) => name !== target.name))
          if (Number(await orders.sql(pod.name, orders.engine.sql.copiesFrom)) > 0) return yes(pod);
        return notYet('nobody is copied from');
      },
      { within: budgets.redundantMs, signal },
    );
    faults.kill((await databaseProcesses(source.uid)).slice(0, 1));
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await orders.change({ replication: { cloneRate: null } });
    const { code, stderr } = await done;
    assert.equal(code, 0, stderr);
    assert.notEqual(await incarnation(), before);
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);
  },
);
