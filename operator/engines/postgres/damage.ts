/** What a server finds damaged in its own files, as its statistics count it and its log tells it. */
import type { Corruption } from '../../api/cluster-state.ts';
import type { Clock } from '../../platform/clock.ts';
import type { LogRecord } from './log-record.ts';
import type { Session } from './sql.ts';

export interface Damage {
  /** A line of the log. */
  hear(record: LogRecord): void;
  /** Asks the statistics, now and then. */
  look(session: Session): Promise<void>;
  found(): Corruption | undefined;
  /** There is other data now. */
  forget(): void;
}

/** Milliseconds. */
const lookPeriod = 10_000;
/** A complaint in the log that isn't repeated is forgotten: an index may have been made anew. */
const memory = 24 * 3600_000;
const corrupted = new Set(['XX001', 'XX002']);
/** Of a page or a file as such, which was whole when it was written; other complaints may be about what the primary has too. */
const physical =
  /^page verification failed|^invalid page in block|^could not read blocks? .*: read only \d+ of \d+ bytes/;

export function watchDamage(clock: Clock): Damage {
  let lookedAt = -Infinity;
  let counted: { readonly pages: number; readonly databases: readonly string[] } = { pages: 0, databases: [] };
  let heard:
    | {
        readonly databases: readonly string[];
        readonly first: string;
        readonly isPhysical: boolean;
        readonly at: number;
      }
    | undefined;
  let since: string | undefined;

  return {
    hear: ({ message, pg }) => {
      if (!corrupted.has(String(pg['state_code']))) return;
      since ??= clock.wall().toISOString();
      const database = typeof pg['dbname'] === 'string' ? [pg['dbname']] : [];
      heard = {
        databases: [...new Set([...(heard?.databases ?? []), ...database])].slice(0, 20),
        // Which page it was is said after the checksum.
        first: heard && !heard.first.startsWith('page verification') ? heard.first : message.slice(0, 300),
        isPhysical: heard?.isPhysical === true || physical.test(message),
        at: clock.now(),
      };
    },
    look: async (session) => {
      if (clock.now() - lookedAt < lookPeriod) return;
      lookedAt = clock.now();
      const rows = await session.query(
        "SELECT coalesce(datname, 'shared catalogs') AS name, checksum_failures::int AS pages FROM pg_stat_database WHERE checksum_failures > 0 ORDER BY 1",
      );
      counted = {
        pages: rows.reduce((sum, row) => sum + Number(row['pages']), 0),
        databases: rows.map((row) => String(row['name'])).slice(0, 20),
      };
      if (counted.pages > 0) since ??= clock.wall().toISOString();
    },
    found: () => {
      if (heard && clock.now() - heard.at > memory) heard = undefined;
      if (counted.pages === 0 && !heard) since = undefined;
      return since === undefined
        ? undefined
        : {
            databases: [...new Set([...counted.databases, ...(heard?.databases ?? [])])].toSorted(),
            since,
            detail: [
              ...(counted.pages > 0 ? [`${counted.pages} reads of pages with a wrong checksum`] : []),
              ...(heard ? [heard.first] : []),
            ].join('; '),
            ...((counted.pages > 0 || heard?.isPhysical === true) && { copyHelps: true }),
          };
    },
    forget: () => {
      counted = { pages: 0, databases: [] };
      heard = undefined;
      since = undefined;
      lookedAt = -Infinity;
    },
  };
}
