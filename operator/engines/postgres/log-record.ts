/** One line of PostgreSQL's log, as jsonlog or as plain text, turned into what our own lines are made of. */
import { shortened } from '../log-text.ts';

export interface LogRecord {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  /** ISO 8601; absent: PostgreSQL didn't say. */
  readonly time?: string;
  readonly message: string;
  /** PostgreSQL's other fields, under its own names. */
  readonly pg: Readonly<Record<string, unknown>>;
}

/** FATAL ends a session, which is often its client's fault; PANIC ends the server. */
const levels: Readonly<Record<string, LogRecord['level']>> = {
  DEBUG: 'debug',
  LOG: 'info',
  INFO: 'info',
  NOTICE: 'info',
  WARNING: 'warn',
  ERROR: 'error',
  FATAL: 'error',
  PANIC: 'fatal',
};

const levelOf = (severity: string): LogRecord['level'] => levels[severity.replace(/\d$/, '')] ?? 'info';

/** A line of jsonlog. One that was cut short ends within a text, as all long fields are texts: it is closed there. */
export function recordOf(line: string, wasCut = false): LogRecord {
  const fields = parsed(line) ?? (wasCut ? parsed(`${line.replace(/\\(u[0-9a-fA-F]{0,3})?$/, '')}"}`) : undefined);
  if (!fields) return plainRecord(line);
  const { timestamp, message, ...others } = withoutSecrets(fields);
  const time = typeof timestamp === 'string' ? isoTime(timestamp) : undefined;
  const short = (value: unknown): unknown => (typeof value === 'string' ? shortened(value, wasCut) : value);
  return {
    level: levelOf(String(fields['error_severity'])),
    ...(time !== undefined && { time }),
    message: shortened(typeof message === 'string' ? message : '', wasCut),
    pg: Object.fromEntries(Object.entries(others).map(([name, value]) => [name, short(value)])),
  };
}

/** What was written to standard error: before the collector of logs runs, by a library, or by a command of a setting. */
export function plainRecord(line: string): LogRecord {
  const match = /^(?:\S+ \S+ \S+ \[(\d+)\] (?:\S+ )?)?([A-Z]+\d?): {2}(.*)$/.exec(line);
  const [, pid, severity, message] = match ?? [];
  if (severity === undefined || message === undefined || !(severity.replace(/\d$/, '') in levels))
    return { level: 'info', message: shortened(line), pg: {} };
  return {
    level: levelOf(severity),
    message: shortened(message),
    pg: { ...(pid !== undefined && { pid: Number(pid) }), error_severity: severity },
  };
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** "2026-11-21 14:15:16.123 UTC"; log_timezone is ours, and UTC. */
const isoTime = (timestamp: string): string | undefined => {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d+) (?:UTC|GMT)$/.exec(timestamp);
  return match ? `${match[1] ?? ''}T${match[2] ?? ''}Z` : undefined;
};

// ---- secrets ---------------------------------------------------------------------------------------------------------

const redacted = '[redacted]';
const namesPassword = /\b(?:pg)?pass(?:word|wd)\b/i;
/** Two looks: one expression for both would take ages over a long text that is made for it. */
const changesRole = (text: string): boolean =>
  /\b(?:create|alter)\b/i.test(text) && /\b(?:role|user|group|server|subscription)\b/i.test(text);
/** Texts that may hold a statement, or a part of one. */
const statements = ['message', 'detail', 'hint', 'internal_query', 'context', 'statement'] as const;

/**
 * Where a statement names a password, all that follows its first literal is left out, of every text of the record: to find
 * the one literal that is the password would take PostgreSQL's own parser. Of a statement about roles, what follows the word
 * as well, for the sake of forgotten quotes.
 */
function withoutSecrets(fields: Record<string, unknown>): Record<string, unknown> {
  const texts = statements.map((name) => fields[name]).filter((text) => typeof text === 'string');
  if (!texts.some((text) => namesPassword.test(text))) return fields;
  const aboutRoles = texts.some(changesRole);
  const clean = (text: string): string => {
    const word = namesPassword.exec(text);
    const ends = [
      text.search(/'|\$\w*\$/),
      aboutRoles && word ? word.index + word[0].length + 1 : -1,
      aboutRoles ? text.search(/(?<=at or near )"/) : -1,
    ].filter((end) => end >= 0 && end < text.length);
    return ends.length === 0 ? text : `${text.slice(0, Math.min(...ends))}${redacted}`;
  };
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === 'string' && (statements as readonly string[]).includes(name) ? clean(value) : value,
    ]),
  );
}
