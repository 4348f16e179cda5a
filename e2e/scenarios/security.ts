import assert from 'node:assert/strict';
import { systemNamespace } from '../../hack/testbed/deployment.ts';
import { scenario } from '../scenario.ts';

scenario(
  'Pods pass Pod Security restricted, can’t write to their image, and may do nothing but point the Service',
  { operator: 'needed' },
  async ({ orders, access }) => {
    // The API server says which Pods would not be let in if the namespace enforced it.
    for (const namespace of [orders.namespace, systemNamespace]) {
      const { code, stderr } = await access.tryKubectl([
        ...['label', 'namespace', namespace, '--dry-run=server', '--overwrite'],
        'pod-security.kubernetes.io/enforce=restricted',
      ]);
      assert.equal(code, 0, stderr);
      for (const ours of ['orders-', 'mainstay-operator', 'mainstay-etcd'])
        assert.ok(!stderr.includes(ours), `Pods of ${namespace} violate restricted: ${stderr}`);
    }

    const pods = (await orders.pods()).map(({ name }) => name);
    for (const pod of pods)
      assert.match(
        await orders.shell(pod, 'touch /probe /etc/probe /usr/bin/probe 2>&1; true'),
        /^(touch: .*Read-only file system\n){3}$/,
      );

    const may = async (verb: string, what: string): Promise<boolean> => {
      const account = `system:serviceaccount:${orders.namespace}:orders`;
      const answer = await access.tryKubectl(['auth', 'can-i', verb, what, '-n', orders.namespace, `--as=${account}`]);
      return answer.stdout.trim() === 'yes';
    };
    assert.equal(await may('update', 'endpointslices.discovery.k8s.io/orders-rw'), true);
    for (const [verb, what] of [
      ['update', 'endpointslices.discovery.k8s.io/orders-ro'],
      ['list', 'endpointslices.discovery.k8s.io'],
      ['get', 'secrets'],
      ['get', 'pods'],
      ['get', 'postgresclusters.mainstay.dev'],
    ] as const)
      assert.equal(await may(verb, what), false, `agents may ${verb} ${what}`);
    const mounted = await access.kubectl([
      ...['get', 'pods', '-n', orders.namespace, '--selector', 'mainstay.dev/cluster=orders', '--output'],
      'jsonpath={.items[*].spec.initContainers[*].volumeMounts[*].mountPath}',
    ]);
    assert.ok(!mounted.includes('serviceaccount'), `a token for an init container: ${mounted}`);
  },
);
