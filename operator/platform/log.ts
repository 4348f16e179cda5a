import { pino, type Logger } from 'pino';

export type { Logger };

/** JSON lines on stdout, written synchronously so that the last line before an exit is not lost; secrets are redacted by key. */
export function createLogger(component: string, level = process.env['MAINSTAY_LOG_LEVEL'] ?? 'info'): Logger {
  return pino(
    {
      level,
      base: { component },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: ['password', '*.password', 'token', '*.token', 'uri', '*.uri'], censor: '[redacted]' },
    },
    pino.destination({ fd: 1, sync: true }),
  );
}
