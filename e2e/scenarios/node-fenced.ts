import assert from 'node:assert/strict';
import path from 'node:path';
import { repository } from '../../hack/testbed/cluster-access.ts';
import { images, load, systemNamespace } from '../../hack/testbed/deployment.ts';
import { powerDevice } from '../../hack/testbed/power-device.ts';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

const name = 'e2e-power';
const password = 'not-in-the-manifest';
/** Kubernetes itself takes 50 s to call a silent node not ready. */
const fencedWithin = seconds(180);

scenario(
  'a node that nobody can reach is switched off, proven off, marked, and brought back',
  // Nothing in it is the database's.
  { localNodes: true, operator: 'needed', runs: 'soak', engines: ['postgres'] },
  async ({ orders, writeBeside, nodes, access, signal }) => {
    const fencing = (enabled: boolean) =>
      access.helm(
        [
          ...['upgrade', 'mainstay', path.join(repository, 'charts/mainstay'), '--namespace', systemNamespace],
          ...['--reuse-values', '--set', `fencing.enabled=${enabled}`, '--wait', '--timeout', '3m'],
        ],
        { timeoutMs: 200_000 },
      );
    const node = (what: string, jsonpath: string) =>
      access.kubectl(['get', 'node', what, '--output', `jsonpath=${jsonpath}`]);
    const say = (): void => undefined;
    await load(await images({ say, signal }, ['fence-agents']), { say, signal });
    const device = await powerDevice(nodes, password);
    try {
      await fencing(true);
      await access.kubectl(['apply', '--filename', '-'], {
        input: JSON.stringify({
          apiVersion: 'v1',
          kind: 'List',
          items: [
            {
              apiVersion: 'v1',
              kind: 'Secret',
              metadata: { name, namespace: systemNamespace },
              stringData: { password },
            },
            {
              apiVersion: 'mainstay.dev/v1alpha1',
              kind: 'FenceAgent',
              metadata: { name },
              spec: {
                image: 'mainstay.dev/fence-agents:4',
                command: device.command,
                secretName: name,
                unreadySeconds: 10,
                nodes: (await nodes.names()).map((one) => ({ name: one, plug: one })),
              },
            },
          ],
        }),
      });
      const primary = await orders.primary();
      const client = await writeBeside(primary);
      await client.expectTrouble();
      await nodes.cutOff(primary.node);
      // Service does not wait for fencing.
      await client.acknowledgedAgain({ within: budgets.outageMs });

      await until(
        `${primary.node} is marked out of service`,
        async () => {
          const taints = await node(primary.node, '{.spec.taints[*].key}');
          return taints.includes('out-of-service') ? yes(undefined) : notYet(taints);
        },
        { within: fencedWithin, signal },
      );
      assert.deepEqual(device.asked.slice(0, 2), [`off ${primary.node}`, `status ${primary.node}`]);
      await until(
        `${primary.node} is back and not marked`,
        async () => {
          const [taints, ready] = await Promise.all([
            node(primary.node, '{.spec.taints[*].key}'),
            node(primary.node, '{.status.conditions[?(@.type=="Ready")].status}'),
          ]);
          return ready === 'True' && !taints.includes('out-of-service') ? yes(undefined) : notYet(`${ready} ${taints}`);
        },
        { within: fencedWithin, signal },
      );
      assert.ok(device.asked.includes(`on ${primary.node}`));
      const events = await access.kubectl(['events', '--all-namespaces', '--for', `fenceagent/${name}`]);
      for (const reason of ['NodeFencing', 'NodeFenced', 'NodeReturning', 'NodeReturned'])
        assert.ok(events.includes(reason), `an event ${reason}`);
      const jobs = await access.kubectl(['get', 'jobs,pods', '--namespace', systemNamespace, '--output', 'json']);
      assert.ok(!jobs.includes(password), 'the password is in no Job and no Pod');
      await orders.fullyRedundant({ within: budgets.redundantMs });
      await client.outageIsAtMost(budgets.outageMs);
    } finally {
      await device.close();
      await access.tryKubectl(['delete', 'fenceagent', name, '--ignore-not-found']);
      await access.tryKubectl(['delete', 'secret', name, '--namespace', systemNamespace, '--ignore-not-found']);
      await fencing(false);
    }
  },
);
