/** Sessions of the agent: over the Unix socket, as superuser by the peer rule, each with a deadline. */
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
  signal.throwIfAborted();
  const client = new pg.Client({
    host: socketDirectory,
    user: 'postgres',
    database,
    application_name: 'mainstay-agent',
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  });
  // The socket's end is reported to whoever waits on a query; without a listener it would end the process as well.
  client.on('error', () => undefined);
  const destroy = (): void => {
    void client.end().catch(() => undefined);
  };
  signal.addEventListener('abort', destroy, { once: true });
  try {
    await client.connect();
    return await use({
      query: async (text, values) => (await client.query<Row>(text, values as unknown[])).rows,
    });
  } catch (cause) {
    throw new MainstayError(
      'DatabaseUnreachable',
      `PostgreSQL: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
        retryable: true,
      },
    );
  } finally {
    signal.removeEventListener('abort', destroy);
    // Not awaited: closing must not hang on a server that no longer answers.
    destroy();
  }
}

export const literal = (text: string): string => pg.escapeLiteral(text);
export const identifier = (text: string): string => pg.escapeIdentifier(text);
