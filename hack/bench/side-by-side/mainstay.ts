/** Mainstay's agents as their Pods run them, told by etcd what an operator would tell them; no Kubernetes, so no Service. */
import { execFile } from 'node:child_process';
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { clusterPrefix, keys } from '../../../operator/api/cluster-state.ts';
import { parseDatabaseCluster, type DatabaseCluster } from '../../../operator/api/database-cluster.ts';
import { etcdDcs } from '../../../operator/dcs/etcd.ts';
import { systemClock } from '../../../operator/platform/clock.ts';
import { scramVerifier } from '../../../operator/platform/scram.ts';
import { declarationFor, passwordPlaces } from '../../../operator/resources/declaration.ts';
import { definitionFor, definitionText } from '../../../operator/resources/definition.ts';
import { podFor } from '../../../operator/resources/pod.ts';
import { clusterState } from '../../testbed/cluster-state.ts';
import { repository } from '../../testbed/cluster-access.ts';
import { etcdMembersAt } from '../../testbed/etcd-members.ts';
import { machine } from '../results.ts';
import { whatIsMissing } from '../whole.ts';
import { application } from './client.ts';
import { etcdUrls, isWhole, nodeAddresses, type NodeAddress, type System } from './site.ts';

const namespace = 'bench';
const uid = '00000000-0000-4000-8000-000000000001';
const writeMs = 5_000;
const databaseUser = 999;

export interface MainstayOptions {
  readonly base: number;
  /** The agent in one file, as images hold it. */
  readonly agent: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export async function mainstay({ base, agent, versions, signal }: MainstayOptions): Promise<System> {
  const cluster = await exampleCluster();
  const identity = { namespace, name: cluster.metadata.name, uid };
  const endpoints = etcdUrls(base);
  const etcd = etcdMembersAt(
    endpoints.map((url, index) => ({ node: String(index), url, metricsUrl: `${url}/metrics` })),
  );
  const state = clusterState(() => etcd, signal);
  const instances = nodeAddresses(base).map((node, index) => ({
    node,
    instance: `${cluster.metadata.name}-${index + 1}`,
  }));
  const instanceOn = (name: string): string => {
    const found = instances.find(({ node }) => node.name === name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found.instance;
  };
  const nodeOf = (instance: string | undefined): string | undefined =>
    instances.find((one) => one.instance === instance)?.node.name;

  return {
    name: 'Mainstay',
    settings: 'defaults',
    versions,
    machine: machine(),
    prepare: async (node, folder) => {
      const program = path.join(folder, 'mainstay');
      await mkdir(program, { recursive: true });
      await promisify(execFile)(process.execPath, [agent, 'install', program]);
      const secrets = path.join(folder, 'secrets');
      await mkdir(path.join(secrets, 'system'), { recursive: true });
      await mkdir(path.join(secrets, 'tls'));
      for (const [name, text] of Object.entries(systemPasswords))
        await writeFile(path.join(secrets, 'system', `${name}-password`), text);
      await chown(secrets, databaseUser, databaseUser);
      return {
        mounts: { [program]: '/mainstay', [secrets]: '/etc/mainstay' },
        argv: commandOf(cluster, instanceOn(node.name), node, endpoints),
      };
    },
    found: async () => {
      const dcs = etcdDcs({ endpoints, clock: systemClock });
      try {
        const written = await dcs.txn(
          [],
          [
            { put: clusterPrefix(identity) + keys.definition, value: definitionText(definitionFor(cluster)) },
            { put: clusterPrefix(identity) + keys.declaration, value: JSON.stringify(await declared(cluster)) },
          ],
          { milliseconds: writeMs, signal },
        );
        if (written.outcome !== 'applied') throw new Error(`the definition could not be written: ${written.outcome}`);
      } finally {
        await dcs.close();
      }
    },
    isAgent: ({ command }) => command.includes('/mainstay/agent.mjs run') && !command.startsWith('bash'),
    primary: async () => nodeOf((await state.read(identity)).leader?.instance),
    whole: async () =>
      isWhole(
        whatIsMissing(
          await state.read(identity),
          instances.map(({ instance }) => instance),
        ),
      ),
    switchover: (from) => state.requestSwitchover(identity, instanceOn(from), undefined),
    close: state.close,
  };
}

const systemPasswords = { replication: 'replication', rewind: 'rewind' } as const;

async function exampleCluster(): Promise<DatabaseCluster> {
  const example = parse(await readFile(path.join(repository, 'examples/postgres.yaml'), 'utf8')) as {
    readonly metadata: { readonly name: string };
  };
  const metadata = { ...example.metadata, namespace, uid, generation: 1, resourceVersion: '1' };
  return parseDatabaseCluster({ ...example, metadata });
}

/** What the container of its Pod runs, with what Kubernetes would put in. */
function commandOf(
  cluster: DatabaseCluster,
  instance: string,
  { name, address }: NodeAddress,
  etcdEndpoints: readonly string[],
): readonly string[] {
  const installation = { mainstayImage: 'none', images: {}, etcdEndpoints };
  const pod = podFor(cluster, instance, { installation, image: 'none', dataUid: uid });
  const [container] = pod.spec?.containers ?? [];
  const fields: Readonly<Record<string, string>> = { 'spec.nodeName': name, 'status.podIP': address };
  const settings = (container?.env ?? []).map(
    (one) => `${one.name}=${one.value ?? fields[one.valueFrom?.fieldRef?.fieldPath ?? ''] ?? ''}`,
  );
  // Volumes in memory are there before a container starts.
  return [
    'bash',
    '-c',
    'mkdir -m 700 /run/mainstay && exec env "$@"',
    'pod',
    ...settings,
    ...(container?.command ?? []),
  ];
}

async function declared(cluster: DatabaseCluster): Promise<object> {
  const texts: Readonly<Record<string, string>> = {
    'replication-password': systemPasswords.replication,
    'rewind-password': systemPasswords.rewind,
  };
  const verifiers = await Promise.all(
    passwordPlaces(cluster).map(async ({ role, key }) => {
      const password = texts[key] ?? application.password;
      return [role, { verifier: await scramVerifier(password, role), revision: '1' }] as const;
    }),
  );
  return declarationFor(cluster, new Map(verifiers));
}
