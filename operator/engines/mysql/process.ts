/** mysqld as a child that holds the volume's lock: started, watched, killed and seen gone. */
import { mkdir, rm } from 'node:fs/promises';
import type { Clock } from '../../platform/clock.ts';
import { MainstayError } from '../../platform/errors.ts';
import { killHolders, processesWith, startHoldingLock, type ServerProcess } from '../processes.ts';
import { configFile, socket, type Layout } from './layout.ts';
import { localAgent, withSession } from './sql.ts';

export interface StartOptions {
  readonly data?: string;
  readonly options?: readonly string[];
}

export async function startServer(
  layout: Layout,
  clock: Clock,
  onLine: (line: string) => void,
  { data = layout.data, options = [] }: StartOptions = {},
): Promise<ServerProcess> {
  await mkdir(layout.run, { recursive: true });
  // Left by a former container: its pid may be somebody else's now. The volume's lock is what excludes a second server.
  for (const left of [socket(layout), `${socket(layout)}.lock`]) await rm(left, { force: true });
  const command = [layout.mysqld, `--defaults-file=${configFile(layout)}`, `--datadir=${data}`, ...options];
  return startHoldingLock(layout.lock, 'mysqld', command, clock, onLine);
}

/** A thread may hold the volume's lock a moment longer than the process can be seen: it is reaped only after the last one. */
export async function killServer(server: ServerProcess, layout: Layout, clock: Clock): Promise<void> {
  server.signal('SIGKILL');
  await killHolders(layout.lock, clock);
  await server.exited;
}

export const serverProcesses = (layout: Layout): readonly number[] => processesWith('fd/9', layout.lock);

/** Resolves when the server lets the agent in; rejects when it ends first. */
export async function untilConnectable(
  server: ServerProcess,
  layout: Layout,
  clock: Clock,
  lastWords: () => string | undefined,
  signal: AbortSignal,
  user?: string,
): Promise<void> {
  const exit = { seen: false };
  void server.exited.then(() => (exit.seen = true));
  for (;;) {
    const answers = await withSession(localAgent(layout, user), 2000, signal, (session) =>
      session.query('SELECT 1'),
    ).then(
      () => true,
      () => false,
    );
    if (answers) return;
    if (exit.seen) {
      await server.silent;
      const why = lastWords() ?? 'its log says why';
      throw new MainstayError('DatabaseUnreachable', `MySQL ended while starting: ${why}`, { retryable: true });
    }
    await clock.sleep(20, signal);
  }
}
