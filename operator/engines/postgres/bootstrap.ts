/** The first data directory of a cluster. */
import { access, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { BootstrapDefinition, Definition } from '../../api/cluster-state.ts';
import { PostgresDeclaration } from '../../api/postgres-declaration.ts';
import { MainstayError } from '../../platform/errors.ts';
import { command } from '../command.ts';
import { replaceFile, syncDirectory } from '../files.ts';
import { systemIdentifierOf } from './control-data.ts';
import { mountedPasswords } from './credentials.ts';
import { newWalDirectory, type Layout } from './layout.ts';
import { replicationRole, rewindRole } from './names.ts';
import { forgetSocketOwner } from './process.ts';
import { discard } from './rejoin.ts';
import { identifier, literal, withSession } from './sql.ts';

const bootstrapDefaults: BootstrapDefinition = {
  encoding: 'UTF8',
  localeProvider: 'builtin',
  locale: 'C.UTF-8',
  dataChecksums: true,
  walSegmentMegabytes: 16,
  postInitSql: [],
};

/**
 * initdb beside `data`, roles, the application's database and the user's SQL, a clean stop, then one rename: whole or not
 * at all. What an attempt before has left is thrown away: nobody has been served from it.
 */
export async function initialize(
  definition: Definition,
  declaration: string | undefined,
  layout: Layout,
  signal: AbortSignal,
): Promise<void> {
  const { bootstrap = bootstrapDefaults, application, postgres } = definition;
  await discard(layout.incoming);
  const wal = newWalDirectory(layout);
  await command(
    join(layout.bin, 'initdb'),
    [
      ...['-D', layout.incoming, '-U', 'postgres', ...initdbOptions(definition)],
      ...['--auth-local=peer', '--auth-host=scram-sha-256', '--no-instructions'],
      ...(wal === undefined ? [] : [`--waldir=${wal}`]),
    ],
    { signal },
  );
  const control = (...args: string[]): Promise<string> =>
    command(join(layout.bin, 'pg_ctl'), ['-D', layout.incoming, '-w', '-s', ...args], { signal });
  await forgetSocketOwner(layout);
  const libraries = postgres?.libraries ?? [];
  const options = [
    `-c listen_addresses= -c unix_socket_directories=${layout.run}`,
    // Extensions that the user's SQL makes may have to be loaded first.
    ...(libraries.length === 0 ? [] : [`-c shared_preload_libraries=${libraries.join(',')}`]),
  ];
  await control('-o', options.join(' '), '-l', '/dev/null', 'start');
  try {
    await makeRoles(definition, declaration, layout, signal);
    for (const sql of bootstrap.postInitSql)
      await runSql(sql, sql.database === 'application' ? application.database : 'postgres', layout, signal);
  } finally {
    await control('-m', 'fast', 'stop');
  }
  await replaceFile(layout.initialized, await systemIdentifierOf(layout, layout.incoming, signal));
  await rename(layout.incoming, layout.data);
  await syncDirectory(dirname(layout.data));
}

/** Whether these data were made here, and not brought by somebody else. */
export const wasInitializedHere = async (layout: Layout, systemIdentifier: string): Promise<boolean> =>
  (await readFile(layout.initialized, 'utf8').catch(() => undefined)) === systemIdentifier;

function initdbOptions({ version, bootstrap = bootstrapDefaults }: Definition): readonly string[] {
  const { encoding, localeProvider, locale, icuLocale, dataChecksums, walSegmentMegabytes } = bootstrap;
  // 17 makes none unless asked, and knows no word for it.
  const without = version === '17' ? [] : ['--no-data-checksums'];
  return [
    `--encoding=${encoding}`,
    `--locale-provider=${localeProvider}`,
    // The C library keeps the language of messages, numbers and the like in any case.
    `--locale=${localeProvider === 'builtin' ? 'C.UTF-8' : locale}`,
    ...(localeProvider === 'builtin' ? [`--builtin-locale=${locale}`] : []),
    ...(icuLocale === undefined ? [] : [`--icu-locale=${icuLocale}`]),
    ...(dataChecksums ? ['--data-checksums'] : without),
    `--wal-segsize=${walSegmentMegabytes}`,
  ];
}

async function makeRoles(
  definition: Definition,
  declaration: string | undefined,
  layout: Layout,
  signal: AbortSignal,
): Promise<void> {
  const { database, owner } = definition.application;
  const { replication, rewind } = await mountedPasswords(layout);
  const declared = declaration === undefined ? undefined : PostgresDeclaration.parse(JSON.parse(declaration));
  // Without one it is set as soon as the operator has seen the Secret.
  const password = declared?.roles.find(({ name }) => name === owner)?.password?.verifier;
  await withSession(layout.run, 30_000, signal, async (session) => {
    await session.query(`CREATE ROLE ${replicationRole} LOGIN REPLICATION PASSWORD ${literal(replication)}`);
    await session.query(`CREATE ROLE ${rewindRole} LOGIN PASSWORD ${literal(rewind)}`);
    // What pg_rewind needs from its source without being superuser (pg-lab.md §7).
    for (const signature of [
      'pg_ls_dir(text, boolean, boolean)',
      'pg_stat_file(text, boolean)',
      'pg_read_binary_file(text)',
      'pg_read_binary_file(text, bigint, bigint, boolean)',
    ])
      await session.query(`GRANT EXECUTE ON FUNCTION pg_catalog.${signature} TO ${rewindRole}`);
    await session.query(
      `CREATE ROLE ${identifier(owner)} LOGIN${password === undefined ? '' : ` PASSWORD ${literal(password)}`}`,
    );
    await session.query(`CREATE DATABASE ${identifier(database)} OWNER ${identifier(owner)}`);
  });
}

type PostInitSql = BootstrapDefinition['postInitSql'][number];

async function runSql(sql: PostInitSql, database: string, layout: Layout, signal: AbortSignal): Promise<void> {
  const file = join(layout.postInitSql, sql.file);
  await access(file).catch(() => {
    throw refused(sql, 'is not there, or holds no such key. Make it: the kubelet brings it within two minutes');
  });
  try {
    await command(
      join(layout.bin, 'psql'),
      [
        ...['-X', '-q', '--no-password', '-h', layout.run, '-U', 'postgres', '-d', database],
        ...['-v', 'ON_ERROR_STOP=1', ...(sql.secret ? [] : ['--echo-errors']), '-f', file],
      ],
      { signal, env: { PGOPTIONS: '-c client_min_messages=error' } },
    );
  } catch (error) {
    if (signal.aborted || !(error instanceof Error)) throw error;
    throw refused(sql, `failed: ${psqlComplaint(error.message, file, sql.secret)}`);
  }
}

const refused = ({ source }: PostInitSql, problem: string): MainstayError =>
  new MainstayError(
    'DatabaseCommandFailed',
    `spec.bootstrap.postInitSql: ${source} ${problem}. Nothing has been made; it is tried again with what it then holds.`,
    { retryable: true },
  );

/** "… psql:FILE:3: ERROR:  …\nLINE 1: …\npsql:FILE:3: STATEMENT:  …" → line, error and statement. Of a Secret, only what can't quote it. */
export function psqlComplaint(text: string, file: string, secret: boolean): string {
  const [, line = '?', error = 'see the log of the instance'] =
    new RegExp(`${file.replaceAll('.', '\\.')}:(\\d+): (?:ERROR|FATAL): +(.*)`).exec(text) ?? [];
  const statement = /STATEMENT: +([\s\S]*)$/.exec(text)?.[1]?.replaceAll(/\s+/g, ' ').trim().slice(0, 200);
  if (secret) return `line ${line} (it is a Secret: nothing of it is shown here)`;
  return `line ${line}: ${error}${statement === undefined ? '' : ` in: ${statement}`}`;
}
