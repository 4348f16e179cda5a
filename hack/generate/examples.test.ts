import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { parsePostgresCluster } from '../../operator/api/postgres-cluster.ts';
import { postgresCluster } from './custom-resource-definition.ts';
import { repositoryRoot } from './stale-files.ts';
import { unknownFields } from './structural-schema.ts';

const folder = path.join(repositoryRoot, 'examples');
const examples = readdirSync(folder).filter((name) => name.endsWith('.yaml'));

test.each(examples)('examples/%s is valid and has no unknown field', (name) => {
  for (const document of parseAllDocuments(readFileSync(path.join(folder, name), 'utf8'))) {
    const object: unknown = document.toJS();
    expect(unknownFields(postgresCluster().schema, object)).toEqual([]);
    expect(() => parsePostgresCluster(object)).not.toThrow();
  }
});

test('every example is listed in the README', () => {
  const readme = readFileSync(path.join(folder, 'README.md'), 'utf8');
  for (const name of examples) expect(readme).toContain(`](${name})`);
});
