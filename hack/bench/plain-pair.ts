/** Two Pods beside the cluster's, on the same nodes, with the same image and configuration, and the database alone in them. */
import type { V1Pod } from '@kubernetes/client-node';
import type { InstancePod } from '../testbed/database-cluster.ts';
import { notYet, seconds, until, yes } from '../testbed/until.ts';
import type { Arena } from './arena.ts';

export interface PlainPair {
  /** Address of its primary. */
  readonly address: string;
  readonly remove: () => Promise<void>;
}

export interface PlainPods {
  readonly addresses: readonly string[];
  readonly inside: (pod: string, script: string, input?: string) => Promise<string>;
  readonly remove: () => Promise<void>;
}

const data = '/var/lib/mainstay/pgdata';
const configuration = '/var/lib/mainstay/configuration';
const socket = '/run/mainstay';
export const readyMs = seconds(120);
export const names = ['plain-1', 'plain-2'] as const;

/** Like the cluster's, but nothing runs in them yet. */
export async function startPlainPods(arena: Arena, primary: InstancePod, replica: InstancePod): Promise<PlainPods> {
  const { access, api, signal, orders, engine } = arena;
  const inNamespace = ['--namespace', orders.namespace];
  const inside = (pod: string, script: string, input?: string): Promise<string> =>
    access.kubectl(
      [
        ...['exec', ...inNamespace, pod, '--container', engine.name],
        ...[...(input === undefined ? [] : ['--stdin']), '--', 'bash', '-ec', script],
      ],
      { signal, timeoutMs: readyMs, ...(input !== undefined && { input }) },
    );
  const remove = async (): Promise<void> => {
    await access.kubectl(
      ['delete', 'pod,pvc', ...names, ...inNamespace, '--ignore-not-found', '--wait=true', '--grace-period=1'],
      { timeoutMs: readyMs },
    );
  };
  await remove();
  const addresses: string[] = [];
  for (const [index, like] of [primary, replica].entries()) {
    const pod = await api.get<V1Pod>(`/api/v1/namespaces/${orders.namespace}/pods/${like.name}`);
    const name = names[index] ?? '';
    await access.kubectl(['create', ...inNamespace, '-f', '-'], {
      signal,
      input: manifest(name, engine.name, like.node, pod),
    });
    addresses.push(await addressOf(arena, name));
  }
  return { addresses, inside, remove };
}

/** Takes over configuration and certificates of the cluster's primary, and how its replica connects. */
export async function startPlainPair(arena: Arena, primary: InstancePod, replica: InstancePod): Promise<PlainPair> {
  const { signal } = arena;
  const { addresses, inside, remove } = await startPlainPods(arena, primary, replica);
  const [address = ''] = addresses;
  const setting = (pod: string, name: string): Promise<string> =>
    inside(pod, `psql -h ${socket} -U postgres -XAtqc 'SHOW ${name}'`).then((text) => text.trim());
  const files = await inside(primary.name, 'tar -C / -czf - var/lib/mainstay/configuration run/mainstay/tls | base64');
  const connection = (await setting(replica.name, 'primary_conninfo'))
    .replace(/host=\S+/, `host=${address}`)
    .replace(/application_name=\S+/, `application_name=${names[1]}`);
  const own = [
    `cat > ${configuration}/pg_hba.conf <<'END'`,
    'local all all trust',
    'host all all all trust',
    'host replication all all trust',
    'END',
  ];
  const dynamic = (standbys: string, from: string, slot: string): readonly string[] => [
    `cat > ${configuration}/dynamic.conf <<'END'`,
    `synchronous_standby_names = '${standbys}'`,
    `primary_conninfo = '${from}'`,
    `primary_slot_name = '${slot}'`,
    'END',
  ];
  const start = [
    `setsid postgres -D ${data} -c config_file=${configuration}/postgresql.conf < /dev/null > ${socket}/start.log 2>&1 &`,
    `for try in $(seq 300); do pg_isready -q -h ${socket} && exit 0; sleep 0.2; done; cat ${socket}/start.log >&2; exit 1`,
  ];
  for (const name of names) await inside(name, 'base64 -d | tar -C / --no-overwrite-dir -xzf -', files);
  const quorum = `ANY 1 ("${names[1]}")`;
  await inside(
    names[0],
    [
      `initdb -D ${data} -U postgres --encoding=UTF8 --locale=C.UTF-8 --data-checksums --no-instructions > /dev/null`,
      ...own,
      ...dynamic('', '', ''),
      ...start,
    ].join('\n'),
  );
  await inside(
    names[0],
    // As in examples/postgres.yaml: the default names.
    `psql -h ${socket} -U postgres -v ON_ERROR_STOP=1 -XqAt <<'END'
CREATE ROLE mainstay_replication LOGIN REPLICATION;
CREATE ROLE app LOGIN;
CREATE DATABASE app OWNER app;
SELECT pg_create_physical_replication_slot('plain_2');
END`,
  );
  await inside(
    names[1],
    [
      `pg_basebackup -h ${address} -U mainstay_replication -D ${data} -X stream -c fast`,
      ...own,
      ...dynamic(quorum, connection, 'plain_2'),
      `touch ${data}/standby.signal`,
      ...start,
    ].join('\n'),
  );
  await inside(
    names[0],
    [...dynamic(quorum, '', ''), `psql -h ${socket} -U postgres -XqAtc 'SELECT pg_reload_conf()' > /dev/null`].join(
      '\n',
    ),
  );
  await until(
    'the plain replica to acknowledge',
    async () => {
      const state = await inside(
        names[0],
        `psql -h ${socket} -U postgres -XqAtc 'SELECT sync_state FROM pg_stat_replication'`,
      );
      return state.trim() === 'quorum' ? yes(undefined) : notYet(state);
    },
    { within: readyMs, signal },
  );
  return { address, remove };
}

/** The instance's own Pod, but for the name by which it is known, the volume, and what runs. */
function manifest(name: string, containerName: string, node: string, like: V1Pod | undefined): string {
  const [container] = like?.spec?.containers ?? [];
  if (like?.spec === undefined || container === undefined) throw new Error('the instance has no Pod');
  const { image, env, volumeMounts, securityContext, resources } = container;
  const volumes = (like.spec.volumes ?? [])
    .filter((volume) => volumeMounts?.some((mount) => mount.name === volume.name))
    .map((volume): object =>
      volume.name === 'data' ? { name: 'data', persistentVolumeClaim: { claimName: name } } : volume,
    );
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  };
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      // Not nodeName: the volume is made where the scheduler puts its first Pod.
      nodeSelector: { 'kubernetes.io/hostname': node },
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 1,
      automountServiceAccountToken: false,
      securityContext: like.spec.securityContext,
      containers: [
        {
          ...{ name: containerName, image, env, volumeMounts, securityContext, resources },
          imagePullPolicy: 'IfNotPresent',
          command: ['sleep', 'infinity'],
        },
      ],
      volumes,
    },
  };
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [claim, pod] });
}

async function addressOf({ api, orders, signal }: Arena, name: string): Promise<string> {
  return until(
    `${name} running`,
    async () => {
      const pod = await api.get<V1Pod>(`/api/v1/namespaces/${orders.namespace}/pods/${name}`);
      const status = pod?.status;
      return status?.phase === 'Running' && status.podIP !== undefined
        ? yes(status.podIP)
        : notYet(status?.phase ?? 'not there');
    },
    { within: readyMs, signal },
  );
}
