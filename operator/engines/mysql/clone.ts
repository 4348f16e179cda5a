/** A fresh copy beside the old data, taken by MySQL's clone plugin; the old data stay until the copy serves. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Member } from '../../api/cluster-state.ts';
import type { Clock } from '../../platform/clock.ts';
import { MainstayError } from '../../platform/errors.ts';
import { command } from '../command.ts';
import type { CopyProgress } from '../engine.ts';
import { exists, syncDirectory } from '../files.ts';
import { makeRoom } from '../room.ts';
import { alone, makeData } from './bootstrap.ts';
import { mountedPasswords } from './credentials.ts';
import { systemFile, type Layout } from './layout.ts';
import { cloneAccount } from './names.ts';
import { killServer, startServer, untilConnectable } from './process.ts';
import type { ServerLog } from './server-log.ts';
import { literal, localAgent, textOf, withSession, type Session } from './sql.ts';
import type { LinkTls } from './tls.ts';

/** Milliseconds. */
const progressPeriod = 200;
/** Without a byte more the source is gone: the plugin itself would wait for minutes. */
const patience = 30_000;
const donorPause = 500;
/** Of the receiving server's own data, measured, rounded up. */
const scratchBytes = 192 * 1024 * 1024;

/** Only a receiver. */
const receiver = [...alone, '--innodb-buffer-pool-size=33554432'];

/** Its replication settings came with the data; they are the source's. */
export const clonedFile = (data: string): string => join(data, 'mainstay-cloned');

export interface CloneOrder {
  readonly source: Member;
  /** Others hold all that the cluster has acknowledged, twice: the old data may go if there is no room beside it. */
  readonly mayDiscardOld: boolean;
  /** Bytes a second. */
  readonly copyRate: number | undefined;
  readonly tls: LinkTls;
  readonly report: (progress: CopyProgress) => void;
}

export async function clone(
  order: CloneOrder,
  layout: Layout,
  clock: Clock,
  log: ServerLog,
  signal: AbortSignal,
): Promise<void> {
  // Whole already if this process ended just before the renames.
  if (!(await exists(systemFile(layout.incoming)))) await download(order, layout, clock, log, signal);
  if (await exists(layout.data)) {
    await discard(layout.former);
    await rename(layout.data, layout.former);
  }
  await rename(layout.incoming, layout.data);
  await rm(layout.cutting, { force: true });
  await syncDirectory(dirname(layout.data));
}

async function download(
  { source, mayDiscardOld, copyRate, tls, report }: CloneOrder,
  layout: Layout,
  clock: Clock,
  log: ServerLog,
  signal: AbortSignal,
): Promise<void> {
  await discardUnfinished(layout);
  await makeRoom(scratchBytes, mayDiscardOld, layout, discard);
  await makeData(layout.scratch, layout, signal);
  const stalled = new AbortController();
  let madeRoom = false;
  const limit = AbortSignal.any([signal, stalled.signal]);
  const server = await startServer(layout, clock, log.tell, { data: layout.scratch, options: receiver });
  const root = localAgent(layout, 'root');
  try {
    await untilConnectable(server, layout, clock, log.lastWords, limit, 'root');
    const { clone: password } = await mountedPasswords(layout);
    const donor = { host: source.address, port: source.databasePort, user: cloneAccount, password, tls };
    const system = await withSession(donor, 5000, limit, systemOf);
    if (system === undefined)
      throw new MainstayError('DatabaseUnreachable', `${source.instance} is of no cluster: nothing of it is used`);
    await withSession(root, 10_000, limit, async (session) => {
      await session.query('SET GLOBAL clone_valid_donor_list = ?', [`${source.address}:${source.databasePort}`]);
      await session.query('SET GLOBAL clone_ssl_ca = ?, GLOBAL clone_ssl_cert = ?, GLOBAL clone_ssl_key = ?', [
        tls.authorities,
        tls.certificate,
        tls.key,
      ]);
      if (copyRate !== undefined)
        await session.query(`SET GLOBAL clone_max_data_bandwidth = ${Math.max(1, Math.floor(copyRate / 1024 / 1024))}`);
    });
    const statement = `CLONE INSTANCE FROM ${literal(cloneAccount)}@${literal(source.address)}:${source.databasePort}
      IDENTIFIED BY ${literal(password)} DATA DIRECTORY = ${literal(layout.incoming)} REQUIRE SSL`;
    for (;;) {
      const over = new AbortController();
      void followProgress(layout, clock, report, stalled, AbortSignal.any([limit, over.signal])).catch(() => undefined);
      const outcome = await withSession(root, 2 ** 31 - 1, limit, (session) => session.query(statement))
        .then(() => 'done' as const, refusalIn)
        .catch((error: unknown) => {
          throw stalled.signal.aborted ? stalled.signal.reason : error;
        })
        .finally(() => over.abort(new Error('over')));
      if (outcome === 'done') break;
      if (outcome === 'busy') await clock.sleep(donorPause, limit);
      else {
        if (madeRoom) throw outcome.error;
        await makeRoom(outcome.needed, mayDiscardOld, layout, discard);
        madeRoom = true;
        await discard(layout.incoming); // it has been made already
      }
    }
    await killServer(server, layout, clock);
    await writeFile(clonedFile(layout.incoming), '');
    await command('sync', ['--file-system', layout.incoming], { signal });
    // Last of all: whole from now on.
    await writeFile(systemFile(layout.incoming), `${system}\n`, { flush: true });
  } catch (error) {
    await killServer(server, layout, clock);
    await discard(layout.incoming);
    throw error;
  } finally {
    await discard(layout.scratch);
  }
}

async function followProgress(
  layout: Layout,
  clock: Clock,
  report: (progress: CopyProgress) => void,
  stalled: AbortController,
  signal: AbortSignal,
): Promise<void> {
  let last = { done: -1, at: clock.now() };
  for (;;) {
    await clock.sleep(progressPeriod, signal);
    const seen = await withSession(localAgent(layout, 'root'), 2000, signal, progress).catch(() => undefined);
    if (seen && seen.totalBytes > 0) report(seen);
    if (seen && seen.doneBytes > last.done) last = { done: seen.doneBytes, at: clock.now() };
    else if (clock.now() - last.at > patience)
      stalled.abort(
        new MainstayError('DatabaseUnreachable', `Nothing has come from the source for ${patience / 1000} s`, {
          retryable: true,
        }),
      );
  }
}

type Refusal = 'busy' | { readonly needed: number; readonly error: unknown };

/** What can be waited for, or mended; anything else is thrown. */
function refusalIn(error: unknown): Refusal {
  const text = error instanceof Error ? error.message : '';
  // One clone at a time is all that a donor gives: another instance's is under way.
  if (text.includes('Clone Donor Error: 3634')) return 'busy';
  // Before a byte is copied: "Clone estimated database size is 170.22 MiB. Available space 115.30 MiB is not enough."
  const [, size, unit] = /estimated database size is ([\d.]+) (bytes|[KMGTP]iB)/.exec(text) ?? [];
  if (size === undefined || unit === undefined) throw error;
  return { needed: Number(size) * 1024 ** ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'].indexOf(unit), error };
}

async function systemOf(session: Session): Promise<string | undefined> {
  const [row] = await session.query(
    "SELECT JSON_UNQUOTE(JSON_EXTRACT(attribute, '$.system')) AS name FROM information_schema.user_attributes WHERE user = ?",
    [cloneAccount],
  );
  return textOf(row, 'name') || undefined;
}

async function progress(session: Session): Promise<CopyProgress> {
  const [row] = await session.query(
    'SELECT COALESCE(SUM(estimate), 0) AS total, COALESCE(SUM(data), 0) AS done FROM performance_schema.clone_progress',
  );
  return { doneBytes: Number(row?.['done'] ?? 0), totalBytes: Number(row?.['total'] ?? 0) };
}

/** What an interrupted copy has left beside data that are there; a whole one is kept, for the next clone to take. */
export async function discardUnfinished(layout: Layout): Promise<void> {
  await discard(layout.scratch);
  if (!(await exists(systemFile(layout.incoming)))) await discard(layout.incoming);
}

export async function discardFormer(layout: Layout): Promise<void> {
  if (await exists(layout.former)) await discard(layout.former);
}

const discard = (path: string): Promise<void> =>
  rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
