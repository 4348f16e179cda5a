/** PostgreSQL's own log among the agent's lines, and the ear for what only the log says. */
import { join } from 'node:path';
import type { Clock } from '../../platform/clock.ts';
import { stdoutIsBehind, type Logger } from '../../platform/log.ts';
import { followLog } from '../log-files.ts';
import type { Layout } from './layout.ts';
import { plainRecord, recordOf, type LogRecord } from './log-record.ts';

export interface ServerLog {
  /** What a server has written to its standard error itself: before its collector of logs ran, or after. */
  readonly tell: (line: string) => void;
  /** The last line in which a server said why it couldn't go on, since `forget`. */
  readonly lastWords: () => string | undefined;
  forget(): void;
}

export const rotationSize = '4MB';
/** Sorts by age. */
export const fileName = 'postgresql-%Y%m%dT%H%M%S.log';
/** `json`: jsonlog; `text`: what anything else wrote to standard error. */
const files = { json: /^postgresql-.*\.json$/, text: /^postgresql-.*\.log$/ };
export const logDirectory = (layout: Layout): string => join(layout.run, 'log');

/** What clients who come too early are told says nothing of the server. */
const toClients = /^the database system is /;
/** Of no interest to anybody: the log goes on, here. */
const handingOver = /^(redirecting log output to logging collector process|ending log output to stderr)$/;

export function followServerLog(
  layout: Layout,
  clock: Clock,
  agentLog: Logger,
  listen: (record: LogRecord) => void,
): ServerLog {
  // What it says is filtered by its own log_min_messages, not by the level of the agent's lines.
  const log = agentLog.child({ logger: 'postgres' }, { level: 'trace' });
  let lastWords: string | undefined;

  function tell(record: LogRecord): void {
    const { level, time, message, pg } = record;
    const severity = pg['error_severity'];
    if ((severity === 'FATAL' || severity === 'PANIC') && !toClients.test(message))
      lastWords = `${severity}:  ${message}`;
    if (!handingOver.test(message)) log[level]({ ...(time !== undefined && { time }), pg }, message);
    listen(record);
  }

  const following = followLog(
    logDirectory(layout),
    files,
    {
      line: (kind, text, cut) => tell(kind === 'json' ? recordOf(text, cut) : plainRecord(text)),
      lost: (bytes) => log.warn({ bytes }, 'a part of PostgreSQL’s log was left out: standard output was not read'),
      busy: stdoutIsBehind,
    },
    clock,
  );
  return {
    tell: (line) => tell(plainRecord(line)),
    lastWords: () => {
      following.drain();
      return lastWords;
    },
    forget: () => (lastWords = undefined),
  };
}
