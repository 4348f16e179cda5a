/**
 * A major upgrade: pg_upgrade makes the next version's data beside the old, which stays whole until the cluster has changed
 * over, and is kept after that.
 */
import { mkdir, readFile, rename, rm, statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Definition, UpgradeRequest } from '../../api/cluster-state.ts';
import type { Clock } from '../../platform/clock.ts';
import { MainstayError } from '../../platform/errors.ts';
import { command } from '../command.ts';
import { exists, replaceFile, syncDirectory } from '../files.ts';
import { configFile, unacceptable, upgradeConfigFile } from './config.ts';
import { controlData, systemIdentifierOf } from './control-data.ts';
import { installedVersions, newWalDirectory, withVersion, type Layout } from './layout.ts';
import { holdLockAndRun, killHolders } from '../processes.ts';
import { discard } from './rejoin.ts';
import { withSession } from './sql.ts';
import { listWal } from './timeline.ts';

/** Written when the new data are complete; without it they are nothing. */
const Finished = z.object({
  request: z.string(),
  from: z.object({ version: z.string(), systemIdentifier: z.string(), highestTimeline: z.int() }),
  to: z.object({ version: z.string(), systemIdentifier: z.string() }),
});
export type Finished = z.output<typeof Finished>;

const finishedName = 'mainstay-upgraded.json';
const finishedFile = (layout: Layout): string => join(layout.upgraded, finishedName);
/** The same file, once taken: there until the statistics are complete. */
const statisticsDue = (layout: Layout): string => join(layout.data, finishedName);
/** By its very name a server with files in common refuses to start (pg_upgrade --link). */
const retiredControl = (data: string): string => join(data, 'global/pg_control.old');

/** Everything that can be known before anybody is kept waiting: throws what stands in the way. The database serves on. */
export async function checkUpgrade(
  { to, transfer }: UpgradeRequest,
  definition: Definition,
  layout: Layout,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const versions = await installedVersions();
  if (!versions.includes(to))
    throw refused(`the image of this instance has ${versions.join(', ')}, not ${to}: use one that has both versions`);
  if (Number(to) <= Number(layout.version))
    throw refused(`${to} is not newer than ${layout.version}, which the data are of`);
  const outgrown = layout.outgrown(layout.version);
  if (await exists(outgrown)) throw refused(`${outgrown} of an earlier upgrade is still there: remove it first`);
  const next = withVersion(layout, to);
  await discardUpgraded(layout);
  await makeEmpty(layout, next, signal);
  const refusal = await unacceptable(definition, next, layout.upgraded, signal);
  if (refusal !== undefined) throw refused(`PostgreSQL ${to} does not accept the parameters: ${refusal}`);
  await columnsAreUnderstood(layout, next, signal);
  if (transfer === 'Copy') await enoughSpace(layout, signal);
  await pgUpgrade('check', transfer, layout, next, clock, signal);
}

/** The new data, complete or not there. The old server must have been stopped cleanly. */
export async function upgradeData(
  { id, to, transfer }: UpgradeRequest,
  layout: Layout,
  systemIdentifier: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const next = withVersion(layout, to);
  const { highest } = await listWal(layout.data);
  // Used by a former attempt, it is not empty any more.
  await discardUpgraded(layout);
  await makeEmpty(layout, next, signal);
  await pgUpgrade('upgrade', transfer, layout, next, clock, signal);
  const finished: Finished = {
    request: id,
    from: { version: layout.version, systemIdentifier, highestTimeline: highest },
    to: { version: to, systemIdentifier: await systemIdentifierOf(next, layout.upgraded, signal) },
  };
  await replaceFile(finishedFile(layout), JSON.stringify(finished));
}

/** What has been finished and not been taken. */
export async function finishedUpgrade(layout: Layout): Promise<Finished | undefined> {
  const text = await readFile(finishedFile(layout), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Finished.parse(JSON.parse(text));
}

/** Two renames, the second of which is made up for if the first is all that was done. */
export async function takeUpgraded(layout: Layout): Promise<void> {
  const finished = await finishedUpgrade(layout);
  if (!finished) throw new MainstayError('DataDirectoryUnusable', `There are no complete data in ${layout.upgraded}`);
  if (await exists(layout.data)) await rename(layout.data, layout.outgrown(finished.from.version));
  await rename(layout.upgraded, layout.data);
  await syncDirectory(dirname(layout.data));
}

/** The old data go on as if nothing had been. */
export async function discardUpgraded(layout: Layout): Promise<void> {
  const control = join(layout.data, 'global/pg_control');
  if ((await exists(retiredControl(layout.data))) && !(await exists(control))) {
    await rename(retiredControl(layout.data), control);
    await syncDirectory(dirname(control));
  }
  await discard(layout.upgraded);
}

/** pg_upgrade carries most statistics over (18 and later), not all of them: without these, plans are guesses. */
export async function completeStatistics(layout: Layout, signal: AbortSignal): Promise<boolean> {
  if (!(await exists(statisticsDue(layout)))) return false;
  const vacuumdb = (...args: readonly string[]): Promise<string> =>
    command(join(layout.bin, 'vacuumdb'), [`--host=${layout.run}`, '--username=postgres', '--all', ...args], {
      signal,
    });
  await vacuumdb('--analyze-in-stages', '--missing-stats-only');
  // What autovacuum goes by is not carried over.
  await vacuumdb('--analyze-only');
  await rm(statisticsDue(layout), { force: true });
  return true;
}

/** What pg_upgrade compares must be equal; locale and encoding it carries over itself. */
async function makeEmpty(layout: Layout, next: Layout, signal: AbortSignal): Promise<void> {
  const wal = newWalDirectory(layout);
  const control = await controlData(layout, signal);
  const checksums = !/^Data page checksum version:\s+0$/m.test(control);
  const segment = Number(/^Bytes per WAL segment:\s+(\d+)$/m.exec(control)?.[1] ?? 0) / 1024 ** 2;
  await command(
    join(next.bin, 'initdb'),
    [
      ...['-D', layout.upgraded, '-U', 'postgres', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync'],
      ...['--auth-local=peer', '--auth-host=scram-sha-256', '--no-instructions', `--wal-segsize=${segment}`],
      checksums ? '--data-checksums' : '--no-data-checksums',
      ...(wal === undefined ? [] : [`--waldir=${wal}`]),
    ],
    { signal },
  );
}

/** Not those of indexes: these belong to operator classes. */
const columnOptions =
  `SELECT DISTINCT split_part(option, '=', 1) AS option FROM pg_attribute, unnest(attoptions) AS option
  WHERE attrelid IN (SELECT oid FROM pg_class WHERE relkind NOT IN ('i', 'I'))`.replaceAll(/\s+/g, ' ');
/** What every version knows. */
const setByPeople = ['n_distinct', 'n_distinct_inherited'];
const queryLimitMs = 60_000;

/**
 * A minor release may note with columns what a major version of an earlier quarter doesn't know (17.12: pg_attver, which 18.6
 * refuses). pg_upgrade's check doesn't look, and restores it in vain when nobody is served any more. A server that notes
 * something has done so with the views it was made with.
 */
async function columnsAreUnderstood(layout: Layout, next: Layout, signal: AbortSignal): Promise<void> {
  const asked = async (database: string, query: string): Promise<readonly string[]> => {
    const rows = await withSession(layout.run, queryLimitMs, signal, (session) => session.query(query), database);
    return rows.flatMap((row) => Object.values(row).map(String));
  };
  const noted = new Set<string>();
  for (const database of await asked('postgres', 'SELECT datname FROM pg_database WHERE datallowconn'))
    for (const option of await asked(database, columnOptions)) noted.add(option);
  const strange = [...noted].filter((option) => !setByPeople.includes(option));
  if (strange.length === 0) return;
  const single = `"$0" --single -D "$1" template1 <<<"$2"`;
  const server = join(next.bin, 'postgres');
  const known = await command('bash', ['-c', single, server, layout.upgraded, columnOptions], { signal });
  const unknown = strange.filter((option) => !known.includes(`option = "${option}"`));
  if (unknown.length === 0) return;
  const [from = ''] = await asked('postgres', 'SHOW server_version');
  const to = (await command(server, ['--version'], { signal })).trim().replace('postgres (PostgreSQL) ', '');
  throw refused(
    `${from} notes ${unknown.join(', ')} with columns, which ${to} does not know: use an image whose ${next.version} was released no earlier than its ${layout.version}`,
  );
}

/** Beside a copy of the data there must be room for the new version's catalogues and for what is written meanwhile. */
const spareBytes = 512 * 1024 ** 2;

async function enoughSpace(layout: Layout, signal: AbortSignal): Promise<void> {
  const size = Number((await command('du', ['-sb', '--exclude=pg_wal', layout.data], { signal })).split('\t')[0]);
  const { bavail, bsize } = await statfs(layout.data);
  const needed = size + spareBytes;
  if (bavail * bsize >= needed) return;
  const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 1024 ** 2)} MiB`;
  throw refused(
    `a copy of the data needs ${mebibytes(needed)}, and ${mebibytes(bavail * bsize)} are free: enlarge spec.storage.size, or ask for transfer Clone or Link`,
  );
}

const transfers = { Copy: '--copy', Clone: '--clone', Link: '--link' } as const;

async function pgUpgrade(
  what: 'check' | 'upgrade',
  transfer: UpgradeRequest['transfer'],
  layout: Layout,
  next: Layout,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const work = join(layout.run, 'upgrade');
  await mkdir(work, { recursive: true });
  // Nothing of either server may reach the archive, and none of its commits waits for replicas.
  const options = (file: string): string => `-c config_file=${file} -c archive_mode=off -c synchronous_standby_names=`;
  const args = [
    ...[`--old-bindir=${layout.bin}`, `--new-bindir=${next.bin}`, `--username=postgres`, `--socketdir=${work}`],
    ...[`--old-datadir=${layout.data}`, `--new-datadir=${layout.upgraded}`, `--jobs=${availableParallelism()}`],
    ...[`--old-options=${options(configFile(layout))}`, `--new-options=${options(upgradeConfigFile(layout))}`],
    transfers[transfer],
  ];
  // Below the agent, whose heartbeats keep the others from an election meanwhile.
  const nicely = ['-n', '10', join(next.bin, 'pg_upgrade'), ...args];
  // The old server, which serves on while it is checked, holds the volume's.
  const lock = what === 'check' ? join(work, 'lock') : layout.lock;
  const check = what === 'check' ? ['--check', '--old-port=5432'] : [];
  try {
    await command('bash', ['-c', holdLockAndRun, 'pg_upgrade', lock, 'nice', ...nicely, ...check], {
      signal,
      cwd: work,
    });
  } catch (error) {
    signal.throwIfAborted();
    throw refused(await explained(error instanceof Error ? error.message : String(error)));
  } finally {
    // What pg_upgrade has started outlives it: servers, and dumps that would still hold the lock when the old data start.
    await killHolders(lock, clock, AbortSignal.timeout(60_000));
  }
}

/** Characters of what people are told. */
const longest = { complaint: 600, cause: 300 };

/** pg_upgrade names files with the particulars; people see only what is said to them. */
async function explained(text: string): Promise<string> {
  const files = [...text.matchAll(/^\s*(\/\S+\.txt)$|"(\/\S+\.log)"/gm)].map(([, list, log]) => list ?? log ?? '');
  const particulars = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
  const oneLine = (words: string): string => words.replaceAll(/\s+/g, ' ').trim();
  // From the first complaint on: before it are the checks that were passed.
  const complaint = oneLine(/\bfatal\b[\s\S]*|\*failure\*[\s\S]*/i.exec(text)?.[0] ?? text.slice(-longest.complaint));
  const cause = oneLine(particulars.map((particular) => particular.slice(-longest.cause)).join('\n'));
  return `${complaint.slice(0, longest.complaint)} ${cause.slice(-longest.cause)}`.trim();
}

const refused = (reason: string): MainstayError => new MainstayError('UpgradeRefused', reason);
