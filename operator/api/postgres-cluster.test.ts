import { describe, expect, test } from '@jest/globals';
import { MainstayError } from '../platform/errors.ts';
import { effectiveDurability } from './durability.ts';
import { parsePostgresCluster, type PostgresCluster } from './postgres-cluster.ts';
import { refusedSpecsOf } from './refused-specs.ts';

function cluster(spec: object, name = 'orders'): PostgresCluster {
  return parsePostgresCluster({
    apiVersion: 'mainstay.dev/v1alpha1',
    kind: 'PostgresCluster',
    metadata: { name, namespace: 'default' },
    spec,
  });
}

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof MainstayError && error.code === 'ResourceInvalid') return error.message;
    throw error;
  }
  throw new Error('was not refused');
}

const storage = { size: '20Gi' };

test('four lines make a whole cluster', () => {
  expect(cluster({ storage }).spec).toEqual({
    instances: 3,
    version: '18',
    storage,
    replication: { cloneRate: '100Mi', replaceLostVolumesAfter: '10m' },
    durability: { acknowledgements: 1 },
    failover: { failback: 'Never', instances: [] },
    affinity: { nodeSpread: 'Preferred', topologyKey: 'topology.kubernetes.io/zone' },
    postgresql: { parameters: {}, sharedPreloadLibraries: [], pgHba: [], pgIdent: [] },
    tls: { mode: 'Optional', minVersion: 'TLSv1.2', names: [], authorityLeadDays: 7 },
    bootstrap: { dataChecksums: true, walSegmentSize: '16Mi', postInitSql: [] },
    application: { database: 'app', owner: 'app' },
    roles: [],
    databases: [],
    deletionPolicy: 'Retain',
    deletionProtection: false,
    disruption: { singleInstance: 'Allow' },
    networkPolicy: { mode: 'Open', clients: [], monitoring: [] },
    maintenance: { windows: [], timeZone: 'UTC' },
    operatorUpgrades: 'KeepPods',
    hibernated: false,
    logLevel: 'info',
    paused: false,
  });
});

test('a cluster that nobody has looked at yet is not observed', () => {
  expect(cluster({ storage }).status).toEqual({ observedGeneration: -1 });
});

test('numbers and strings are both quantities', () => {
  const limits = { cpu: 2, memory: '4Gi' };
  expect(cluster({ storage, resources: { limits } }).spec.resources).toEqual({ limits });
});

describe('a spec is refused', () => {
  const knownToZod = refusedSpecsOf.PostgresCluster.filter(
    (refused) => refused.before === undefined && !refused.unknownField,
  );
  test.each(knownToZod)('with $title', ({ spec, says }) => {
    const message = refusal(() => cluster(spec));
    for (const text of says) expect(message).toContain(text);
  });
});

test.each([
  ['Preferred writes on without replicas', { mode: 'Preferred' }, [2, 3]],
  ['Async waits for nobody', { mode: 'Async' }, [1, 2, 3]],
  ['Strict with the primary and one replica', {}, [3]],
])('noSync is accepted where writes don’t wait for ever: %s', (_, durability, ordinals) => {
  const instances = ordinals.map((ordinal) => ({ ordinal, noSync: true }));
  expect(cluster({ storage, durability, failover: { instances } }).spec.failover.instances).toHaveLength(
    ordinals.length,
  );
});

test.each(['Orders', '1orders', 'orders-', 'o'.repeat(51)])('the name %s is refused', (name) => {
  expect(refusal(() => cluster({ storage }, name))).toContain('choose another name');
});

test.each(['o', 'orders', 'orders-2', 'o'.repeat(50)])('the name %s is accepted', (name) => {
  expect(cluster({ storage }, name).metadata.name).toBe(name);
});

test('all problems are named at once', () => {
  const message = refusal(() => cluster({ instances: 12, version: '9', storage }));
  expect(message).toContain('spec.instances');
  expect(message).toContain('spec.version');
});

describe('the durability in effect', () => {
  test.each([
    { instances: 1, durability: {}, effective: { mode: 'Preferred', acknowledgements: 0 } },
    { instances: 2, durability: {}, effective: { mode: 'Preferred', acknowledgements: 1 } },
    { instances: 3, durability: {}, effective: { mode: 'Strict', acknowledgements: 1 } },
    { instances: 5, durability: { acknowledgements: 2 }, effective: { mode: 'Strict', acknowledgements: 2 } },
    { instances: 2, durability: { mode: 'Strict' }, effective: { mode: 'Strict', acknowledgements: 1 } },
    { instances: 3, durability: { mode: 'Async' }, effective: { mode: 'Async', acknowledgements: 0 } },
  ])('of $durability with $instances instances', ({ instances, durability, effective }) => {
    expect(effectiveDurability(cluster({ instances, durability, storage }).spec)).toEqual(effective);
  });
});
