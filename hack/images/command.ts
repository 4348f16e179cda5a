// Runs a tool to its end, quietly; only a failure shows what it said.
import { spawn } from 'node:child_process';

export interface CommandOptions {
  readonly signal: AbortSignal;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutSeconds?: number;
}

/** Enough to see why apt or a compiler gave up. */
const shownOnFailure = 4_000;

/** For mmdebstrap and buildah to unmount and remove what they have made. */
const graceMs = 10_000;

/** What the tool wrote to stdout. Ends the tool's whole process group when the signal is aborted or time is up. */
export async function run(program: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout((options.timeoutSeconds ?? 900) * 1000)]);
  signal.throwIfAborted();
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...process.env, LC_ALL: 'C.UTF-8', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: buildah and mmdebstrap start apt and dpkg, which must not outlive them.
    detached: true,
  });
  const killGroup = (how: NodeJS.Signals): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, how);
    } catch {
      // Already gone.
    }
  };
  let insist: NodeJS.Timeout | undefined;
  const stop = (): void => {
    killGroup('SIGTERM');
    insist = setTimeout(() => killGroup('SIGKILL'), graceMs);
  };
  signal.addEventListener('abort', stop, { once: true });
  let stdout = '';
  let tail = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    tail = (tail + text).slice(-shownOnFailure);
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    tail = (tail + text).slice(-shownOnFailure);
  });
  try {
    const { promise, resolve, reject } = Promise.withResolvers<number | null>();
    child.once('error', reject).once('close', resolve);
    const code = await promise;
    signal.throwIfAborted();
    if (code !== 0) throw new Error(`${program} ${args[0] ?? ''} ended with ${code ?? 'a signal'}:\n${tail}`);
    return stdout;
  } finally {
    signal.removeEventListener('abort', stop);
    clearTimeout(insist);
  }
}
