/** Whether a server gets on, told by traces that need no answer from it. Linux's /proc, and the times of its log's files. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Progress } from './signs-of-life.ts';

/** Less than this between two looks is what probes themselves cause: 50 ms of processor time (ticks of 10 ms), 128 KiB. */
const least = { ticks: 5, bytes: 128 * 1024 };

interface Trace {
  readonly log: number;
  readonly device: string | undefined;
  readonly processes: ReadonlyMap<number, { readonly ticks: number; readonly bytes: number }>;
}

export interface Traces {
  readonly data: string;
  /** Folder of the files that every change goes through. */
  readonly log: string;
  readonly isLog: (name: string) => boolean;
  /** Its main process, and all of them as of now. */
  readonly main: number;
  readonly all: () => readonly number[];
}

/** Each call compares with the one before; the first finds nothing moved. */
export function progressOf({ data, log, isLog, main, all }: Traces): () => Promise<Progress> {
  let last: Trace | undefined;
  return async () => {
    const [written, device, processes, state] = await Promise.all([
      newestWrite(log, isLog),
      deviceWrites(data),
      effortOf(all()),
      stateOf(main),
    ]);
    const before = last;
    last = { log: written, device, processes };
    return {
      log: before !== undefined && written > before.log,
      work: before !== undefined && worked(before.processes, processes),
      device: before !== undefined && device !== undefined && device !== before.device,
      serverStopped: state === 'T',
    };
  };
}

/** When the log was last written to, in milliseconds since the epoch: PostgreSQL writes WAL in place, so sizes tell nothing. */
async function newestWrite(folder: string, isLog: Traces['isLog']): Promise<number> {
  const names = (await readdir(folder)).filter(isLog);
  const times = await Promise.all(names.map((name) => stat(join(folder, name)).catch(() => undefined)));
  return Math.max(0, ...times.map((file) => file?.mtimeMs ?? 0));
}

/** Writes and flushes that the device has finished; undefined for file systems without a device of their own. */
async function deviceWrites(data: string): Promise<string | undefined> {
  const { dev } = await stat(data);
  const [major, minor] = [(dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00)];
  const line = (await readFile('/proc/diskstats', 'utf8'))
    .split('\n')
    .map((text) => text.trim().split(/\s+/))
    .find((fields) => Number(fields[0]) === major && Number(fields[1]) === minor);
  // The kernel's iostats.rst: fields 5 (writes) and 16 (flushes), behind major, minor and name.
  return line && `${line[7] ?? ''} ${line[18] ?? ''}`;
}

async function effortOf(pids: readonly number[]): Promise<Trace['processes']> {
  const rows = await Promise.all(
    pids.map(async (pid) => {
      const [fields, io] = await Promise.all([
        statOf(pid),
        readFile(`/proc/${pid}/io`, 'utf8').catch(() => ''), // not readable everywhere
      ]);
      const bytes = [...io.matchAll(/^(?:read|write)_bytes: (\d+)/gm)].reduce(
        (sum, match) => sum + Number(match[1]),
        0,
      );
      return [pid, { ticks: Number(fields[11] ?? 0) + Number(fields[12] ?? 0), bytes }] as const;
    }),
  );
  return new Map(rows);
}

/** Only processes that were there before: each probe makes a new one. */
function worked(before: Trace['processes'], after: Trace['processes']): boolean {
  return [...after].some(([pid, { ticks, bytes }]) => {
    const former = before.get(pid);
    return former && (ticks - former.ticks >= least.ticks || bytes - former.bytes >= least.bytes);
  });
}

async function stateOf(pid: number): Promise<string | undefined> {
  return (await statOf(pid))[0];
}

/** /proc/<pid>/stat behind the command's name, which may hold anything: state, ppid, … utime (11), stime (12). */
async function statOf(pid: number): Promise<readonly string[]> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}
