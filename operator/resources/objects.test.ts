/** The small builders, one table each. */
import { describe, expect, test } from '@jest/globals';
import { definitionFor, definitionText } from './definition.ts';
import { primaryEndpointSlice } from './endpoint-slice.ts';
import { etcdSecret } from './etcd-secret.ts';
import { intentHash, withIntent } from './intent.ts';
import { instanceNumber } from './names.ts';
import { networkPolicyFor } from './network-policy.ts';
import { volumeFor } from './persistent-volume-claim.ts';
import { podDisruptionBudgetFor } from './pod-disruption-budget.ts';
import { roleBindingFor, roleFor } from './role.ts';
import { sampleCluster, sampleUid } from './sample-cluster.ts';
import { applicationSecret, systemSecret } from './secrets.ts';
import { serviceAccountFor } from './service-account.ts';
import { anyService, podsService, primaryService, replicasService } from './services.ts';

const cluster = sampleCluster();
const deleting = sampleCluster({ deletionPolicy: 'Delete' });

describe('services', () => {
  test.each([
    ['orders-rw', primaryService(cluster), undefined],
    ['orders-ro', replicasService(cluster), { 'mainstay.dev/cluster': 'orders', 'mainstay.dev/role': 'replica' }],
    ['orders-r', anyService(cluster), { 'mainstay.dev/cluster': 'orders' }],
    ['orders-pods', podsService(cluster), { 'mainstay.dev/cluster': 'orders' }],
  ])('%s', (name, service, selector) => {
    expect(service.metadata?.name).toBe(name);
    expect(service.spec?.selector).toEqual(selector);
    expect(service.spec?.ports).toEqual([{ name: 'postgres', port: 5432, targetPort: 5432, protocol: 'TCP' }]);
  });

  test('the headless one names Pods before they are ready', () => {
    expect(podsService(cluster).spec).toMatchObject({ clusterIP: 'None', publishNotReadyAddresses: true });
  });

  test('the slice of -rw is empty and nobody else’s', () => {
    const slice = primaryEndpointSlice(cluster);
    expect(slice.endpoints).toEqual([]);
    expect(slice.metadata?.labels).toMatchObject({
      'kubernetes.io/service-name': 'orders-rw',
      'endpointslice.kubernetes.io/managed-by': 'mainstay.dev',
    });
  });
});

describe('what outlives the cluster has no owner', () => {
  test.each([
    ['volume', volumeFor(cluster, 'orders-1', { dataUid: 'u' }), volumeFor(deleting, 'orders-1', { dataUid: 'u' })],
    ['application Secret', applicationSecret(cluster, 'p'), applicationSecret(deleting, 'p')],
    ['system Secret', systemSecret(cluster, () => 'a'), systemSecret(deleting, () => 'a')],
  ])('%s', (_, retained, deleted) => {
    expect(retained.metadata?.ownerReferences).toEqual([]);
    expect(deleted.metadata?.ownerReferences).toMatchObject([{ uid: sampleUid }]);
  });

  test.each([
    ['ServiceAccount', serviceAccountFor(cluster)],
    ['Role', roleFor(cluster)],
    ['RoleBinding', roleBindingFor(cluster)],
    ['Service', primaryService(cluster)],
    ['EndpointSlice', primaryEndpointSlice(cluster)],
    ['Secret for etcd', etcdSecret(cluster, { password: 'p' })],
    ['PodDisruptionBudget', podDisruptionBudgetFor(cluster)],
  ])('%s goes with it', (_, object) => {
    expect(object?.metadata?.ownerReferences).toMatchObject([{ uid: sampleUid, kind: 'PostgresCluster' }]);
  });
});

describe('network policy', () => {
  const rules = (networkPolicy: object) => networkPolicyFor(sampleCluster({ networkPolicy }))?.spec?.ingress;
  const own = { podSelector: { matchLabels: { 'mainstay.dev/cluster': 'orders' } } };
  const [database, agent] = [5432, 8008].map((port) => ({ protocol: 'TCP', port }));

  test('none unless asked for', () => {
    expect(networkPolicyFor(cluster)).toBeUndefined();
  });
  test('the agents’ port is for the instances; the database’s for everybody, or those who are named', () => {
    expect(rules({ mode: 'Restricted' })).toEqual([{ from: [own], ports: [database, agent] }, { ports: [database] }]);
    const shop = { podLabels: { app: 'shop' } };
    expect(rules({ mode: 'Restricted', clients: [shop] })?.[1]).toEqual({
      from: [{ podSelector: { matchLabels: { app: 'shop' } } }],
      ports: [database],
    });
  });
  test('monitoring from another namespace; an empty peer is the own namespace', () => {
    const monitoring = [{ namespaceLabels: { team: 'ops' } }, {}];
    expect(rules({ mode: 'Restricted', monitoring })?.[2]).toEqual({
      from: [{ namespaceSelector: { matchLabels: { team: 'ops' } } }, { podSelector: { matchLabels: {} } }],
      ports: [agent],
    });
  });
});

test('the budget of a single instance lets nobody evict it, if that is asked for', () => {
  expect(podDisruptionBudgetFor(sampleCluster({ instances: 1 }))).toBeUndefined();
  const block = sampleCluster({ instances: 1, disruption: { singleInstance: 'Block' } });
  expect(podDisruptionBudgetFor(block)?.spec).toMatchObject({ maxUnavailable: 0 });
});

describe('volume', () => {
  test('is marked for the admission policy while the cluster is protected', () => {
    const marked = volumeFor(sampleCluster({ deletionProtection: true }), 'orders-1', { dataUid: 'u' });
    const plain = volumeFor(cluster, 'orders-1', { dataUid: 'u' });
    expect(marked.metadata?.labels).toMatchObject({ 'mainstay.dev/deletion-protection': 'true' });
    expect(plain.metadata?.labels).not.toHaveProperty(['mainstay.dev/deletion-protection']);
  });

  const size = (spec: string, existing?: string) =>
    volumeFor(sampleCluster({ storage: { size: spec } }), 'orders-1', {
      dataUid: 'u',
      ...(existing !== undefined && { existing: { size: existing } }),
    }).spec?.resources?.requests?.['storage'];

  test.each([
    ['2Gi', undefined, '2Gi'],
    ['2Gi', '1Gi', '2Gi'],
    ['1Gi', '2Gi', '2Gi'],
    ['1024Mi', '1Gi', '1024Mi'],
  ])('asked for %s, there is %s: %s', (spec, existing, expected) => {
    expect(size(spec, existing)).toBe(expected);
  });

  test('says whose data it holds', () => {
    const volume = volumeFor(cluster, 'orders-1', { dataUid: 'first' });
    expect(volume.metadata?.annotations).toMatchObject({ 'mainstay.dev/cluster-uid': 'first' });
  });
});

test('the agents may do nothing but point -rw at themselves', () => {
  expect(roleFor(cluster).rules).toEqual([
    {
      apiGroups: ['discovery.k8s.io'],
      resources: ['endpointslices'],
      resourceNames: ['orders-rw'],
      verbs: ['get', 'update', 'patch'],
    },
  ]);
  expect(roleBindingFor(cluster).subjects).toEqual([{ kind: 'ServiceAccount', name: 'orders', namespace: 'shop' }]);
});

test.each([
  [1, undefined],
  [2, 1],
  [3, 1],
])('PodDisruptionBudget of %i instances', (instances, maxUnavailable) => {
  expect(podDisruptionBudgetFor(sampleCluster({ instances }))?.spec?.maxUnavailable).toBe(maxUnavailable);
});

test('the application Secret opens the database, whatever is in the password', () => {
  const { stringData = {}, type } = applicationSecret(cluster, 'p@ss/w&rd');
  expect(type).toBe('kubernetes.io/basic-auth');
  expect(stringData).toMatchObject({ username: 'app', dbname: 'app', host: 'orders-rw.shop.svc', port: '5432' });
  expect(stringData['uri']).toBe(
    'postgresql://app:p%40ss%2Fw%26rd@orders-rw.shop.svc:5432,orders-pods.shop.svc:5432/app?target_session_attrs=read-write&connect_timeout=2',
  );
  expect(stringData['jdbc-uri']).toBe(
    'jdbc:postgresql://orders-rw.shop.svc:5432/app?user=app&password=p%40ss%2Fw%26rd&targetServerType=primary',
  );
});

test('the copy of etcd’s credentials holds each file, and a renewal is a new intent', () => {
  const secret = etcdSecret(cluster, { 'ca.crt': 'PEM', password: 'größer' });
  const decoded = Object.entries(secret.data ?? {}).map(([file, text]) => [
    file,
    Buffer.from(text, 'base64').toString(),
  ]);
  expect(Object.fromEntries(decoded)).toEqual({ 'ca.crt': 'PEM', password: 'größer' });
  const renewed = etcdSecret(cluster, { 'ca.crt': 'PEM', password: 'other' });
  expect(renewed.metadata?.annotations).not.toEqual(secret.metadata?.annotations);
});

describe('definition', () => {
  const tag = (priority: number, noFailover = false, noSync = false) => ({ priority, noFailover, noSync });

  test.each<[string, Record<string, unknown>, Record<string, unknown> | undefined]>([
    ['nothing', {}, undefined],
    ['what is the default anyway', { instances: [{ ordinal: 2 }] }, undefined],
    ['a priority', { instances: [{ ordinal: 2, priority: -5 }] }, { 'orders-2': tag(-5) }],
    [
      'what an instance may not',
      { instances: [{ ordinal: 3, noFailover: true, noSync: true }] },
      { 'orders-3': tag(0, true, true) },
    ],
    ['a zone', { preferredZone: 'a' }, { 'orders-1': tag(1000), 'orders-2': tag(1000) }],
    ['both', { preferredZone: 'b', instances: [{ ordinal: 3, priority: 7 }] }, { 'orders-3': tag(1007) }],
    ['a zone where nobody is', { preferredZone: 'c' }, undefined],
  ])('tags of %s', (_, failover, tags) => {
    const zones = new Map([
      ['orders-1', 'a'],
      ['orders-2', 'a'],
      ['orders-3', 'b'],
    ]);
    expect(definitionFor(sampleCluster({ failover }), { zones }).tags).toEqual(tags);
  });

  test.each([
    [3, [], ['orders-1', 'orders-2', 'orders-3'], { mode: 'Strict', acknowledgements: 1 }],
    [2, [], ['orders-1', 'orders-2'], { mode: 'Preferred', acknowledgements: 1 }],
    [1, [], ['orders-1'], { mode: 'Preferred', acknowledgements: 0 }],
    [1, ['orders-3'], ['orders-1', 'orders-3'], { mode: 'Preferred', acknowledgements: 0 }],
  ])('%i instances, %j leaving', (instances, leaving, names, durability) => {
    expect(definitionFor(sampleCluster({ instances }), { leaving })).toMatchObject({
      generation: 4,
      engine: 'postgres',
      version: '18',
      instances: names,
      durability,
      application: { database: 'app', owner: 'app' },
      paused: false,
    });
  });

  test('a delayed replica never leads and is never waited for; clones are throttled', () => {
    const failover = { instances: [{ ordinal: 3, replayDelay: '6h' }] };
    expect(definitionFor(sampleCluster({ failover }))).toMatchObject({
      tags: { 'orders-3': { noFailover: true, noSync: true, replayDelay: 21_600 } },
      copyRate: 100 * 1024 * 1024,
    });
  });

  test('the order of parameters means nothing', () => {
    const text = (parameters: object) => definitionText(definitionFor(sampleCluster({ postgresql: { parameters } })));
    expect(text({ work_mem: '8MB', jit: 'off' })).toBe(text({ jit: 'off', work_mem: '8MB' }));
  });
});

test.each([
  ['orders-1', 1],
  ['orders-12', 12],
  ['orders-0', undefined],
  ['orders-rw', undefined],
  ['orders-eu-1', undefined],
  ['other-1', undefined],
])('number of %s: %s', (name, number) => {
  expect(instanceNumber('orders', name)).toBe(number);
});

test('an intent does not depend on the order of fields, nor on what is undefined', () => {
  expect(intentHash({ a: 1, b: { c: [1, 2] } })).toBe(intentHash({ b: { c: [1, 2] }, a: 1, d: undefined }));
  expect(intentHash({ a: [1, 2] })).not.toBe(intentHash({ a: [2, 1] }));
  const object = withIntent({ metadata: { annotations: { x: 'y' } } });
  expect(object.metadata.annotations).toMatchObject({ x: 'y', 'mainstay.dev/intent': expect.any(String) });
});
