/** Sessions of the agent: over the Unix socket, as superuser by the peer rule, each with a deadline. */
import { Socket } from 'node:net';
import pg from 'pg';
import { MainstayError } from '../../platform/errors.ts';

export type Row = Readonly<Record<string, unknown>>;

export interface Session {
  query(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
}

/**
 * Opens a new session, hands it to `use`, and closes it. A new session for each piece of work is deliberate: only a new
 * one shows that a reload has reached the postmaster (pg-lab.md §2), and none is ever half-open after a time-out.
 */
export async function withSession<T>(
  socketDirectory: string,
  timeoutMs: number,
  signal: AbortSignal,
  use: (session: Session) => Promise<T>,
  database = 'postgres',
): Promise<T> {
  const connection = connect(socketDirectory, timeoutMs, database);
  try {
    return await connection.run(signal, use);
  } finally {
    connection.close();
  }
}

/** A session for what is asked again and again: kept, and opened anew after any failure. */
export function keptSession(socketDirectory: string, timeoutMs: number): Connection {
  let kept: Connection | undefined;
  return {
    run: async (signal, use) => {
      const connection = (kept ??= connect(socketDirectory, timeoutMs, 'postgres'));
      try {
        return await connection.run(signal, use);
      } catch (error) {
        if (kept === connection) kept = undefined;
        connection.close();
        throw error;
      }
    },
    close: () => {
      kept?.close();
      kept = undefined;
    },
  };
}

export interface Connection {
  run<T>(signal: AbortSignal, use: (session: Session) => Promise<T>): Promise<T>;
  close(): void;
}

/**
 * Whatever the user's settings say: what the agent asks, several times a second and now and then with a password in it, is
 * not for PostgreSQL's log; and what it writes must go on where clients are kept from writing.
 */
const ownSettings = Object.entries({
  log_statement: 'none',
  log_min_error_statement: 'panic',
  log_min_duration_statement: '-1',
  log_min_duration_sample: '-1',
  log_transaction_sample_rate: '0',
  log_duration: 'off',
  log_disconnections: 'off',
  default_transaction_read_only: 'off',
})
  .map(([name, value]) => `-c ${name}=${value}`)
  .join(' ');

/** Connects with the first use; useless after a failure. */
function connect(socketDirectory: string, timeoutMs: number, database: string): Connection {
  // Our own, since the client's end is a farewell, for which a server that hangs would have to be there.
  const socket = new Socket();
  const client = new pg.Client({
    stream: () => socket,
    host: socketDirectory,
    user: 'postgres',
    database,
    application_name: 'mainstay-agent',
    options: ownSettings,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  });
  // The socket's end is reported to whoever waits on a query; without a listener it would end the process as well.
  client.on('error', () => undefined);
  let connected: Promise<unknown> | undefined;
  // pg leaves a connect() that is ended before the server has answered pending for ever.
  const closed = Promise.withResolvers<never>();
  closed.promise.catch(() => undefined);
  return {
    run: async (signal, use) => {
      signal.throwIfAborted();
      const abort = (): void => void socket.destroy(signal.reason instanceof Error ? signal.reason : undefined);
      signal.addEventListener('abort', abort, { once: true });
      try {
        await Promise.race([(connected ??= client.connect()), closed.promise]);
        return await use({
          query: async (text, values) => (await client.query<Row>(text, values as unknown[])).rows,
        });
      } catch (cause) {
        socket.destroy();
        throw new MainstayError(
          'DatabaseUnreachable',
          `PostgreSQL: ${cause instanceof Error ? cause.message : String(cause)}`,
          { cause, retryable: true },
        );
      } finally {
        signal.removeEventListener('abort', abort);
      }
    },
    // Not awaited: closing must not hang on a server that no longer answers.
    close: () => {
      closed.reject(new Error('the session was closed'));
      void client.end().catch(() => undefined);
    },
  };
}

export const literal = (text: string): string => pg.escapeLiteral(text);
export const identifier = (text: string): string => pg.escapeIdentifier(text);

/** Too many connections: the server lives, but nobody gets in. */
const noConnectionLeft = '53300';

/**
 * A new session that has a primary force its log to the disk, and a replica answer. The message is written outside of a
 * transaction: it takes no transaction number, waits for no replica, and is flushed all the same (since PostgreSQL 17).
 */
export async function canary(socketDirectory: string, signal: AbortSignal): Promise<'committed' | 'refused'> {
  try {
    await withSession(socketDirectory, 60_000, signal, (session) =>
      session.query(
        "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_logical_emit_message(false, 'mainstay', 'canary', true) END",
      ),
    );
    return 'committed';
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    if (cause instanceof pg.DatabaseError && cause.code === noConnectionLeft) return 'refused';
    throw error;
  }
}
