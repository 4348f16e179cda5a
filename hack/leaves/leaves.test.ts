import { describe, expect, test } from '@jest/globals';
import type { ClusterKind } from '../../operator/api/database-cluster.ts';
import { intentHash } from '../../operator/resources/intent.ts';
import { sampleInstallation, sampleCluster } from '../../operator/resources/sample-cluster.ts';
import { mysqlCluster, postgresCluster } from '../generate/custom-resource-definition.ts';
import type { StructuralSchema } from '../generate/structural-schema.ts';
import { objectsFor, wordsFor } from './children.ts';
import { contexts } from './contexts.ts';
import { leavesOf, withLeaf, type Context, type Leaf } from './leaves.ts';

const kinds = [
  ['PostgresCluster', postgresCluster(), '18'],
  ['MySQLCluster', mysqlCluster(), '9.7'],
] as const;
const specs = kinds.map(([kind, { schema }, version]) => {
  const spec = schema.properties?.['spec'] ?? {};
  return { kind, version, spec, leaves: leavesOf(spec) };
});

/** The same where it holds for one leaf alone. */
const besideLeaf: Readonly<Record<string, Readonly<Record<string, Context>>>> = {
  'bootstrap.icuLocale': { bootstrap: { localeProvider: 'icu' } },
  'databases[].icuLocale': { 'databases[]': { name: 'reports', localeProvider: 'icu' } },
  'bootstrap.postInitSql[].database': { 'bootstrap.postInitSql[]': { configMap: { name: 'first', key: 'a.sql' } } },
  'affinity.tolerations[].key': { 'affinity.tolerations[]': { operator: 'Exists' } },
  'disruption.singleInstance': { '': { instances: 1 } },
  'group.mode': { '': { topology: 'Group' } },
};

/** Two values for what is no choice, number or yes and no. */
const values: Readonly<Record<string, readonly [unknown, unknown]>> = {
  'durability.acknowledgements': [2, 1],
  'bootstrap.localeProvider': ['libc', 'builtin'],
  'databases[].localeProvider': ['libc', 'builtin'],
  'storage.size': ['2Gi', '3Gi'],
  'walStorage.size': ['2Gi', '3Gi'],
  'replication.cloneRate': ['10Mi', '20Mi'],
  'replication.replaceLostVolumesAfter': ['5m', 'Never'],
  'failover.preferredZone': ['z1', 'z2'],
  'failover.instances[].replayDelay': ['1h', '2h'],
  'bootstrap.locale': ['C', 'C.UTF-8'],
  'bootstrap.encoding': ['UTF8', 'LATIN1'],
  'databases[].encoding': ['UTF8', 'LATIN1'],
  'roles[].validUntil': ['2030-01-01T00:00:00Z', 'infinity'],
  'postgresql.parameters.*': ['1', '2'],
  'postgresql.pgHba[]': ['host all all 10.0.0.0/8 scram-sha-256', 'host all all 10.1.0.0/16 scram-sha-256'],
  'postgresql.pgIdent[]': ['map a b', 'map a c'],
  'mysql.parameters.*': ['1', '2'],
  'users[].grants[].privileges[]': ['SELECT', 'INSERT'],
  'tls.ciphers': ['HIGH', 'ECDHE-RSA-AES256-GCM-SHA384'],
  'tls.names[]': ['db.example.org', 'sql.example.org'],
  'maintenance.windows[].start': ['01:00', '02:00'],
  'maintenance.windows[].durationMinutes': [60, 90],
  'maintenance.timeZone': ['Europe/Berlin', 'Asia/Tokyo'],
  image: ['example.org/postgres:18', 'example.org/postgres:18.1'],
};
const keysOf: Readonly<Record<string, string>> = {
  'postgresql.parameters.*': 'work_mem',
  'mysql.parameters.*': 'back_log',
};

/** What no object and no word shows, because it is only decided from; with the place where that is tested. */
const decidedFrom: Readonly<Record<string, string>> = {
  paused: 'controllers/database-cluster/decide.test.ts',
  hibernated: 'controllers/database-cluster/decide.test.ts',
  operatorUpgrades: 'controllers/database-cluster/operator-upgrade.test.ts',
  'maintenance.windows[].days[]': 'controllers/database-cluster/maintenance.test.ts',
  'maintenance.windows[].start': 'controllers/database-cluster/maintenance.test.ts',
  'maintenance.windows[].durationMinutes': 'controllers/database-cluster/maintenance.test.ts',
  'maintenance.timeZone': 'controllers/database-cluster/maintenance.test.ts',
  'replication.replaceLostVolumesAfter': 'controllers/database-cluster/volume-replacement.test.ts',
  'failover.failback': 'controllers/database-cluster/failback.test.ts',
  'tls.serverSecret': 'controllers/database-cluster/certificates.test.ts',
  'tls.authoritySecret': 'controllers/database-cluster/certificates.test.ts',
  'tls.authorityLeadDays': 'controllers/database-cluster/certificates.test.ts',
};

function alternatives({ path, schema }: Leaf): readonly [unknown, unknown] {
  const given = values[path];
  if (given) return given;
  const { type, enum: choices, default: usual, minimum = 0 } = schema;
  if (type === 'boolean') return usual === true ? [false, true] : [true, false];
  if (choices) {
    const others = choices.filter((choice) => choice !== usual);
    return [others[0], others[1] ?? usual];
  }
  if (type === 'integer') return usual === minimum + 1 ? [minimum + 2, minimum + 3] : [minimum + 1, minimum + 2];
  if (schema['x-kubernetes-int-or-string']) return ['1', '2'];
  return ['one', 'two'];
}

/** With every default filled in by the schema, as the API server does. A digest: the whole is long. */
function childrenOf(kind: ClusterKind, given: Context): string {
  const cluster = sampleCluster(given, { generation: 4 }, {}, kind);
  return intentHash([objectsFor(cluster, sampleInstallation), wordsFor(cluster)]);
}

describe.each(specs)('$kind', ({ kind, version, spec, leaves }) => {
  const minimal: Context = { instances: 3, version, storage: { size: '1Gi' } };

  test.each(leaves.map((leaf) => [leaf.path, leaf] as const))(
    '%s: set, changed and unset, children follow',
    (path, leaf) => {
      const around = { ...contexts, ...besideLeaf[path] };
      const key = keysOf[path];
      const set = (value: unknown): Context => withLeaf(minimal, path, value, around, key);
      const [one, other] = alternatives(leaf);
      const [first, second] = [childrenOf(kind, set(one)), childrenOf(kind, set(other))];
      if (path in decidedFrom) {
        expect(first).toBe(second);
        return;
      }
      expect(first).not.toBe(second);
      // A locale of ICU belongs to its provider.
      if (isNeeded(spec, path) || path.endsWith('icuLocale')) return;
      // What was set before has left nothing behind, as what is wanted is made from the spec alone; and one of the two is no default.
      const unset = childrenOf(kind, set(undefined));
      expect([first, second].some((children) => children !== unset)).toBe(true);
    },
  );
});

test('what is only decided from is still a leaf', () => {
  const paths = specs.flatMap(({ leaves }) => leaves.map(({ path }) => path));
  expect(Object.keys({ ...decidedFrom, ...values }).filter((path) => !paths.includes(path))).toEqual([]);
});

function isNeeded(schema: StructuralSchema, path: string): boolean {
  const steps = path.split('.');
  let here: StructuralSchema | undefined = schema;
  for (const [index, step] of steps.entries()) {
    const name = step.replace('[]', '');
    if (index === steps.length - 1)
      return here?.required?.includes(name) === true || step.endsWith('[]') || step === '*';
    here = step === '*' ? here?.additionalProperties : here?.properties?.[name];
    if (step.endsWith('[]')) here = here?.items;
  }
  return false;
}
