/** MySQL's own log among the agent's lines, and the ear for what only the log says. */
import type { Logger } from '../../platform/log.ts';

export interface LogRecord {
  readonly time: string | undefined;
  readonly level: 'error' | 'warn' | 'info' | 'debug';
  /** "MY-010931"; undefined for what isn't a line of the server's log. */
  readonly code: string | undefined;
  readonly subsystem: string | undefined;
  readonly thread: number | undefined;
  readonly message: string;
}

export interface ServerLog {
  readonly tell: (line: string) => void;
  /** The last line in which a server said why it couldn't go on, since `forget`. */
  readonly lastWords: () => string | undefined;
  forget(): void;
}

/** "2026-11-21T17:55:03.123456Z 12 [ERROR] [MY-010119] [Server] Aborting" */
const line = /^(\S+Z) (\d+) \[(\w+)\] \[(MY-\d+)\] \[(\w+)\] (.*)$/;
const levels: Readonly<Record<string, LogRecord['level']>> = {
  ERROR: 'error',
  Warning: 'warn',
  Note: 'info',
  System: 'info',
};
/** That it gives up says nothing of why. */
const givingUp = /^Aborting$/;

export function recordOf(text: string): LogRecord {
  const [, time, thread, level, code, subsystem, message] = line.exec(text) ?? [];
  return {
    time,
    level: levels[level ?? ''] ?? 'info',
    code,
    subsystem,
    thread: thread === undefined ? undefined : Number(thread),
    message: message ?? text,
  };
}

export function serverLog(agentLog: Logger, listen: (record: LogRecord) => void): ServerLog {
  // What it says is filtered by its own log_error_verbosity, not by the level of the agent's lines.
  const log = agentLog.child({ logger: 'mysql' }, { level: 'trace' });
  let lastWords: string | undefined;
  return {
    tell: (text) => {
      const record = recordOf(text);
      const { level, time, code, subsystem, thread, message } = record;
      if (level === 'error' && !givingUp.test(message)) lastWords = `[${code ?? ''}] ${message}`;
      log[level]({ ...(time !== undefined && { time }), mysql: { code, subsystem, thread } }, message);
      listen(record);
    },
    lastWords: () => lastWords,
    forget: () => (lastWords = undefined),
  };
}
