/** The server's process tree: started holding the volume's lock, watched, stopped, killed and seen gone. */
import { readFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../platform/clock.ts';
import { MainstayError } from '../../platform/errors.ts';
import { killAll, processesWith, startHoldingLock, type ServerProcess } from '../processes.ts';
import { configFile } from './config.ts';
import type { Layout } from './layout.ts';
import { withSession } from './sql.ts';

export async function startServer(
  layout: Layout,
  clock: Clock,
  onLine: (line: string) => void,
): Promise<ServerProcess> {
  // Left by a former container: its pids may be somebody else's now. The volume's lock is what excludes a second server.
  await rm(join(layout.data, 'postmaster.pid'), { force: true });
  await forgetSocketOwner(layout);
  const command = [join(layout.bin, 'postgres'), '-D', layout.data, '-c', `config_file=${configFile(layout)}`];
  return startHoldingLock(layout.lock, 'postgres', command, clock, onLine);
}

/** Left by a former container, whose pids may be somebody else's now. */
export async function forgetSocketOwner(layout: Layout): Promise<void> {
  await rm(join(layout.run, '.s.PGSQL.5432.lock'), { force: true });
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

/** Living processes of the server on this data directory: each has it as its working directory. */
export const serverProcesses = (data: string): readonly number[] => processesWith('cwd', data);

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

/** The collector of logs ends by itself when all others have: what it still holds says why they did. */
export const killServer = (data: string, clock: Clock, signal?: AbortSignal): Promise<void> =>
  killAll(() => serverProcesses(data), clock, signal, isLogger);

function isLogger(pid: number): boolean {
  try {
    return /^postgres: (.*: )?logger\b/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  } catch {
    return false; // gone
  }
}
