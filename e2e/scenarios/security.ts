import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { run } from '../../hack/testbed/command.ts';
import { systemNamespace } from '../../hack/testbed/deployment.ts';
import { resourceOf } from '../../hack/testbed/engines.ts';
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
      ['get', resourceOf(orders.engine)],
    ] as const)
      assert.equal(await may(verb, what), false, `agents may ${verb} ${what}`);
    const mounted = await access.kubectl([
      ...['get', 'pods', '-n', orders.namespace, '--selector', 'mainstay.dev/cluster=orders', '--output'],
      'jsonpath={.items[*].spec.initContainers[*].volumeMounts[*].mountPath}',
    ]);
    assert.ok(!mounted.includes('serviceaccount'), `a token for an init container: ${mounted}`);
  },
);

scenario(
  'no credential is in a log, an argument, an environment, an event, a Pod or a support bundle',
  { operator: 'needed' },
  async ({ orders, access }) => {
    const { namespace } = orders;
    const stored = JSON.parse(
      await access.kubectl(['get', 'secrets', '--namespace', namespace, '--output', 'json']),
    ) as { readonly items: readonly { readonly metadata: { readonly name: string }; readonly data?: object }[] };
    const credentials = stored.items.flatMap(({ metadata, data }) =>
      Object.entries(data ?? {})
        .filter(([key]) => /password|\.key$/.test(key))
        .map(([key, value]) => {
          const text = Buffer.from(String(value), 'base64').toString('utf8').trim();
          // Of a private key, a line from its middle.
          return {
            name: `${metadata.name}/${key}`,
            text: text.includes('-----BEGIN') ? (text.split('\n')[2] ?? '') : text,
          };
        }),
    );
    for (const wanted of ['orders-app/password', 'orders-system/', '.key'])
      assert.ok(
        credentials.some((one) => one.name.includes(wanted) && one.text.length >= 16),
        `nothing to look for: ${wanted}`,
      );

    const places = new Map<string, string>();
    for (const where of [namespace, systemNamespace]) {
      const json = ['--namespace', where, '--output', 'json'];
      places.set(`Pods in ${where}`, await access.kubectl(['get', 'pods', ...json]));
      places.set(`events in ${where}`, await access.kubectl(['get', 'events', ...json]));
    }
    const ofOperator = ['--namespace', systemNamespace, '--selector', 'app.kubernetes.io/component=operator'];
    places.set('the operator’s log', await access.kubectl(['logs', ...ofOperator, '--tail=-1', '--all-containers']));
    for (const { name } of await orders.pods()) {
      places.set(
        `the log of ${name}`,
        await access.kubectl(['logs', '--namespace', namespace, name, '--all-containers']),
      );
      places.set(
        `arguments and environments in ${name}`,
        await orders.shell(name, 'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr "\\0" "\\n"; true'),
      );
    }
    const folder = await mkdtemp(path.join(tmpdir(), 'mainstay-report-'));
    try {
      const file = path.join(folder, 'report.tar.gz');
      const reported = await access.mainstay(['report', 'orders', '--namespace', namespace, '--file', file]);
      assert.equal(reported.code, 0, reported.stderr);
      const contents = await run('tar', ['--extract', '--gzip', '--to-stdout', '--file', file]);
      for (const wanted of ['PostgresCluster', 'orders-1', '"msg"']) assert.ok(contents.includes(wanted), wanted);
      places.set('the support bundle', contents);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    const found = [...places].flatMap(([place, text]) =>
      credentials.filter((one) => text.includes(one.text)).map((one) => `${one.name} is in ${place}`),
    );
    assert.deepEqual(found, []);
    // What was searched is what it should be.
    assert.ok([...places.values()].every((text) => text.length > 100));
  },
);
