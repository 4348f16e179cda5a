/** JSON lines on stdout. Nobody who logs ever waits for whoever reads them. */
import { pino, type Logger } from 'pino';

export type { Logger };

/** Bytes that wait in memory for a reader that is slow; beyond, lines are counted and left out. */
const mostWaiting = 1024 * 1024;

let left = 0;

/**
 * A pipe takes what fits at once, so that the last line before an exit is not lost; what doesn't fit waits. A write that
 * blocked instead would stop the agent, and with it the database, whenever the container runtime is slow to read.
 */
const output = {
  write: (line: string): void => {
    if (stdoutIsBehind()) {
      left++;
      return;
    }
    if (left > 0) {
      const note = `${left} log lines were left out: standard output was not read`;
      left = 0;
      process.stdout.write(`${JSON.stringify({ level: 'warn', time: new Date().toISOString(), msg: note })}\n`);
    }
    process.stdout.write(line);
  },
};

/** Its reader is slow: whoever has lines that can wait elsewhere keeps them. */
export const stdoutIsBehind = (): boolean => process.stdout.writableLength > mostWaiting;

/** Secrets are redacted by key. A `time` that is given is kept: the event's, where it was told of later. */
export function createLogger(component: string, level = process.env['MAINSTAY_LOG_LEVEL'] ?? 'info'): Logger {
  // Its reader is gone: nothing can be told any more, and that must end nothing.
  if (process.stdout.listenerCount('error') === 0) process.stdout.on('error', () => undefined);
  return pino(
    {
      level,
      base: { component },
      timestamp: false,
      mixin: () => ({ time: new Date().toISOString() }),
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['password', '*.password', 'token', '*.token', 'uri', '*.uri'], censor: '[redacted]' },
    },
    output,
  );
}
