/** A real API server, its etcd and its garbage collector as plain processes on loopback: no nodes, nothing of the machine is touched. */
import { existsSync } from 'node:fs';
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import { freePorts } from '../../operator/dcs/local-etcd.ts';
import { fromKubeconfig, type ClusterAccess } from '../../operator/kubernetes/access.ts';
import { kubernetesClient, type KubernetesClient } from '../../operator/kubernetes/client.ts';
import { createLogger } from '../../operator/platform/log.ts';
import {
  customResourceDefinitions,
  namespaces,
  nodes,
  storageClasses,
  type ApiObject,
} from '../../operator/kubernetes/kinds.ts';
import { artifact } from '../cluster/artifacts.ts';
import { repository } from '../testbed/cluster-access.ts';
import { notYet, seconds, until, yes } from '../testbed/until.ts';

export interface ApiProcess {
  /** Of an administrator. */
  readonly client: KubernetesClient;
  readonly access: ClusterAccess;
  readonly kubeconfig: string;
  /** The same etcd that the API server uses; it serves as Mainstay's too. */
  readonly etcdUrl: string;
  readonly pids: { readonly apiServer: number; readonly etcd: number };
  makeNamespace(name: string): Promise<void>;
  stop(): Promise<void>;
}

/** What an administrator of these tests may do must not be held up by the server's own fairness. */
const administrators = 'system:masters';
const startWithin = seconds(60);

/** Other tests freeze disks and fill them. */
const memory = '/dev/shm';

const quiet = createLogger('api-process', 'error');

/** With Mainstay's CRDs, three nodes (n1 to n3 in zones z1 to z3) and one storage class that can grow. */
export async function startApiProcess(signal: AbortSignal): Promise<ApiProcess> {
  const program = await artifact('kubernetes', signal);
  const folder = await mkdtemp(path.join(existsSync(memory) ? memory : tmpdir(), 'mainstay-api-'));
  const children: ChildProcess[] = [];
  // Also when this process ends by an error: nothing of it may be left on the machine.
  process.once('exit', () => {
    for (const child of children) child.kill('SIGKILL');
  });
  const kill = async (): Promise<void> => {
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGKILL');
        await ended;
      }),
    );
    await rm(folder, { recursive: true, force: true });
  };
  const start = async (name: string, args: readonly string[]): Promise<ChildProcess> => {
    const log = await open(path.join(folder, `${name}.log`), 'a');
    const child = spawn(program, args, { argv0: name, stdio: ['ignore', log.fd, log.fd] });
    children.push(child);
    await log.close();
    return child;
  };

  try {
    const [client = 0, peer = 0, secure = 0] = await freePorts(3);
    const etcdUrl = `http://127.0.0.1:${client}`;
    const peerUrl = `http://127.0.0.1:${peer}`;
    const file = (name: string): string => path.join(folder, name);
    const token = randomBytes(16).toString('hex');
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const kubeconfig = file('kubeconfig');
    await Promise.all([
      writeFile(file('service-accounts.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 }),
      writeFile(file('tokens.csv'), `${token},admin,admin,"${administrators}"\n`, { mode: 0o600 }),
      writeFile(kubeconfig, kubeconfigFor(`https://127.0.0.1:${secure}`, token), { mode: 0o600 }),
    ]);
    const etcd = await start('etcd', [
      `--data-dir=${file('etcd')}`,
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      '--unsafe-no-fsync',
      '--log-level=error',
    ]);
    const apiServer = await start('kube-apiserver', [
      `--etcd-servers=${etcdUrl}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${secure}`,
      `--cert-dir=${file('certificates')}`,
      `--token-auth-file=${file('tokens.csv')}`,
      '--authorization-mode=RBAC',
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${file('service-accounts.key')}`,
      `--service-account-signing-key-file=${file('service-accounts.key')}`,
      '--service-cluster-ip-range=10.96.0.0/12',
      '--endpoint-reconciler-type=none',
      // Its finalizer would be removed by a controller that isn't there.
      '--disable-admission-plugins=StorageObjectInUseProtection',
    ]);
    const access = await fromKubeconfig(kubeconfig);
    const admin = kubernetesClient(access, { log: quiet });
    await until('API server', () => isReady(admin, apiServer, file('kube-apiserver.log')), {
      within: startWithin,
      everyMs: 200,
      signal,
    });
    await prepare(admin, signal);
    await start('kube-controller-manager', [
      `--kubeconfig=${kubeconfig}`,
      '--controllers=garbage-collector-controller',
      '--leader-elect=false',
      '--secure-port=0',
      '--kube-api-qps=500',
      '--kube-api-burst=1000',
      '--concurrent-gc-syncs=4',
    ]);
    return {
      client: admin,
      access,
      kubeconfig,
      etcdUrl,
      pids: { apiServer: apiServer.pid ?? 0, etcd: etcd.pid ?? 0 },
      async makeNamespace(name) {
        await admin.create(namespaces, { metadata: { name } });
      },
      async stop() {
        await admin.close();
        await kill();
      },
    };
  } catch (error) {
    await kill();
    throw error;
  }
}

async function isReady(client: KubernetesClient, server: ChildProcess, log: string) {
  if (server.exitCode !== null) throw new Error(`kube-apiserver ended: ${(await readFile(log, 'utf8')).slice(-2_000)}`);
  // RBAC and the default namespace come last.
  const found = await client.get(namespaces, { name: 'default' }, { timeoutMs: 1_000 });
  return found === undefined ? notYet('no namespace default') : yes(true);
}

async function prepare(client: KubernetesClient, signal: AbortSignal): Promise<void> {
  const folder = path.join(repository, 'crds');
  for (const name of (await readdir(folder)).filter((one) => one.endsWith('.yaml')))
    for (const document of parseAllDocuments(await readFile(path.join(folder, name), 'utf8')))
      await client.create(customResourceDefinitions, document.toJS() as ApiObject);
  await until('CRDs', () => areEstablished(client), { within: startWithin, everyMs: 100, signal });
  for (const number of [1, 2, 3])
    await client.create(nodes, {
      metadata: {
        name: `n${number}`,
        labels: { 'kubernetes.io/hostname': `n${number}`, 'topology.kubernetes.io/zone': `z${number}` },
      },
      status: { conditions: [{ type: 'Ready', status: 'True' }] },
    });
  for (const [name, isDefault] of [
    ['standard', 'true'],
    ['standard-2', 'false'],
  ] as const)
    await client.create(storageClasses, {
      metadata: { name, annotations: { 'storageclass.kubernetes.io/is-default-class': isDefault } },
      provisioner: 'standin.mainstay.dev/volumes',
      allowVolumeExpansion: true,
    });
}

async function areEstablished(client: KubernetesClient) {
  const { items } = await client.list(customResourceDefinitions, {});
  const waiting = items.filter(
    ({ status }) => !status?.conditions?.some(({ type, status: is }) => type === 'Established' && is === 'True'),
  );
  return waiting.length === 0 ? yes(true) : notYet(`${waiting.length} are not established`);
}

const kubeconfigFor = (server: string, token: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'local',
    contexts: [{ name: 'local', context: { cluster: 'local', user: 'admin' } }],
    clusters: [{ name: 'local', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'admin', user: { token } }],
  });
