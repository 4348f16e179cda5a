import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { V1Pod } from '@kubernetes/client-node';
import { databaseProcesses, processesOf } from '../../hack/testbed/pod-processes.ts';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'a second agent of the same name starts on the primary’s volume',
  { localNodes: true, runs: 'soak' },
  async ({ orders, writeBeside, access, api, signal }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    const original = await api.get<V1Pod>(`/api/v1/namespaces/${orders.namespace}/pods/${primary.instance}`);
    assert.ok(original?.spec);
    const name = `${primary.instance}-twin`;
    await client.expectTrouble();
    try {
      const twin = await api.post<V1Pod>(`/api/v1/namespaces/${orders.namespace}/pods`, {
        apiVersion: 'v1',
        kind: 'Pod',
        // Without the labels that the operator and the Services go by.
        metadata: { name, namespace: orders.namespace },
        spec: { ...(original.spec as object), nodeName: primary.node },
      });
      const podUid = twin.metadata?.uid ?? '';
      await until(
        'the second agent',
        async () => {
          const agents = (await processesOf(podUid)).filter(({ command }) => command.includes('agent.mjs run'));
          return agents.length > 0 ? yes(undefined) : notYet('not started');
        },
        { within: seconds(60), signal },
      );
      await delay(seconds(10), undefined, { signal });
      assert.deepEqual(await databaseProcesses(podUid), [], 'it waits for the volume’s lock');
      assert.deepEqual(await orders.primary(), primary, 'nobody is replaced for it');
    } finally {
      await access.kubectl([
        ...['delete', 'pod', '--namespace', orders.namespace, name],
        ...['--ignore-not-found', '--grace-period=0', '--force'],
      ]);
    }
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.undisturbedMs);
  },
);
