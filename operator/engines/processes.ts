/** A server's processes as the kernel knows them: held together by the volume's lock, killed and seen gone. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Clock } from '../platform/clock.ts';
import { databaseEnvironment } from './environment.ts';

export interface ServerProcess {
  readonly pid: number;
  /** Resolves when its main process has ended; children may still be dying. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** Resolves when nothing more comes from its standard error, or soon after its end: a child may outlive it. */
  readonly silent: Promise<unknown>;
  signal(name: NodeJS.Signals): void;
}

/** Milliseconds: for the last lines of a server that has ended. */
const lastLinesLimit = 300;

/** Descriptor 9 is inherited by every process of the server: the lock is free only when all of them are gone. */
export const holdLockAndRun = 'exec 9>>"$1" && flock -n 9 || exit 75; shift; exec "$@"';

/** Starts a server, `command` first, that holds the volume's lock as long as one of its processes lives. */
export function startHoldingLock(
  lock: string,
  name: string,
  command: readonly string[],
  clock: Clock,
  onLine: (line: string) => void,
): ServerProcess {
  const child = spawn('bash', ['-c', holdLockAndRun, name, lock, ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...databaseEnvironment(), LC_ALL: 'C.UTF-8' },
  });
  const read = [child.stdout, child.stderr].map((input) =>
    once(createInterface({ input }).on('line', onLine), 'close'),
  );
  const exited = exitOf(child);
  return {
    pid: child.pid ?? 0,
    exited,
    // Its end may be seen before its last lines.
    silent: exited.then(() => Promise.race([Promise.all(read), clock.sleep(lastLinesLimit)])),
    signal: (name) => void child.kill(name),
  };
}

function exitOf(child: ChildProcess): ServerProcess['exited'] {
  return new Promise((resolve) => {
    child.on('error', () => resolve({ code: null, signal: null }));
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
}

/**
 * Living processes that have this as their working directory, or as that descriptor. Synchronous, as /proc needs no disk, and
 * file access in the background may all be held up by one that is stalled.
 */
export function processesWith(link: 'cwd' | 'fd/9', file: string): readonly number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      if (!Number.isInteger(pid) || pid === process.pid) return false;
      try {
        return readlinkSync(`/proc/${pid}/${link}`) === file;
      } catch {
        return false; // gone, a zombie (it has neither any more), or not ours
      }
    });
}

/** SIGKILL to whatever `holdLockAndRun` has started, with all that it started in turn. */
export const killHolders = (lock: string, clock: Clock, signal?: AbortSignal): Promise<void> =>
  killAll(() => processesWith('fd/9', lock), clock, signal);

/**
 * SIGKILL until none is left. A process that waits for a stalled disk (state D) can't be killed before the disk answers: then
 * this waits until `signal` aborts. One that is spared for a moment is left to end by itself.
 */
export async function killAll(
  living: () => readonly number[],
  clock: Clock,
  signal?: AbortSignal,
  isSpared: (pid: number) => boolean = () => false,
): Promise<void> {
  const patience = clock.now() + lastLinesLimit;
  for (let pause = 2; ; pause = Math.min(pause * 2, 100)) {
    const left = living();
    if (left.length === 0) return;
    for (const pid of left) if (clock.now() >= patience || !isSpared(pid)) kill(pid, 'SIGKILL');
    await clock.sleep(pause, signal);
  }
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
