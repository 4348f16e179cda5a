import assert from 'node:assert/strict';
import path from 'node:path';
import { repository } from '../../hack/testbed/cluster-access.ts';
import { releaseName, systemNamespace } from '../../hack/testbed/deployment.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

const release = 'own';
/** May do anything in the namespace, and nothing anywhere else. */
const person = 'shop-admin';

scenario(
  'an operator for one namespace, installed by somebody who has rights nowhere else, makes a cluster and sees it through a failover',
  { orders: 'none', localNodes: true, operator: 'needed' },
  async ({ orders, operator, writeBeside, nodes, access }) => {
    const { namespace } = orders;
    // The one for all namespaces would look after this one too.
    await operator.scaleTo(0);
    const inNamespace = ['--namespace', namespace];
    await access.kubectl(['create', 'role', person, ...inNamespace, '--verb=*', '--resource=*.*']);
    await access.kubectl(['create', 'rolebinding', person, ...inNamespace, `--role=${person}`, `--user=${person}`]);
    const etcd = `${releaseName}-etcd`;
    const members = [0, 1, 2].map((index) => `http://${etcd}-${index}.${etcd}.${systemNamespace}.svc:2379`);
    const off = ['rbac.nodes', 'rbac.aggregate', 'admissionPolicies.enabled', 'crds.enabled'];
    try {
      await access.helm(
        [
          ...['install', release, path.join(repository, 'charts/mainstay'), ...inNamespace, '--kube-as-user', person],
          ...['--set', `watchNamespace=${namespace}`, '--set', `etcd.endpoints={${members.join(',')}}`],
          ...off.flatMap((value) => ['--set', `${value}=false`]),
          ...['--set', 'operator.replicas=1', '--wait', '--timeout', '3m'],
        ],
        { timeoutMs: 200_000 },
      );
      const may = async (verb: string, what: string, where: readonly string[]): Promise<string> => {
        const account = `system:serviceaccount:${namespace}:${release}-operator`;
        return (await access.tryKubectl(['auth', 'can-i', verb, what, ...where, `--as=${account}`])).stdout.trim();
      };
      assert.equal(await may('create', 'pods', inNamespace), 'yes');
      for (const [verb, what] of [
        ['get', 'secrets'],
        ['create', 'pods'],
        ['list', 'postgresclusters.mainstay.dev'],
      ] as const)
        assert.equal(await may(verb, what, ['--namespace', systemNamespace]), 'no', `it may ${verb} ${what} elsewhere`);

      await orders.apply();
      await orders.fullyRedundant({ within: budgets.readyMs + budgets.redundantMs });
      const primary = await orders.primary();
      const client = await writeBeside(primary);
      await client.expectTrouble();
      await nodes.killAgent(primary.podUid);
      await client.acknowledgedAgain({ within: budgets.outageMs });
      await orders.fullyRedundant({ within: budgets.redundantMs });
      // Its Pod is made anew by that operator.
      await access.kubectl(['delete', 'pod', ...inNamespace, (await orders.primary()).instance, '--wait=true']);
      await client.acknowledgedAgain({ within: budgets.outageMs });
      await orders.fullyRedundant({ within: budgets.redundantMs });
      await client.outageIsAtMost(budgets.outageMs);
    } finally {
      await access.helm(['uninstall', release, ...inNamespace, '--ignore-not-found', '--wait'], { timeoutMs: 120_000 });
      await access.kubectl(['delete', 'rolebinding,role', person, ...inNamespace, '--ignore-not-found']);
    }
  },
);
