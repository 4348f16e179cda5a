/** One entry of MySQL's slow log, turned into what our own lines are made of. */
import { shortened } from '../log-text.ts';

export interface SlowRecord {
  /** ISO 8601. */
  readonly time: string;
  readonly user: string;
  /** Where the client is. */
  readonly host: string;
  readonly thread: number;
  readonly statement: string;
  /** What it says besides, under its own names in lower case: query_time, rows_examined, …; seconds and numbers. */
  readonly [field: string]: string | number;
}

/**
 * ```
 * # Time: 2026-11-30T22:00:00.123456Z
 * # User@Host: app[app] @ client [10.1.2.3]  Id:    12
 * # Query_time: 2.000123  Lock_time: 0.000001 Rows_sent: 1  Rows_examined: 0
 * use shop;
 * SET timestamp=1796083200;
 * SELECT …;
 * ```
 * Undefined: what a server writes at the beginning of a file.
 */
export function slowRecordOf(lines: readonly string[]): SlowRecord | undefined {
  const [first = '', who = '', ...others] = lines;
  const [, time] = /^# Time: (\S+Z)$/.exec(first) ?? [];
  const [, user, name, address, thread] = /^# User@Host: .*?\[(.*?)\] @ +(\S*) +\[(.*)\] +Id: +(\d+)/.exec(who) ?? [];
  if (time === undefined || thread === undefined) return undefined;
  const figures: Record<string, string | number> = {};
  const text = [...others];
  for (; text[0]?.startsWith('# ') === true; text.shift())
    for (const [, field = '', value = ''] of text[0].matchAll(/([A-Za-z_]+): (\S+)/g))
      figures[field.toLowerCase()] = Number.isNaN(Number(value)) ? value : Number(value);
  const [, database] = /^use (.*);$/.exec(text[0] ?? '') ?? [];
  if (database !== undefined) text.shift();
  if (/^SET timestamp=\d+;$/.test(text[0] ?? '')) text.shift();
  return {
    ...figures,
    time,
    user: user ?? '',
    host: address === '' ? (name ?? '') : (address ?? ''),
    thread: Number(thread),
    ...(database !== undefined && { database }),
    statement: shortened(text.join('\n').replace(/;$/, '')),
  };
}
