/** Runs a program to its end in a process group of its own, so that it and its children can be ended together. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface CommandOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Each line of stdout and stderr as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface Finished {
  /** null = ended by a signal. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that ended with anything but 0. */
export class CommandFailed extends Error {
  readonly finished: Finished;

  constructor(command: string, finished: Finished) {
    const said = (finished.stderr.trim() || finished.stdout.trim()).slice(-shownOnFailure);
    super(`${command} ended with ${finished.code ?? 'a signal'}${said === '' ? '' : `: ${said}`}`);
    this.name = 'CommandFailed';
    this.finished = finished;
  }
}

const shownOnFailure = 2_000;
const defaultTimeoutMs = 60_000;
/** Time to clean up after SIGTERM: a tool may have mounts and network namespaces to remove. */
const graceMs = 60_000;

/** stdout; throws CommandFailed, or the reason of the abort. */
export async function run(program: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const finished = await tryRun(program, args, options);
  if (finished.code !== 0) throw new CommandFailed([program.split('/').at(-1), ...args].join(' '), finished);
  return finished.stdout;
}

/** As `run`, for programs whose failure is an answer. */
export async function tryRun(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Finished> {
  const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
  const late = AbortSignal.timeout(timeoutMs);
  const signal = options.signal === undefined ? late : AbortSignal.any([options.signal, late]);
  options.signal?.throwIfAborted();
  const child = spawn(program, args, {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: options.env ?? process.env,
    cwd: options.cwd,
  });
  const end = (how: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, how);
    } catch {
      // The group has ended by itself.
    }
  };
  let killer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    end('SIGTERM');
    killer = setTimeout(() => end('SIGKILL'), graceMs);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  if (options.onLine !== undefined) {
    for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', options.onLine);
  }
  // A program that ends without reading its input is no error of ours.
  child.stdin.on('error', () => undefined).end(options.input ?? '');
  try {
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.once('error', reject).once('close', resolve);
    const code = await promise;
    options.signal?.throwIfAborted();
    if (late.aborted) {
      const command = [program.split('/').at(-1), ...args].join(' ');
      throw new Error(
        `${command} took more than ${timeoutMs / 1000} s and was ended: ${stderr.slice(-shownOnFailure)}`,
      );
    }
    return { code, stdout, stderr };
  } finally {
    clearTimeout(killer);
    signal.removeEventListener('abort', onAbort);
  }
}
