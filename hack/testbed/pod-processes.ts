/** The processes of a Pod seen from outside: local nodes share this machine's PID namespace. */
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import process from 'node:process';
import { notYet, until, yes } from './until.ts';

export interface PodProcess {
  readonly pid: number;
  /** Its number in the innermost PID namespace: 1 is the container's own. */
  readonly innerPid: number;
  readonly command: string;
}

/** Those whose cgroup carries the Pod's UID. */
export async function processesOf(podUid: string): Promise<readonly PodProcess[]> {
  const ofPod = [podUid, podUid.replaceAll('-', '_')];
  const found: PodProcess[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    // Of a process that ended meanwhile there is nothing to read.
    const read = (file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
    const cgroup = await read('cgroup');
    if (!ofPod.some((uid) => cgroup.includes(uid))) continue;
    const innermost = /^NSpid:.*\s(\d+)$/m.exec(await read('status'))?.[1];
    const command = (await read('cmdline')).replaceAll('\0', ' ').trim();
    if (innermost !== undefined) found.push({ pid: Number(pid), innerPid: Number(innermost), command });
  }
  return found;
}

/** The agent itself, not the small init that has started it. */
export function agentOf(podUid: string): Promise<PodProcess> {
  return theOne(podUid, 'agent', /^\S*node .*agent\.mjs run$/);
}

/** The shell that kills the database when its agent goes silent. */
export function deadmanOf(podUid: string): Promise<PodProcess> {
  return theOne(podUid, 'deadman', /^bash -c limit=.* deadman /);
}

export function etcdOf(podUid: string): Promise<PodProcess> {
  return theOne(podUid, 'etcd', /^\S*etcd /);
}

async function theOne(podUid: string, what: string, command: RegExp): Promise<PodProcess> {
  const found = (await processesOf(podUid)).find((one) => command.test(one.command));
  if (found === undefined) throw new Error(`no ${what} runs in Pod ${podUid} on this machine`);
  return found;
}

/** Every process of the Pod's database; of PostgreSQL's many, the postmaster first. */
export async function databaseProcesses(podUid: string): Promise<readonly PodProcess[]> {
  // The postmaster keeps its command line; the others call themselves "postgres: …".
  const all = (await processesOf(podUid)).filter(({ command }) => /(^|\/)postgres(:| |$)|^\S*mysqld /.test(command));
  const isPostmaster = ({ command }: PodProcess): boolean => !command.startsWith('postgres:');
  return [...all.filter(isPostmaster), ...all.filter((one) => !isPostmaster(one))];
}

/** False also for one that has ended and waits for its parent to notice. */
export function isAlive({ pid }: PodProcess): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Tells when the database that runs now has ended: its Pod says nothing while its agent is stopped or its node is cut off. */
export async function endOfDatabase(podUid: string): Promise<(patience: { readonly within: number }) => Promise<void>> {
  const [server] = await databaseProcesses(podUid);
  if (server === undefined) throw new Error(`no database runs in Pod ${podUid} on this machine`);
  return ({ within }) =>
    until(
      'end of the old primary’s database',
      () => Promise.resolve(isAlive(server) ? notYet(`process ${server.pid} lives`) : yes(undefined)),
      { within, everyMs: 20 },
    );
}

/** One that is gone already needs no signal. */
export function signalTo(processes: readonly PodProcess[], signal: NodeJS.Signals): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
