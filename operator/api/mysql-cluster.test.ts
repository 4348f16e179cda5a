import { describe, expect, test } from '@jest/globals';
import { parseMySQLCluster, type MySQLCluster } from './mysql-cluster.ts';
import { refusedSpecsOf } from './refused-specs.ts';

const storage = { size: '20Gi' };

const cluster = (spec: object): MySQLCluster =>
  parseMySQLCluster({
    apiVersion: 'mainstay.dev/v1alpha1',
    kind: 'MySQLCluster',
    metadata: { name: 'orders' },
    spec,
  });

function refusal(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'accepted';
}

test('four lines make a whole cluster', () => {
  expect(cluster({ storage }).spec).toMatchObject({
    instances: 3,
    version: '9.7',
    application: { database: 'app', owner: 'app' },
    durability: { acknowledgements: 1 },
    deletionPolicy: 'Retain',
  });
});

describe('a spec is refused', () => {
  const knownToZod = refusedSpecsOf.MySQLCluster.filter(
    (refused) => refused.before === undefined && !refused.unknownField,
  );
  test.each(knownToZod)('with $title', ({ spec, says }) => {
    const message = refusal(() => cluster(spec));
    for (const text of says) expect(message).toContain(text);
  });
});
