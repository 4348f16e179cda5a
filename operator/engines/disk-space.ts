/**
 * How much room the instance's file systems have, and a reserve in each: a file that takes space while all is well. A
 * server that has filled its disk ends, and can't even start without room for the next piece of its log; then the reserve is
 * lent to it. It is taken back when there is room again.
 */
import { rm, stat, statfs, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { DiskUse } from '../api/cluster-state.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import { command } from './command.ts';

export interface DiskSpace {
  /** As last seen. */
  use(): readonly DiskUse[];
  /** A reserve has been lent and is not back. */
  isLent(): boolean;
  /** Lends the reserves of file systems that have less room than a server needs to start: three pieces of its log. */
  makeRoom(): Promise<void>;
  /** Lends those of file systems with no room at all, where the agent itself can't write. */
  lookAgain(): void;
  stop(): void;
}

const mebibyte = 1024 * 1024;
/** Milliseconds. */
const period = 5000;
const allocationLimit = 60_000;
/** Recovery writes a segment or two of the log before it can remove others. */
const segmentsToStart = 3;
const nothingLeft = mebibyte;
/** That must be free besides the reserve before it is taken back. */
const roomAgain = 64 * mebibyte;

/** For the end of a recovery, its checkpoint, and a person's clearing up. */
export const reserveFor = (bytes: number, segment: number): number =>
  Math.floor(Math.min(Math.max(bytes / 50, 4 * segment), Math.max(1024 * mebibyte, 4 * segment), bytes / 16));

const reserveFile = (folder: string): string => join(folder, 'disk-reserve');

interface Seen {
  readonly size: number;
  readonly free: number;
  readonly usedPercent: number;
  /** Bytes; undefined: there has been no room for one yet. */
  readonly reserve: number | undefined;
}

/** Bytes that are free, what is lent of the reserve counted as used: the disk is full until it is back. */
export async function spareBytes(folder: string, segment: number): Promise<number> {
  const { free, size, reserve } = await lookAt(folder);
  return reserve === 0 ? free - reserveFor(size, segment) : free;
}

export interface Disks {
  /** One in each file system that the server writes to; a second is the log's. */
  readonly folders: readonly string[];
  /** Bytes of a piece of the log: PostgreSQL ends in a panic when it can't make the next one, and others wait. */
  readonly segment: number;
}

export function keepDiskSpace(disks: () => Promise<Disks>, clock: Clock, log: Logger): DiskSpace {
  let seen: readonly Seen[] = [];
  let last: Promise<void> = Promise.resolve();
  let busy = 0;

  /** One after the other; on a disk that has stalled the first one waits, and no others are begun. */
  function queue(work: () => Promise<void>): Promise<void> {
    busy++;
    last = last
      .then(work)
      .catch((error: unknown) => log.warn({ err: error }, 'the room on the disk can’t be looked after'))
      .finally(() => busy--);
    return last;
  }

  async function lookAfter(
    enough: (segment: number) => number,
    isFree: (folder: string, bytes: number) => Promise<boolean> = () => Promise.resolve(true),
  ): Promise<void> {
    const now: Seen[] = [];
    const { folders, segment } = await disks();
    for (const folder of folders) {
      const before = await lookAt(folder);
      const isShort = before.free < enough(segment) || !(await isFree(folder, enough(segment)));
      await (isShort ? lend(folder, before) : takeBack(folder, before, segment));
      now.push(await lookAt(folder));
    }
    seen = now;
  }

  async function lend(folder: string, { free, reserve }: Seen): Promise<void> {
    if (!reserve) return;
    const file = reserveFile(folder);
    // btrfs shortens no file once a quota is used up; it removes one.
    await truncate(file, 0).catch(() => rm(file).then(() => writeFile(file, '')));
    const [left, lent] = [free, reserve].map((bytes) => `${Math.floor(bytes / mebibyte)} MiB`);
    const why = free > reserve ? 'a quota leaves too little' : `${left ?? ''} left`;
    log.error(`${why} on the disk of ${basename(folder)}: lending the database the reserve of ${lent ?? ''}`);
  }

  async function takeBack(folder: string, { size, free, reserve = 0 }: Seen, segment: number): Promise<void> {
    const wanted = reserveFor(size, segment);
    if (reserve >= wanted || free < wanted - reserve + roomAgain) return;
    const file = reserveFile(folder);
    // With what must be free besides: a quota that `df` doesn't know of may leave less.
    const taken = await allocate(file, wanted + roomAgain);
    await truncate(file, taken === 'refused' ? reserve : wanted);
    if (taken === 'refused') return;
    if (taken === 'unsupported') {
      // Random bytes, as some file systems write no zeros.
      const blocks = `count=${Math.floor(wanted / mebibyte)}`;
      await command('dd', ['if=/dev/urandom', `of=${file}`, 'bs=1M', blocks, 'conv=fsync', 'status=none'], {
        signal: AbortSignal.timeout(allocationLimit),
      });
    }
    log.info({ mebibytes: Math.floor(wanted / mebibyte) }, 'keeping a reserve on the disk');
  }

  const lookAgain = (): void => {
    if (busy === 0) void queue(() => lookAfter(() => nothingLeft));
  };
  let cancelLook = (): void => undefined;
  (function look(): void {
    lookAgain();
    cancelLook = clock.after(period, look);
  })();

  return {
    use: () => seen.map((one, index) => ({ name: index === 0 ? 'data' : 'wal', ...told(one) })),
    isLent: () => seen.some(({ reserve }) => reserve === 0),
    makeRoom: () => queue(() => lookAfter((segment) => segmentsToStart * segment, canTake)),
    lookAgain,
    stop: () => cancelLook(),
  };
}

/** `refused`: neither the file system nor a quota has so much; the file may have become longer all the same. */
async function allocate(file: string, bytes: number): Promise<'taken' | 'refused' | 'unsupported'> {
  try {
    const signal = AbortSignal.timeout(allocationLimit);
    await command('fallocate', ['--length', String(bytes), file], { signal });
    return 'taken';
  } catch (error) {
    if (isOutOfRoom(String(error))) return 'refused';
    if (/not supported/.test(String(error))) return 'unsupported';
    throw error;
  }
}

/** Whether that much can be had, whatever `df` says. Unknown counts as yes: `df` has been asked as well. */
async function canTake(folder: string, bytes: number): Promise<boolean> {
  const file = join(folder, 'disk-probe');
  const outcome = await allocate(file, bytes).catch(() => 'unsupported' as const);
  await rm(file, { force: true });
  return outcome !== 'refused';
}

export const isOutOfRoom = (message: string): boolean => /No space left|Disk quota exceeded/.test(message);

const told = ({ size, usedPercent, reserve }: Seen): Omit<DiskUse, 'name'> => ({
  size,
  usedPercent,
  ...(reserve === 0 && { reserveLent: true }),
});

/** As `df` counts: what is kept for root is nobody's. */
async function lookAt(folder: string): Promise<Seen> {
  const [{ blocks, bfree, bavail, bsize }, file] = await Promise.all([
    statfs(folder),
    stat(reserveFile(folder)).catch(() => undefined),
  ]);
  const used = blocks - bfree;
  return {
    size: (used + bavail) * bsize,
    free: bavail * bsize,
    usedPercent: used + bavail === 0 ? 0 : Math.ceil((100 * used) / (used + bavail)),
    reserve: file?.size,
  };
}
