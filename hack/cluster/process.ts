/** Commands that run to their end, daemons that outlive us, and waiting for what they bring about. */
import { spawn } from 'node:child_process';
import { mkdirSync, openSync, closeSync, readFileSync, writeFileSync, existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { daemonsFile } from './cgroups.ts';
import { logFolder, runtimeFolder } from './layout.ts';

export interface RunOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Called with each line of standard error, for progress. */
  readonly onLine?: (line: string) => void;
}

/** Runs a command and returns its standard output; throws with the end of its standard error. */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? 60_000);
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['pipe', 'pipe', 'pipe'],
    signal: options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]),
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  child.stdin.on('error', () => undefined); // the command may end before it has read everything
  child.stdin.end(options.input ?? '');
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
  const lastLines: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    options.onLine?.(line);
    lastLines.push(line);
    if (lastLines.length > 15) lastLines.shift();
  });
  const code = await ended;
  if (code !== 0) {
    throw new Error(`${basename(command)} ${args.join(' ').slice(0, 200)} failed (${code}): ${lastLines.join('\n')}`);
  }
  return stdout;
}

/** As run, for a command whose failure means that there was nothing to do. */
export async function attempt(command: string, args: readonly string[], options: RunOptions = {}): Promise<boolean> {
  return run(command, args, options).then(
    () => true,
    () => {
      options.signal?.throwIfAborted();
      return false;
    },
  );
}

/** A process of the cluster that keeps running when this tool ends. */
export interface Daemon {
  readonly name: string;
  /** Whoever is in this cgroup belongs to the machine that is powered off with it. */
  readonly cgroup: string;
  readonly netns?: string;
  readonly command: string;
  readonly args: readonly string[];
}

export interface StartedDaemon {
  readonly daemon: Daemon;
  readonly pid: number;
  /** Throws, with the end of its log, when the daemon has ended. */
  readonly assertRunning: () => void;
}

export function start(daemon: Daemon): StartedDaemon {
  const log = join(logFolder, `${daemon.cgroup}.${daemon.name}.log`);
  mkdirSync(logFolder, { recursive: true });
  const output = openSync(log, 'a');
  // The shell enters the cgroup before anything of the daemon runs, so that nothing of it can ever escape a power-off.
  const enter = daemon.netns === undefined ? [] : ['nsenter', `--net=/run/netns/${daemon.netns}`];
  const child = spawn(
    '/bin/sh',
    ['-c', 'echo $$ > "$0" && exec "$@"', daemonsFile(daemon.cgroup), ...enter, daemon.command, ...daemon.args],
    { detached: true, cwd: '/', stdio: ['ignore', output, output] },
  );
  closeSync(output);
  let ended: string | undefined;
  child.once('error', (error) => (ended = error.message));
  child.once('exit', (code, signal) => (ended = signal ?? `exit ${code ?? '?'}`));
  child.unref();
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${daemon.name} could not be started`);
  mkdirSync(join(runtimeFolder, 'pids'), { recursive: true });
  writeFileSync(pidFile(daemon), String(pid));
  return {
    daemon,
    pid,
    assertRunning: () => {
      if (ended === undefined) return;
      const tail = readFileSync(log, 'utf8').trimEnd().split('\n').slice(-8).join('\n');
      throw new Error(`${daemon.name} (${daemon.cgroup}) ended: ${ended}. Its log ${log} ends with:\n${tail}`);
    },
  };
}

/** Whether the process recorded for a daemon still is that daemon. */
export function isRunning(daemon: Pick<Daemon, 'name' | 'cgroup'>): boolean {
  const file = pidFile(daemon);
  if (!existsSync(file)) return false;
  const pid = readFileSync(file, 'utf8').trim();
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(daemon.cgroup);
  } catch {
    return false;
  }
}

/** SIGKILL; resolves when the process is gone. */
export async function kill(daemon: Pick<Daemon, 'name' | 'cgroup'>, signal: AbortSignal): Promise<void> {
  if (!isRunning(daemon)) return;
  process.kill(Number(readFileSync(pidFile(daemon), 'utf8')), 'SIGKILL');
  await waitFor(`end of ${daemon.name}`, () => (isRunning(daemon) ? undefined : true), {
    timeoutMs: 10_000,
    signal,
    intervalMs: 10,
  });
}

function pidFile(daemon: Pick<Daemon, 'name' | 'cgroup'>): string {
  return join(runtimeFolder, 'pids', `${daemon.cgroup}.${daemon.name}`);
}

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly intervalMs?: number;
  /** Waiting ends early when one of these does. */
  readonly daemons?: readonly StartedDaemon[];
}

/** Asks until the answer is defined. Polling: none of what is asked here can be awaited. */
export async function waitFor<T>(
  what: string,
  ask: () => T | undefined | Promise<T | undefined>,
  options: WaitOptions,
): Promise<T> {
  const deadline = performance.now() + options.timeoutMs;
  let cause: unknown;
  for (;;) {
    options.signal?.throwIfAborted();
    options.daemons?.forEach((daemon) => daemon.assertRunning());
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) throw new Error(`${what}: not within ${options.timeoutMs / 1000} s`, { cause });
    await sleep(options.intervalMs ?? 100, undefined, { signal: options.signal });
  }
}
