import { describe, expect, test } from '@jest/globals';
import { podFor, podInputs, podIntent } from './pod.ts';
import { sampleCluster, sampleInstallation, sampleUid } from './sample-cluster.ts';

const facts = { installation: sampleInstallation, image: 'mainstay.dev/postgres:18', dataUid: 'data-uid' };
const pod = podFor(sampleCluster(), 'orders-2', facts);
const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];

describe('restricted Pod Security', () => {
  test('the Pod runs as postgres, never as root, under the default seccomp profile', () => {
    expect(pod.spec?.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 999,
      runAsGroup: 999,
      fsGroup: 999,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(pod.spec).not.toHaveProperty('hostNetwork');
    expect(pod.spec).not.toHaveProperty('hostPID');
  });

  test.each(containers.map((container) => [container.name, container] as const))('container %s', (_, container) => {
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      privileged: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    });
  });

  test('only allowed volume types', () => {
    const types = (pod.spec?.volumes ?? []).flatMap((volume) => Object.keys(volume).filter((key) => key !== 'name'));
    expect(new Set(types)).toEqual(new Set(['persistentVolumeClaim', 'emptyDir', 'secret', 'projected']));
  });

  test('the token of the service account is where the agent needs it, and nowhere else', () => {
    expect(pod.spec?.automountServiceAccountToken).toBe(false);
    const holders = containers.filter(({ volumeMounts }) => volumeMounts?.some(({ name }) => name === 'token'));
    expect(holders.map(({ name }) => name)).toEqual(['postgres']);
  });
});

test('the contract with the agent', () => {
  const [database] = pod.spec?.containers ?? [];
  const env = Object.fromEntries((database?.env ?? []).map((entry) => [entry.name, entry.value ?? entry.valueFrom]));
  expect(env).toMatchObject({
    MAINSTAY_ENGINE: 'postgres',
    MAINSTAY_NAMESPACE: 'shop',
    MAINSTAY_CLUSTER: 'orders',
    MAINSTAY_CLUSTER_UID: 'data-uid',
    MAINSTAY_INSTANCE: 'orders-2',
    MAINSTAY_ETCD_ENDPOINTS: 'http://etcd-0:2379,http://etcd-1:2379',
    MAINSTAY_SERVICE_RW: 'orders-rw',
    MAINSTAY_NODE: { fieldRef: { fieldPath: 'spec.nodeName' } },
    MAINSTAY_POD_IP: { fieldRef: { fieldPath: 'status.podIP' } },
  });
  expect(database?.command?.slice(0, 3)).toEqual(['bash', '/mainstay/init', '/mainstay/node']);
  expect(database?.command?.slice(-2)).toEqual(['/mainstay/agent.mjs', 'run']);
  expect(database?.volumeMounts?.map((mount) => mount.mountPath)).toEqual([
    '/var/lib/mainstay',
    '/mainstay',
    '/run/mainstay',
    '/tmp',
    '/dev/shm',
    '/var/run/secrets/kubernetes.io/serviceaccount',
    '/etc/mainstay/system',
    '/etc/mainstay/tls',
  ]);
  expect(pod.metadata?.labels).toMatchObject({
    'app.kubernetes.io/managed-by': 'mainstay',
    'mainstay.dev/cluster': 'orders',
    'mainstay.dev/instance': 'orders-2',
  });
  expect(pod.metadata?.ownerReferences).toMatchObject([{ uid: sampleUid, controller: true }]);
  expect(JSON.stringify(pod)).not.toMatch(/password/i);
});

test('credentials of etcd are mounted where there are any; a renewal leaves the Pod alone', () => {
  const withFiles = (files: Record<string, string>) => ({
    ...facts,
    installation: { ...sampleInstallation, etcdCredentials: files },
  });
  const guarded = podFor(sampleCluster(), 'orders-2', withFiles({ password: 'kept secret' })).spec;
  const [database] = guarded?.containers ?? [];
  expect(guarded?.volumes).toContainEqual({ name: 'etcd', secret: { secretName: 'orders-etcd', defaultMode: 0o440 } });
  expect(database?.volumeMounts).toContainEqual({ name: 'etcd', mountPath: '/etc/mainstay/etcd', readOnly: true });
  expect(database?.env).toContainEqual({ name: 'MAINSTAY_ETCD_CREDENTIALS', value: '/etc/mainstay/etcd' });
  expect(JSON.stringify(guarded)).not.toContain('kept secret');
  const intent = (files: Record<string, string>) => podIntent(sampleCluster(), 'orders-2', withFiles(files));
  expect(intent({ password: 'two' })).toBe(intent({ password: 'one' }));
  expect(intent({})).not.toBe(podIntent(sampleCluster(), 'orders-2', facts));
});

test('agents of a replication group are told that it elects, and others nothing that would replace their Pods', () => {
  const env = (spec: Readonly<Record<string, unknown>>) =>
    podFor(sampleCluster(spec, {}, {}, 'MySQLCluster'), 'orders-2', facts).spec?.containers[0]?.env;
  expect(env({ topology: 'Group' })).toContainEqual({ name: 'MAINSTAY_TOPOLOGY', value: 'Group' });
  expect(JSON.stringify(env({}))).not.toContain('MAINSTAY_TOPOLOGY');
});

test('a write-ahead log of its own is mounted, and the agent told where', () => {
  const { spec } = podFor(sampleCluster({ walStorage: { size: '10Gi' } }), 'orders-2', facts);
  expect(spec?.volumes).toContainEqual({ name: 'wal', persistentVolumeClaim: { claimName: 'orders-2-wal' } });
  const [database] = spec?.containers ?? [];
  expect(database?.volumeMounts).toContainEqual({ name: 'wal', mountPath: '/var/lib/mainstay-wal' });
  expect(database?.env).toContainEqual({ name: 'MAINSTAY_WAL_VOLUME', value: '/var/lib/mainstay-wal' });
});

test.each([
  ['the number of instances', sampleCluster({ instances: 5 }), false],
  ['a PostgreSQL parameter', sampleCluster({ postgresql: { parameters: { work_mem: '8MB' } } }), false],
  ['durability', sampleCluster({ durability: { mode: 'Async' } }), false],
  ['the size of the volumes', sampleCluster({ storage: { size: '2Gi' } }), false],
  ['the generation alone', sampleCluster({}, { generation: 9 }), false],
  ['resources', sampleCluster({ resources: { limits: { memory: '1Gi' } } }), true],
  ['spread', sampleCluster({ affinity: { nodeSpread: 'Required' } }), true],
  ['the node selector', sampleCluster({ affinity: { nodeSelector: { disk: 'fast' } } }), true],
  ['tolerations', sampleCluster({ affinity: { tolerations: [{ key: 'db' }] } }), true],
  ['the priority', sampleCluster({ pod: { priorityClassName: 'high' } }), true],
  ['Pod annotations', sampleCluster({ pod: { annotations: { a: 'b' } } }), true],
  ['Pod labels', sampleCluster({ pod: { labels: { team: 'shop' } } }), true],
])('a change of %s replaces the Pod: %#', (_what, changed, replaces) => {
  const before = podIntent(sampleCluster(), 'orders-1', facts);
  expect(podIntent(changed, 'orders-1', facts) !== before).toBe(replaces);
  // Told from a change that comes with another operator.
  expect(podInputs(changed, facts) !== podInputs(sampleCluster(), facts)).toBe(replaces);
});

test('spread over nodes is preferred unless required; over zones always preferred', () => {
  const affinity = (spec: Record<string, unknown>) =>
    podFor(sampleCluster(spec), 'orders-1', facts).spec?.affinity?.podAntiAffinity;
  expect(
    affinity({})?.preferredDuringSchedulingIgnoredDuringExecution?.map((term) => [
      term.weight,
      term.podAffinityTerm.topologyKey,
    ]),
  ).toEqual([
    [100, 'kubernetes.io/hostname'],
    [50, 'topology.kubernetes.io/zone'],
  ]);
  const required = affinity({ affinity: { nodeSpread: 'Required' } });
  expect(required?.requiredDuringSchedulingIgnoredDuringExecution?.map((term) => term.topologyKey)).toEqual([
    'kubernetes.io/hostname',
  ]);
});

test('a lost node’s Pod is left to us, unless the user wants otherwise', () => {
  const tolerations = (own?: object[]) =>
    podFor(sampleCluster(own ? { affinity: { tolerations: own } } : {}), 'orders-1', facts).spec?.tolerations;
  expect(tolerations()?.map((toleration) => [toleration.key, toleration.tolerationSeconds])).toEqual([
    ['node.kubernetes.io/not-ready', undefined],
    ['node.kubernetes.io/unreachable', undefined],
  ]);
  const own = { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 30 };
  expect(tolerations([own])).toEqual([own, expect.objectContaining({ key: 'node.kubernetes.io/not-ready' })]);
});

test('a Pod asks for something even where nobody does, so that it does not starve first', () => {
  const { spec } = podFor(sampleCluster({}), 'orders-1', facts);
  expect(spec?.containers[0]?.resources?.requests).toEqual({ cpu: '250m', memory: '256Mi' });
});

test('resources apply to both containers, as strings', () => {
  const { spec } = podFor(sampleCluster({ resources: { requests: { cpu: 1 } } }), 'orders-1', facts);
  for (const container of [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])])
    expect(container.resources).toEqual({ requests: { cpu: '1' } });
});

test('what comes with another operator is no change of anybody’s; another etcd or image is', () => {
  const inputs = (installation: object, spec: Record<string, unknown> = {}) =>
    podInputs(sampleCluster(spec), { installation: { ...sampleInstallation, ...installation }, dataUid: 'u' });
  expect(inputs({ mainstayImage: 'mainstay:2', postgresImages: { '18': 'postgres:18.9' } })).toBe(inputs({}));
  expect(inputs({ etcdEndpoints: ['https://elsewhere'] })).not.toBe(inputs({}));
  expect(inputs({ etcdCredentials: {} })).not.toBe(inputs({}));
  expect(inputs({}, { image: 'mine:18' })).not.toBe(inputs({}));
});
