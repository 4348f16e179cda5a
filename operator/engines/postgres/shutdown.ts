/**
 * A clean stop that nobody can hold up. A server that shuts down writes its last record, then waits until every replica that is
 * connected has it, and its archiver too: for as long as one of them likes.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../platform/clock.ts';
import type { ServerProcess } from '../processes.ts';
import { serverProcesses } from './process.ts';

/** Milliseconds. */
const period = 20;
/** Once its last record is on its own disk, it gets so long without any of its senders getting on. */
const patienceWithSenders = 1000;

/** DBState in PostgreSQL's pg_control.h: shut down, as a primary or as a replica; behind two numbers of 8 and 4 + 4 bytes. */
const shutDown = [1, 2];
const stateOffset = 16;

/** Resolves when it has ended, or when waiting on would be for somebody who doesn't answer; rejects when `signal` aborts. */
export async function untilStopped(
  server: ServerProcess,
  data: string,
  clock: Clock,
  signal: AbortSignal,
): Promise<'ended' | 'held up'> {
  const exit = { seen: false };
  void server.exited.then(() => (exit.seen = true));
  let last: { readonly senders: string; readonly since: number } | undefined;
  while (!exit.seen) {
    await Promise.race([server.exited, clock.sleep(period, signal)]);
    if (!(await isShutDown(data))) continue;
    const senders = titlesOfSenders(data);
    if (last?.senders !== senders) last = { senders, since: clock.now() };
    else if (clock.now() - last.since >= patienceWithSenders) return 'held up';
  }
  return 'ended';
}

/** Read here, since a program that reads it would cost more than all the rest. */
async function isShutDown(data: string): Promise<boolean> {
  const control = await readFile(join(data, 'global', 'pg_control'));
  return shutDown.includes(control.readUInt32LE(stateOffset));
}

/** They tell how far they have got: "walsender mainstay_replication 10.1.2.3(41234) streaming 0/5000028". */
function titlesOfSenders(data: string): string {
  const titles = serverProcesses(data).map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    } catch {
      return ''; // gone
    }
  });
  return titles.filter((title) => title.includes('walsender')).join('\n');
}
