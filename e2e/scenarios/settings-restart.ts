import assert from 'node:assert/strict';
import { notYet, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario, type Orders } from '../scenario.ts';

scenario(
  'a parameter that needs a restart: it is named, replicas go first, clients see one switchover',
  { operator: 'needed', localNodes: true, runs: 'soak' },
  async ({ orders, writeBeside, signal }) => {
    const { name: parameter, value, shown, usual } = orders.engine.restartParameter;
    const primary = await orders.primary();
    const pods = (await orders.pods()).map(({ uid, restarts }) => [uid, restarts]);
    const client = await writeBeside(primary);
    await client.expectTrouble();
    const asked = await now(orders, primary.instance);
    await orders.change(orders.engine.spec.parameters({ [parameter]: value }));

    const waited = new Set<string>();
    await until(
      'every database with the new value',
      async () => {
        const status = (await orders.resource())?.status;
        for (const { name, pendingRestart } of status?.instancesStatus ?? [])
          if (pendingRestart?.includes(parameter) === true) waited.add(name);
        const condition = status?.conditions?.find(({ type }) => type === 'PendingRestart');
        if (condition?.status === 'True') assert.ok(condition.message.includes(parameter), condition.message);
        const old = await without(orders, shown);
        return old.length === 0 ? yes(undefined) : notYet(`${old.join(', ')} without; ${condition?.message ?? ''}`);
      },
      { within: budgets.redundantMs, signal },
    );
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    assert.ok(waited.has(primary.instance), `status names the parameter: ${[...waited].join(', ') || 'nowhere'}`);
    const starts = await startsSince(orders, asked);
    assert.equal(starts.length, pods.length, `each database once: ${starts.join(', ')}`);
    assert.equal(starts.at(-1), primary.instance, `replicas first, then the primary: ${starts.join(', ')}`);
    assert.notEqual((await orders.primary()).instance, primary.instance, 'it has handed over');
    assert.deepEqual(
      (await orders.pods()).map(({ uid, restarts }) => [uid, restarts]),
      pods,
      'Pods and containers stay',
    );
    await client.outageIsAtMost(budgets.handOverMs);

    await orders.change(orders.engine.spec.parameters({ [parameter]: null }));
    await until(
      'every database with the default',
      async () => {
        const other = await without(orders, usual);
        return other.length === 0 ? yes(undefined) : notYet(other.join(', '));
      },
      { within: budgets.redundantMs, signal },
    );
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await orders.allCount({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.handOverMs);
  },
);

async function without(orders: Orders, value: string): Promise<readonly string[]> {
  const { sql, restartParameter } = orders.engine;
  const names = (await orders.pods()).map(({ name }) => name);
  const values = await Promise.all(
    names.map(async (name) => ({ name, is: (await orders.sql(name, sql.show(restartParameter.name))).trim() })),
  );
  return values.filter(({ is }) => is !== value).map(({ name }) => name);
}

/** Instances whose databases have started since then, the earliest first. Local nodes have one clock. */
async function startsSince(orders: Orders, since: number): Promise<readonly string[]> {
  const started = await Promise.all(
    (await orders.pods()).map(async ({ name }) => ({
      name,
      at: Number(await orders.shell(name, orders.engine.shell.startedAt)),
    })),
  );
  return started
    .filter(({ at }) => at > since)
    .toSorted((one, other) => one.at - other.at)
    .map(({ name }) => name);
}

const now = async (orders: Orders, instance: string): Promise<number> =>
  Number(await orders.shell(instance, 'date +%s.%N'));
