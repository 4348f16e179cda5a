/** The catalogue of parameters in operator/api, as a real server of each major version tells it. */
import { format, resolveConfig } from 'prettier';
import path from 'node:path';
import type { SettingRow } from '../../operator/api/parameter-catalogue.ts';
import { drivePostgres, type DrivenPostgres } from '../container/postgres.ts';
import { repositoryRoot } from './stale-files.ts';

/** Of PostgreSQL's own distribution: those that have parameters. */
const libraries = [
  'auth_delay',
  'auto_explain',
  'basic_archive',
  'pg_prewarm',
  'pg_stat_statements',
  'pg_trgm',
  'postgres_fdw',
];

const query = `SELECT current_setting('server_version_num')::int / 10000 AS version, json_agg(json_build_array(
  name, context, vartype, unit, min_val, max_val, enumvals) ORDER BY name COLLATE "C") FROM pg_settings`;

export interface Catalogue {
  readonly version: string;
  readonly rows: readonly SettingRow[];
}

/** A server with every library that comes with PostgreSQL and has parameters. */
export async function startWithLibraries(root: string): Promise<DrivenPostgres> {
  const server = await drivePostgres(root, { parameters: { shared_preload_libraries: libraries.join(',') } });
  try {
    await server.run({ type: 'initialize' });
    await server.run({ type: 'start' });
    return server;
  } catch (error) {
    await server.remove();
    throw error;
  }
}

export function askCatalogue(server: DrivenPostgres): Catalogue {
  const { ok, output } = server.psql(query);
  const [, version, rows] = /^(\d+)\|(\[.*\])$/s.exec(output) ?? [];
  if (!ok || version === undefined || rows === undefined) throw new Error(`pg_settings could not be read: ${output}`);
  return { version, rows: JSON.parse(rows) as SettingRow[] };
}

export const catalogueFile = (version: string): string =>
  path.join(repositoryRoot, `operator/api/pg-settings-${version}.ts`);

export async function catalogueText({ version, rows }: Catalogue): Promise<string> {
  const text = [
    `/** pg_settings of PostgreSQL ${version}, by hack/generate/pg-settings-main.ts from a real server; not edited by hand. */`,
    `import type { SettingRow } from './parameter-catalogue.ts';`,
    '',
    '/** Name, context, type, unit, least, most, values. */',
    `export const pgSettings${version}: readonly SettingRow[] = [`,
    ...rows.map((row) => `  ${JSON.stringify(row)},`),
    '];',
    '',
  ].join('\n');
  const file = catalogueFile(version);
  return format(text, { ...(await resolveConfig(file)), filepath: file });
}
