/**
 * Timelines on disk. A timeline belongs to one epoch only; which one the log really ends on is read from the WAL itself,
 * since pg_control lags behind what a replica has acknowledged (pg-lab.md §1).
 */
import { mkdir, open, readdir, readFile, realpath, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { HistoryEntry } from '../../api/cluster-state.ts';
import { lsnOf, parseLsn } from '../../ha/position.ts';
import { command } from '../command.ts';
import { syncDirectory } from '../files.ts';
import { walDirectory, type Layout } from './layout.ts';

const stubText = '# reserved by mainstay\n';

export type Lineage = NonNullable<HistoryEntry['lineage']>;

export const timelineName = (timeline: number): string => timeline.toString(16).toUpperCase().padStart(8, '0');

/** "…\n2\t0/5000028\tno recovery target specified\n" → each earlier timeline and where it was left. */
export function parseHistory(text: string): Lineage {
  return text
    .split('\n')
    .map((line) => /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/i.exec(line))
    .filter((match) => match !== null)
    .map((match) => ({ timeline: Number(match[1]), end: match[2] ?? '' }));
}

export async function readLineage(data: string, timeline: number): Promise<Lineage> {
  if (timeline === 1) return [];
  return parseHistory(await readFile(join(walDirectory(data), `${timelineName(timeline)}.history`), 'utf8'));
}

interface WalFiles {
  readonly names: readonly string[];
  /** Timelines with segments, highest first. */
  readonly withSegments: readonly number[];
  /** Highest number in any name, segment or history. */
  readonly highest: number;
}

export async function listWal(data: string): Promise<WalFiles> {
  const names = await readdir(walDirectory(data));
  const numbers = (pattern: RegExp): number[] =>
    names.filter((name) => pattern.test(name)).map((name) => parseInt(name.slice(0, 8), 16));
  const withSegments = [...new Set(numbers(/^[0-9A-F]{24}$/))].toSorted((a, b) => b - a);
  return { names, withSegments, highest: Math.max(1, ...withSegments, ...numbers(/^[0-9A-F]{8}\.history$/)) };
}

/** The highest timeline that the WAL holds records of; `known` is one of which that was seen before, in this server's life. */
export async function lastTimeline(layout: Layout, signal: AbortSignal, known = 1): Promise<number> {
  const wal = await listWal(layout.data);
  for (const timeline of wal.withSegments)
    if (timeline <= known || (await hasRecords(layout, timeline, wal, signal))) return timeline;
  return wal.withSegments.at(-1) ?? 1;
}

/** Of a WAL record, its checksum included; and of the headers of pages, which come before it. */
const [recordHeader, pageHeader, firstPageHeader, pageBytes] = [24, 24, 40, 8192] as const;

/**
 * The head of the first record of a timeline. It holds the moment of the promotion under a checksum: two servers that take the
 * same number from the same point write histories that are equal to the letter, and this differs (pg-lab.md §1). Undefined
 * where it is not on disk any more.
 */
export async function markerOf(data: string, timeline: number): Promise<string | undefined> {
  const end = (await readLineage(data, timeline).catch(() => [])).at(-1)?.end;
  if (end === undefined) return undefined;
  const segmentBytes = await sizeOfSegments(data, await listWal(data));
  const at = Number(parseLsn(end) % segmentBytes);
  const skipped = at === 0 ? firstPageHeader : at % pageBytes === 0 ? pageHeader : 0;
  const file = await open(join(walDirectory(data), segmentName(timeline, end, segmentBytes))).catch(() => undefined);
  if (!file) return undefined;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(recordHeader), 0, recordHeader, at + skipped);
    // A head that goes on on the next page is not worth the trouble.
    const isWhole = bytesRead === recordHeader && (at % pageBytes) + skipped + recordHeader <= pageBytes;
    return isWhole && buffer.some((byte) => byte !== 0) ? buffer.toString('hex') : undefined;
  } finally {
    await file.close();
  }
}

function segmentName(timeline: number, lsn: string, segmentBytes: bigint): string {
  const number = parseLsn(lsn) / segmentBytes;
  const perId = 0x100000000n / segmentBytes;
  const hex = (n: bigint): string => n.toString(16).toUpperCase().padStart(8, '0');
  return `${timelineName(timeline)}${hex(number / perId)}${hex(number % perId)}`;
}

async function hasRecords(layout: Layout, timeline: number, wal: WalFiles, signal: AbortSignal): Promise<boolean> {
  if (!wal.names.includes(`${timelineName(timeline)}.history`)) return true; // began by a base backup of this timeline
  const begin = (await readLineage(layout.data, timeline)).at(-1)?.end;
  if (begin === undefined) return false; // a stub
  const first = segmentName(timeline, begin, await sizeOfSegments(layout.data, wal));
  // Only what has been checkpointed past is ever removed, so a missing first segment proves records after it.
  if (!wal.names.includes(first)) return true;
  // The segment is named: left to choose, pg_waldump takes the size of segments from any file, even an empty one.
  const record = await command(
    join(layout.bin, 'pg_waldump'),
    ['-p', walDirectory(layout.data), '-s', begin, '-n', '1', join(walDirectory(layout.data), first)],
    { signal },
  ).catch((error: unknown) => {
    // Nothing was ever written there. Any other failure proves nothing, least of all that files may go.
    if (error instanceof Error && /could not find a valid record|invalid record length/.test(error.message)) return '';
    throw error;
  });
  return record.includes('END_OF_RECOVERY');
}

/** They are made whole; one that a crash left short is smaller than the others. */
export async function sizeOfSegments(data: string, { names }: WalFiles): Promise<bigint> {
  const segments = names.filter((name) => /^[0-9A-F]{24}$/.test(name));
  const sizes = await Promise.all(segments.map(async (name) => (await stat(join(walDirectory(data), name))).size));
  return BigInt(Math.max(...sizes, 1024 * 1024));
}

/**
 * Sets aside what an aborted promotion left: histories above the log's own timeline make a server that boots with
 * `latest` wait for ever. Moved, never deleted.
 */
export async function setAsideAbortedTimelines(layout: Layout, signal: AbortSignal): Promise<readonly string[]> {
  const last = await lastTimeline(layout, signal);
  const { names } = await listWal(layout.data);
  const aborted = names.filter(
    (name) => /^[0-9A-F]{8}(\.history|[0-9A-F]{16})$/.test(name) && parseInt(name.slice(0, 8), 16) > last,
  );
  if (aborted.length === 0) return [];
  // Files can't be moved from one volume to another.
  const wal = await realpath(walDirectory(layout.data));
  const quarantine = wal === walDirectory(layout.data) ? layout.quarantine : join(dirname(wal), 'quarantine');
  await mkdir(quarantine, { recursive: true });
  for (const name of aborted) await rename(join(wal, name), join(quarantine, name));
  await syncDirectory(walDirectory(layout.data));
  return aborted;
}

/** Makes the next promotion take `wanted`: PostgreSQL takes one more than the unbroken run of history files it finds. */
export async function reserveTimelinesBelow(data: string, wanted: number): Promise<void> {
  const { names } = await listWal(data);
  const present = new Set(names);
  // From 2 on: one that began as a clone has no files for what was before, and its own followers may need them.
  const missing = Array.from(
    { length: Math.max(0, wanted - 2) },
    (_, index) => `${timelineName(index + 2)}.history`,
  ).filter((name) => !present.has(name));
  for (const name of missing) {
    const file = await open(join(walDirectory(data), name), 'wx');
    try {
      await file.writeFile(stubText);
      await file.sync();
    } finally {
      await file.close();
    }
  }
  if (missing.length > 0) await syncDirectory(walDirectory(data));
}

/** `mistaken`: under the same number, but not the same timeline. */
export type Compatibility = 'same' | 'diverged' | 'mistaken' | 'unknown';

/**
 * Whether a log that ends on `timeline` at `replayed` is part of the primary's history. Without the primary's lineage,
 * only a log that was judged in its election, and found not longer, is known to be.
 */
export function compatibility(
  own: {
    readonly timeline: number;
    readonly epoch: number;
    readonly replayed: string;
    readonly marker?: string | undefined;
  },
  primary: HistoryEntry | undefined,
): Compatibility {
  if (!primary) return 'unknown';
  if (primary.timeline === own.timeline)
    return primary.marker !== undefined && own.marker !== undefined && primary.marker !== own.marker
      ? 'mistaken'
      : 'same';
  // A timeline that no epoch of this view has begun: the log is newer than the view, which says nothing about it; or older
  // than the primary's, and then forgotten by an etcd that was adopted.
  const older = primary.timeline !== undefined && own.timeline < primary.timeline;
  if (own.epoch === 0 && own.timeline > 1 && !(older && primary.lineage)) return 'unknown';
  if (primary.lineage) {
    const left = primary.lineage.find((entry) => entry.timeline === own.timeline);
    return left && parseLsn(own.replayed) <= parseLsn(left.end) ? 'same' : 'diverged';
  }
  return primary.position?.epoch === own.epoch && parseLsn(own.replayed) <= parseLsn(lsnOf(primary.position))
    ? 'same'
    : 'unknown';
}
