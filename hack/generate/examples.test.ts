import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { parseClusterOperation } from '../../operator/api/cluster-operation.ts';
import { parseFenceAgent } from '../../operator/api/fence-agent.ts';
import { parseMySQLCluster } from '../../operator/api/mysql-cluster.ts';
import { parsePostgresCluster } from '../../operator/api/postgres-cluster.ts';
import { customResources } from './custom-resource-definition.ts';
import { repositoryRoot } from './stale-files.ts';
import { unknownFields } from './structural-schema.ts';

const parsers: Readonly<Record<string, (object: unknown) => unknown>> = {
  PostgresCluster: parsePostgresCluster,
  MySQLCluster: parseMySQLCluster,
  ClusterOperation: parseClusterOperation,
  FenceAgent: parseFenceAgent,
};
const folder = path.join(repositoryRoot, 'examples');
const examples = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

test.each(examples)('examples/%s is valid and has no unknown field', (name) => {
  for (const document of parseAllDocuments(readFileSync(path.join(folder, name), 'utf8'))) {
    const object = document.toJS() as { readonly apiVersion: string; readonly kind: string; readonly metadata: object };
    if (object.apiVersion === 'v1') continue; // Kubernetes' own
    const resource = customResources().find(({ kind }) => kind === object.kind);
    expect(resource && unknownFields(resource.schema, object)).toEqual([]);
    // With generateName the API server makes up the name.
    const named = { ...object, metadata: { name: 'example', ...object.metadata } };
    expect(() => parsers[object.kind]?.(named)).not.toThrow();
  }
});

test('every example is listed in the README', () => {
  const readme = readFileSync(path.join(folder, 'README.md'), 'utf8');
  for (const name of examples) expect(readme).toContain(`](${name})`);
});
