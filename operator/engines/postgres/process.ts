/** The server's process tree: started holding the volume's lock, watched, stopped, killed and seen gone. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Clock } from '../../platform/clock.ts';
import { MainstayError } from '../../platform/errors.ts';
import { configFile } from './config.ts';
import type { Layout } from './layout.ts';
import { withSession } from './sql.ts';

export interface ServerProcess {
  readonly pid: number;
  /** Resolves when the postmaster has ended; its children may still be dying. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** Resolves when nothing more comes from its standard error, or soon after its end: a child may outlive it. */
  readonly silent: Promise<unknown>;
  signal(name: NodeJS.Signals): void;
}

/** Descriptor 9 is inherited by every child of the postmaster: the lock is free only when all of them are gone. */
export const holdLockAndRun = 'exec 9>>"$1" && flock -n 9 || exit 75; shift; exec "$@"';

/** Milliseconds: for the last lines of a server that has ended, and for its collector of logs to write them. */
const lastLinesLimit = 300;

export async function startServer(
  layout: Layout,
  clock: Clock,
  onLine: (line: string) => void,
): Promise<ServerProcess> {
  // Left by a former container: its pids may be somebody else's now. The volume's lock is what excludes a second server.
  await rm(join(layout.data, 'postmaster.pid'), { force: true });
  await forgetSocketOwner(layout);
  const child = spawn(
    'bash',
    [
      '-c',
      holdLockAndRun,
      'postgres',
      layout.lock,
      join(layout.bin, 'postgres'),
      '-D',
      layout.data,
      '-c',
      `config_file=${configFile(layout)}`,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C.UTF-8' } },
  );
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

/** Left by a former container, whose pids may be somebody else's now. */
export async function forgetSocketOwner(layout: Layout): Promise<void> {
  await rm(join(layout.run, '.s.PGSQL.5432.lock'), { force: true });
}

function exitOf(child: ChildProcess): ServerProcess['exited'] {
  return new Promise((resolve) => {
    child.on('error', () => resolve({ code: null, signal: null }));
    child.on('exit', (code, signal) => resolve({ code, signal }));
  });
}

/** Resolves when the server lets sessions in; rejects when it ends first. The postmaster notes its state in its pid file. */
export async function untilConnectable(
  server: ServerProcess,
  layout: Layout,
  clock: Clock,
  lastWords: () => string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const exit = { seen: false };
  void server.exited.then(() => (exit.seen = true));
  for (;;) {
    const lines = (await readFile(join(layout.data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
    if (lines[7]?.trim() === 'ready') break;
    if (exit.seen) {
      await Promise.all([server.silent, killServer(layout.data, clock, signal)]);
      const why = lastWords() ?? 'its log says why';
      throw new MainstayError('DatabaseUnreachable', `PostgreSQL ended while starting: ${why}`, { retryable: true });
    }
    await clock.sleep(10, signal);
  }
  await withSession(layout.run, 2000, signal, (session) => session.query('SELECT 1'));
}

/**
 * Living processes of the server on this data directory: each has it as its working directory. Synchronous, as /proc needs
 * no disk, and file access in the background may all be held up by one that is stalled.
 */
export const serverProcesses = (data: string): readonly number[] => processesWith('cwd', data);

function processesWith(link: 'cwd' | 'fd/9', file: string): readonly number[] {
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

/** The receivers among the server's processes: they are known by their title alone. */
export async function walreceivers(data: string): Promise<readonly number[]> {
  const titled = await Promise.all(
    serverProcesses(data).map(async (pid) => ({
      pid,
      title: await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
    })),
  );
  return titled.filter(({ title }) => title.includes('walreceiver')).map(({ pid }) => pid);
}

/**
 * SIGKILL to every process of the server until none is left. One that waits for a stalled disk (state D) can't be killed
 * before the disk answers: then this waits until `signal` aborts.
 */
export const killServer = (data: string, clock: Clock, signal?: AbortSignal): Promise<void> =>
  killAll(() => serverProcesses(data), clock, signal);

/** The same for whatever `holdLockAndRun` has started, with all that it started in turn. */
export const killHolders = (lock: string, clock: Clock, signal?: AbortSignal): Promise<void> =>
  killAll(() => processesWith('fd/9', lock), clock, signal);

async function killAll(living: () => readonly number[], clock: Clock, signal?: AbortSignal): Promise<void> {
  const patience = clock.now() + lastLinesLimit;
  for (let pause = 2; ; pause = Math.min(pause * 2, 100)) {
    const left = living();
    if (left.length === 0) return;
    // The collector of logs ends by itself when all others have: what it still holds says why they did.
    for (const pid of left) if (clock.now() >= patience || !isLogger(pid)) kill(pid, 'SIGKILL');
    await clock.sleep(pause, signal);
  }
}

function isLogger(pid: number): boolean {
  try {
    return /^postgres: (.*: )?logger\b/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  } catch {
    return false; // gone
  }
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
