import assert from 'node:assert/strict';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import type { ClusterOperation } from '../../operator/api/cluster-operation.ts';
import { budgets } from '../budgets.ts';
import { createOperation } from '../cluster-operation.ts';
import { scenario, type Orders, type World } from '../scenario.ts';

scenario(
  'operations: a switchover by an object, once, and one by the plugin',
  { operator: 'needed' },
  async ({ orders, writeBeside, access, api }) => {
    const primary = await orders.primary();
    const [candidate] = await orders.replicas();
    assert.ok(candidate);
    const client = await writeBeside(primary);
    await client.expectTrouble();
    const plan = { type: 'Switchover', switchover: { to: candidate.name } };
    await createOperation({ access, orders }, 'once', plan);
    assert.equal(await outcome({ api, orders }, 'once'), 'Succeeded');
    const successor = await orders.primaryOtherThan(primary, { within: budgets.handOverMs });
    assert.equal(successor.instance, candidate.name);
    await client.acknowledgedAgain({ within: budgets.handOverMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });

    const back = await access.mainstay(
      ['switchover', 'orders', '--to', primary.instance, '-n', orders.namespace, '--reason', 'e2e'],
      { timeoutMs: 90_000 },
    );
    assert.equal(back.code, 0, back.stderr);
    assert.match(back.stdout, new RegExp(`Complete: ${primary.instance} took over from ${candidate.name}`));
    await orders.fullyRedundant({ within: budgets.redundantMs });

    // As Git would, after somebody has deleted it.
    await access.kubectl(['delete', '--namespace', orders.namespace, 'clusteroperation/once']);
    await createOperation({ access, orders }, 'once', plan);
    assert.equal(await outcome({ api, orders }, 'once'), 'AlreadyCarriedOut');
    assert.equal((await orders.primary()).instance, primary.instance);

    const status = await access.mainstay(['status', 'orders', '-n', orders.namespace]);
    assert.equal(status.code, 0, status.stdout);
    assert.match(status.stdout, /nothing to do/);
    const refused = await access.mainstay(['failover', 'orders', '--to', candidate.name, '-n', orders.namespace]);
    assert.equal(refused.code, 3);
    assert.match(refused.stderr, /serves as primary: ask for a Switchover/);
    await client.outageIsAtMost(budgets.handOverMs);
  },
);

scenario(
  'operations: every database is restarted, one after the other',
  { operator: 'needed' },
  async ({ orders, writeBeside, access }) => {
    const client = await writeBeside(await orders.primary());
    await client.expectTrouble();
    const before = await startTimes(orders);
    const pods = (await orders.pods()).map(({ uid }) => uid);
    const restarted = await access.mainstay(['restart', 'orders', '-n', orders.namespace], { timeoutMs: 300_000 });
    assert.equal(restarted.code, 0, restarted.stderr);
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    const after = await startTimes(orders);
    assert.deepEqual(
      before.filter((time) => after.includes(time)),
      [],
      'every database has started anew',
    );
    assert.deepEqual(
      (await orders.pods()).map(({ uid }) => uid),
      pods,
      'the Pods stay',
    );
    await client.outageIsAtMost(budgets.outageMs);
  },
);

scenario(
  'operations: instances are fenced, let go and cloned anew',
  { localNodes: true, operator: 'needed' },
  async ({ orders, writeBeside, access }) => {
    const operate = async (...args: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await access.mainstay([...args, '-n', orders.namespace], { timeoutMs: 300_000 });
      assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
      return stdout;
    };
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    await client.expectTrouble();

    // Fenced, the primary hands over, and its database stays stopped even in a new Pod.
    await operate('fence', 'orders', primary.instance);
    const successor = await orders.primaryOtherThan(primary, { within: budgets.handOverMs });
    await client.acknowledgedAgain({ within: budgets.handOverMs });
    await access.kubectl(['delete', '--namespace', orders.namespace, `pod/${primary.instance}`]);
    const refused = await access.mainstay(['fence', 'orders', successor.instance, '-n', orders.namespace]);
    assert.equal(refused.code, 3, 'a second one would stop the writes');
    await operate('unfence', 'orders', primary.instance);
    await orders.fullyRedundant({ within: budgets.redundantMs });

    const incarnation = async () => (await orders.runtime()).members.get(primary.instance)?.incarnation;
    const before = await incarnation();
    assert.match(await operate('reinitialize', 'orders', primary.instance), /has new data, and follows/);
    assert.notEqual(await incarnation(), before);
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.handOverMs);
  },
);

scenario(
  'operations: a failover that could lose writes is refused until that is accepted',
  { orders: 'none', localNodes: true, operator: 'needed', runs: 'soak' },
  async ({ orders, nodes, access, api, writeBeside }) => {
    await orders.apply({ instances: 2 });
    await orders.fullyRedundant({ within: budgets.readyMs });
    const primary = await orders.primary();
    const [replica] = await orders.replicas();
    assert.ok(replica);
    const client = await writeBeside(primary);

    // The replica misses what the primary acknowledges alone; then the primary goes.
    const dismiss = async ({ node, pod }: { readonly node: string; readonly pod: string }): Promise<void> => {
      await nodes.cordon(node);
      await access.kubectl(['delete', '--namespace', orders.namespace, `pod/${pod}`], { timeoutMs: 90_000 });
    };
    await dismiss({ node: replica.node, pod: replica.name });
    await until(
      'the primary goes on alone',
      async () => ((await orders.runtime()).sync?.acknowledgements === 0 ? yes(undefined) : notYet('it waits')),
      { within: budgets.outageMs },
    );
    await client.acknowledgedAgain({ within: budgets.outageMs, writes: 100 });
    await dismiss({ node: primary.node, pod: primary.instance });
    await nodes.uncordon(replica.node);

    const force = ['failover', 'orders', '--to', replica.name, '-n', orders.namespace, '--others-are-off'];
    const refusal = await until(
      'the replica’s agent refuses',
      async () => {
        const answer = await access.mainstay(force, { timeoutMs: 90_000 });
        return answer.stderr.includes('not safe without') ? yes(answer) : notYet(answer.stderr);
      },
      { within: budgets.redundantMs },
    );
    assert.equal(refusal.code, 3);
    assert.match(refusal.stderr, /not safe without orders-\d: .*acceptDataLoss/);
    const status = await access.mainstay(['status', 'orders', '-n', orders.namespace]);
    assert.equal(status.code, 2, status.stdout);

    // Nothing is lost after all: the former primary comes back.
    await nodes.uncordon(primary.node);
    await orders.fullyRedundant({ within: budgets.redundantMs });
    assert.equal(await outcome({ api, orders }, /-failover-/), 'Refused');
    await orders.scaleTo(3);
    await orders.fullyRedundant({ within: budgets.redundantMs });
  },
);

/** Reason of the condition with which it ended. */
function outcome({ api, orders }: Pick<World, 'api' | 'orders'>, name: string | RegExp): Promise<string> {
  const path = `/apis/mainstay.dev/v1alpha1/namespaces/${orders.namespace}/clusteroperations`;
  return until(
    `the end of ${String(name)}`,
    async () => {
      const list = await api.get<{ readonly items: readonly ClusterOperation[] }>(path);
      const found = list?.items.findLast(({ metadata }) =>
        typeof name === 'string' ? metadata.name === name : name.test(metadata.name),
      );
      const end = found?.status.conditions?.find(
        ({ type, status }) => (type === 'Complete' || type === 'Failed') && status === 'True',
      );
      return end ? yes(end.reason) : notYet(found?.status.message ?? 'it is not seen yet');
    },
    { within: seconds(90) },
  );
}

async function startTimes(orders: Orders): Promise<readonly string[]> {
  const names = (await orders.pods()).map(({ name }) => name);
  return Promise.all(names.map((name) => orders.shell(name, orders.engine.shell.startedAt)));
}
