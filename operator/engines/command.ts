import { spawn } from 'node:child_process';
import { MainstayError } from '../platform/errors.ts';
import { databaseEnvironment } from './environment.ts';

/** Runs one of a database's own tools to its end; stdout, or DatabaseCommandFailed with the last of what it said. */
export function command(
  file: string,
  args: readonly string[],
  options: {
    readonly signal: AbortSignal;
    readonly env?: NodeJS.ProcessEnv;
    readonly cwd?: string;
    /** Sees stderr as it comes, in pieces of any size. */
    readonly onStderr?: (text: string) => void;
  },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...databaseEnvironment(), LC_ALL: 'C.UTF-8', ...options.env },
      signal: options.signal,
      cwd: options.cwd,
      killSignal: 'SIGKILL',
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-4000);
      options.onStderr?.(text);
    });
    child.on('error', (cause) =>
      reject(new MainstayError('DatabaseCommandFailed', `${file} could not run`, { cause, retryable: true })),
    );
    child.on('close', (code, signal) => {
      if (code === 0) resolve(stdout);
      else
        reject(
          new MainstayError(
            'DatabaseCommandFailed',
            // Some tools complain on stdout.
            `${file} ended with ${signal ?? String(code)}: ${stderr.trim() || stdout.slice(-4000).trim()}`,
            { retryable: true },
          ),
        );
    });
  });
}
