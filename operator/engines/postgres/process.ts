/** The server's process tree: started holding the volume's lock, watched, stopped, killed and seen gone. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readdir, readFile, readlink, rm } from 'node:fs/promises';
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
  signal(name: NodeJS.Signals): void;
}

/** Descriptor 9 is inherited by every child of the postmaster: the lock is free only when all of them are gone. */
const holdLockAndRun = 'exec 9>>"$1" && flock -n 9 || exit 75; shift; exec "$@"';

export async function startServer(layout: Layout, onLine: (line: string) => void): Promise<ServerProcess> {
  // Left by a former container: its pids may be somebody else's now. The volume's lock is what excludes a second server.
  await rm(join(layout.data, 'postmaster.pid'), { force: true });
  await rm(join(layout.run, '.s.PGSQL.5432.lock'), { force: true });
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
  for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', onLine);
  return { pid: child.pid ?? 0, exited: exitOf(child), signal: (name) => void child.kill(name) };
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
  signal: AbortSignal,
): Promise<void> {
  const exit = { seen: false };
  void server.exited.then(() => (exit.seen = true));
  for (;;) {
    const lines = (await readFile(join(layout.data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
    if (lines[7]?.trim() === 'ready') break;
    if (exit.seen)
      throw new MainstayError('DatabaseUnreachable', 'PostgreSQL ended while starting; its log says why', {
        retryable: true,
      });
    await clock.sleep(10, signal);
  }
  await withSession(layout.run, 2000, signal, (session) => session.query('SELECT 1'));
}

interface Process {
  readonly pid: number;
  readonly title: string;
}

/** Living processes of the server on this data directory: each has it as its working directory. */
export async function serverProcesses(data: string): Promise<readonly Process[]> {
  const found: Process[] = [];
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      if ((await readlink(`/proc/${entry}/cwd`)) !== data) continue;
      found.push({ pid, title: (await readFile(`/proc/${entry}/cmdline`, 'utf8')).replaceAll('\0', ' ') });
    } catch {
      // Gone, a zombie (it has no working directory any more), or not ours.
    }
  }
  return found;
}

/** SIGKILL to every process of the server until none is left. */
export async function killServer(data: string, clock: Clock): Promise<void> {
  for (;;) {
    const left = await serverProcesses(data);
    if (left.length === 0) return;
    for (const { pid } of left) kill(pid, 'SIGKILL');
    await clock.sleep(2);
  }
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
