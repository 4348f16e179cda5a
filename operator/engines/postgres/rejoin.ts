/** A replica's way back into the primary's history: pg_rewind, else a clone beside the old data. */
import { readdir, readlink, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Definition, Member } from '../../api/cluster-state.ts';
import type { CopyProgress } from '../engine.ts';
import { command } from '../command.ts';
import { exists, replaceFile, syncDirectory } from '../files.ts';
import { configFile } from './config.ts';
import { withPasswords } from './credentials.ts';
import { isWalOfData, newWalDirectory, walDirectory, type Layout } from './layout.ts';
import { replicationRole, rewindRole } from './names.ts';
import { makeRoom } from '../room.ts';
import { secured } from './secured.ts';

/** A source that loses power must end the copy in seconds, not in the hours that TCP takes by itself. */
const brokenLinks =
  'connect_timeout=3 keepalives_idle=2 keepalives_interval=1 keepalives_count=3 tcp_user_timeout=5000';

export type Report = (progress: CopyProgress) => void;

/** Until it says this, pg_rewind has changed nothing but its own log's end. */
const beginsToWrite = 'need to copy';
const lostItsSource = /connection to server|server closed the connection|terminating connection|could not receive/;

/** The server must have ended. A mark stays if this is interrupted: half-rewound data looks healthy to everything else. */
export async function rewind(
  primary: Member,
  definition: Definition,
  layout: Layout,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  await replaceFile(layout.rewinding, `${new URL(`tcp://${primary.address}:${primary.databasePort}`).host}\n`);
  // pg_rewind runs a single-user server for an unclean directory, which refuses standby mode.
  await rm(join(layout.data, 'standby.signal'), { force: true });
  const progress = progressReader(report);
  const seen = { writing: false };
  try {
    // A refused password is refused before anything is touched.
    await withPasswords(layout, (passfile) =>
      command(
        join(layout.bin, 'pg_rewind'),
        [
          `--target-pgdata=${layout.data}`,
          `--config-file=${configFile(layout)}`,
          `--source-server=host=${primary.address} port=${primary.databasePort} user=${rewindRole} dbname=postgres ${brokenLinks} ${secured(layout, definition)}`,
          '--progress',
        ],
        {
          signal,
          env: { PGPASSFILE: passfile },
          onStderr: (text) => {
            seen.writing ||= text.includes(beginsToWrite);
            progress(text);
          },
        },
      ),
    );
  } catch (error) {
    // A source that was only out of reach is worth another try; after any other failure another rewind would fare no better.
    if (!seen.writing && !signal.aborted && lostItsSource.test(String(error))) await rm(layout.rewinding);
    throw error;
  }
  await rename(layout.rewinding, layout.rewound);
  await syncDirectory(dirname(layout.rewound));
}

/** A rewound server that has not become consistent is as unusable as a half-rewound one: only a clone helps. */
export async function giveUpRewound(layout: Layout): Promise<void> {
  await rename(layout.rewound, layout.rewinding);
  await syncDirectory(dirname(layout.rewinding));
}

export async function forgetRewound(layout: Layout): Promise<void> {
  await rm(layout.rewound, { force: true });
}

export interface CloneOrder {
  readonly source: Member;
  /** Others hold all that the cluster has acknowledged, twice: the old data may go if there is no room beside it. */
  readonly mayDiscardOld: boolean;
}

/** A fresh copy beside the old data, which stays until `discardFormer`. */
export async function clone(
  order: CloneOrder,
  definition: Definition,
  layout: Layout,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  // Whole already if this process ended just before the renames.
  if (!(await isWhole(layout.incoming))) {
    await discard(layout.incoming);
    try {
      await download(order, definition, layout, report, signal);
    } catch (error) {
      await discard(layout.incoming);
      throw error;
    }
  }
  await writeFile(join(layout.incoming, 'standby.signal'), '');
  // An even older copy than the one that is about to be replaced serves nobody.
  if (await exists(layout.data)) {
    await discard(layout.former);
    await rename(layout.data, layout.former);
  }
  await rename(layout.incoming, layout.data);
  await rm(layout.rewinding, { force: true });
  await forgetRewound(layout);
  await syncDirectory(dirname(layout.data));
}

async function download(
  { source, mayDiscardOld }: CloneOrder,
  definition: Definition,
  layout: Layout,
  report: Report,
  signal: AbortSignal,
): Promise<void> {
  const rate = definition.copyRate;
  const wal = newWalDirectory(layout);
  const noRoom = new AbortController();
  let asked = false;
  const progress = progressReader((told) => {
    report(told);
    if (asked) return;
    asked = true;
    void makeRoom(told.totalBytes - told.doneBytes, mayDiscardOld, layout, discard).catch((error: unknown) =>
      noRoom.abort(error),
    );
  });
  try {
    await withPasswords(layout, (passfile) =>
      command(
        join(layout.bin, 'pg_basebackup'),
        [
          ...[
            '-d',
            `host=${source.address} port=${source.databasePort} user=${replicationRole} ${brokenLinks} ${secured(layout, definition)}`,
          ],
          ...['-D', layout.incoming, '-X', 'stream', '--checkpoint=fast', '--no-password', '--progress'],
          ...(wal === undefined ? [] : [`--waldir=${wal}`]),
          ...(rate === undefined ? [] : [`--max-rate=${Math.min(1048576, Math.max(32, Math.floor(rate / 1024)))}k`]),
        ],
        { signal: AbortSignal.any([signal, noRoom.signal]), env: { PGPASSFILE: passfile }, onStderr: progress },
      ),
    );
  } catch (error) {
    if (wal !== undefined) await remove(wal);
    throw noRoom.signal.aborted ? noRoom.signal.reason : error;
  }
}

export async function discardFormer(layout: Layout): Promise<void> {
  await discard(layout.former);
}

/** What an interrupted copy has left beside data that are there; a whole one is kept, for the next clone to take. */
export async function discardUnfinished(layout: Layout): Promise<void> {
  if ((await exists(layout.incoming)) && !(await isWhole(layout.incoming))) await discard(layout.incoming);
  const { walVolume } = layout;
  if (walVolume === undefined) return;
  // Of all data on the volume, former versions' as well.
  const volume = dirname(layout.data);
  const used = await Promise.all((await readdir(volume)).map((name) => walElsewhere(join(volume, name))));
  for (const name of await readdir(walVolume))
    if (isWalOfData(name) && !used.includes(join(walVolume, name))) await remove(join(walVolume, name));
}

/** pg_basebackup writes its manifest last of all. */
const isWhole = (copy: string): Promise<boolean> => exists(join(copy, 'backup_manifest'));

/** A data directory, and its WAL if that is elsewhere. */
export async function discard(data: string): Promise<void> {
  const wal = await walElsewhere(data);
  if (wal !== undefined) await remove(wal);
  await remove(data);
}

const walElsewhere = (data: string): Promise<string | undefined> => readlink(walDirectory(data)).catch(() => undefined);

/** A child of pg_basebackup may live on for a moment and write. */
const remove = (path: string): Promise<void> =>
  rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });

/** Both tools tell "12345/67890 kB (18%)". */
function progressReader(report: Report): (text: string) => void {
  return (text) => {
    const [, done, total] = [...text.matchAll(/(\d+)\/\s*(\d+) kB/g)].at(-1) ?? [];
    if (done !== undefined && total !== undefined)
      report({ doneBytes: Number(done) * 1024, totalBytes: Number(total) * 1024 });
  };
}
