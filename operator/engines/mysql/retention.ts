/**
 * Which binary logs may go. MySQL itself deletes by age alone, and an instance that was away for longer would have to be cloned; here
 * a file also stays while an instance of the cluster may need it, as long as the disk has room.
 */
import { stat, statfs } from 'node:fs/promises';
import { basename } from 'node:path';
import { contains, type GtidSet } from '../../ha/gtid-set.ts';
import { binaryLogs, gtidsBefore } from './binlog.ts';
import { withoutBeats } from './tail.ts';

export interface KeptLog {
  /** Milliseconds since 1970 of its last write. */
  readonly writtenAt: number;
  readonly bytes: number;
  /** All transactions of the files before it; undefined: not known. */
  readonly before: GtidSet | undefined;
}

export interface Wish {
  /** Milliseconds; files that are younger stay in any case. 0: all stay. */
  readonly age: number;
  readonly now: number;
  /** Where the logs of the other instances end; undefined: one is away, and may need anything. */
  readonly others: readonly (GtidSet | undefined)[];
  /** Bytes that may be kept for those who are away or far behind. */
  readonly most: number;
}

/** Of the disk: more than this is not kept for an instance that may never come back. */
const share = 0.25;

/** How many of them, the oldest first, may go. The last one never does. */
export function countToPurge(logs: readonly KeptLog[], { age, now, others, most }: Wish): number {
  if (age === 0) return 0;
  let left = logs.reduce((sum, { bytes }) => sum + bytes, 0);
  let count = 0;
  for (const [index, { writtenAt, bytes }] of logs.slice(0, -1).entries()) {
    if (writtenAt > now - age) break;
    const upToIt = logs[index + 1]?.before;
    const isNeeded = others.some((held) => !held || !upToIt || !contains(held, withoutBeats(upToIt)));
    if (isNeeded && left <= most) break;
    left -= bytes;
    count = index + 1;
  }
  return count;
}

/** The first file that stays; undefined: all do. */
export async function firstToKeep(data: string, wish: Omit<Wish, 'most'>): Promise<string | undefined> {
  const files = await binaryLogs(data);
  const [oldest] = files;
  if (oldest === undefined || wish.age === 0) return undefined;
  // Mostly there is nothing to do.
  if ((await stat(oldest)).mtimeMs > wish.now - wish.age) return undefined;
  const logs = await Promise.all(
    files.map(async (file): Promise<KeptLog> => {
      const { mtimeMs, size } = await stat(file);
      return { writtenAt: mtimeMs, bytes: size, before: await gtidsBefore(file) };
    }),
  );
  const { blocks, bsize } = await statfs(data);
  const count = countToPurge(logs, { ...wish, most: blocks * bsize * share });
  const kept = files[count];
  return count === 0 || kept === undefined ? undefined : basename(kept);
}
