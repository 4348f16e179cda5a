/** Collects what a person needs to understand a failed scenario. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ClusterAccess } from '../hack/testbed/cluster-access.ts';
import { systemNamespace } from '../hack/testbed/deployment.ts';

export async function dumpState(access: ClusterAccess, namespace: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const inNamespace = ['--namespace', namespace];
  const inSystem = ['--namespace', systemNamespace];
  const save = async (file: string, args: readonly string[]): Promise<void> => {
    const said = await access
      .tryKubectl(args, { timeoutMs: 20_000 })
      .then(({ stdout, stderr }) => stdout + stderr, String);
    await writeFile(path.join(folder, file), `# kubectl ${args.join(' ')}\n${said}\n`);
  };
  const kinds =
    'postgresclusters,mysqlclusters,pods,persistentvolumeclaims,services,endpointslices,poddisruptionbudgets';
  await save('objects.txt', ['get', kinds, ...inNamespace, '-o', 'wide']);
  await save('objects.yaml', ['get', kinds, ...inNamespace, '-o', 'yaml']);
  await save('events.txt', ['get', 'events', ...inNamespace, '--sort-by=.lastTimestamp']);
  await save('describe.txt', ['describe', 'postgresclusters,mysqlclusters,pods', ...inNamespace]);
  await save('nodes.txt', ['get', 'nodes', '-o', 'wide']);
  await save('system.txt', ['get', 'pods', ...inSystem, '-o', 'wide']);
  await save('operator.log', [
    'logs',
    ...inSystem,
    '-l',
    'app.kubernetes.io/component=operator',
    '--prefix',
    '--tail=2000',
  ]);
  await save('etcd-keys.txt', [
    ...['exec', ...inSystem, 'mainstay-etcd-0', '--'],
    ...['etcdctl', 'get', '--prefix', `/mainstay/${namespace}/`],
  ]);
  for (const pod of await podNames(access, namespace)) {
    await save(`${pod}.log`, ['logs', ...inNamespace, pod, '--all-containers', '--timestamps', '--tail=5000']);
    await save(`${pod}.previous.log`, ['logs', ...inNamespace, pod, '--all-containers', '--previous', '--tail=5000']);
  }
}

async function podNames(access: ClusterAccess, namespace: string): Promise<readonly string[]> {
  const { stdout } = await access.tryKubectl([
    ...['get', 'pods', '--namespace', namespace],
    ...['--output', 'jsonpath={.items[*].metadata.name}'],
  ]);
  return stdout.split(' ').filter((pod) => pod !== '');
}
