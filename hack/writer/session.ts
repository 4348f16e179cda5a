/** One connection to the primary, as an application would open it: through the Secret's host, with deadlines of its own. */
import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Row } from './verdict.ts';

export type Insert =
  | { readonly outcome: 'acknowledged'; readonly timeline: number }
  /** No answer, an error, or a warning such as "canceling wait for synchronous replication": committed or not, nobody knows. */
  | { readonly outcome: 'unknown'; readonly why: string };

export interface Session {
  readonly insert: (id: number) => Promise<Insert>;
  readonly makeTable: () => Promise<void>;
  readonly isPrimary: () => Promise<boolean>;
  readonly rows: () => Promise<readonly Row[]>;
  /** Drops the connection without a word: a server that doesn't answer must not delay the next one. */
  readonly drop: () => void;
}

const connectMs = 1_000;
/** A write that a lost machine never answers must not be what the outage is made of. */
const statementMs = 1_000;
/** Reading everything back takes longer than a write. */
const readBackMs = 30_000;
/** The server's own word: what pg_control says about its timeline may be a checkpoint old. */
const timeline = "('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int";

/** Among several hosts, how soon one that was not the primary is asked again. */
const askAgainMs = 50;

/** What a client with several hosts in its URI and target_session_attrs=read-write does, but all at once: the primary, whoever it is. */
export async function openSessionAtAny(
  hosts: readonly string[],
  access: string,
  table: string,
  signal: AbortSignal,
): Promise<Session> {
  const found = new AbortController();
  const over = AbortSignal.any([signal, found.signal]);
  const look = async (host: string): Promise<Session> => {
    for (;;) {
      const session = await openSession(access, table, host).catch(() => undefined);
      if (session !== undefined && !over.aborted && (await session.isPrimary().catch(() => false))) return session;
      session?.drop();
      await delay(askAgainMs, undefined, { signal: over });
    }
  };
  const looks = hosts.map(look);
  const session = await Promise.any(looks);
  found.abort();
  // A second one may have been found in the same moment.
  for (const other of looks)
    void other.then(
      (late) => {
        if (late !== session) late.drop();
      },
      () => undefined,
    );
  return session;
}

/** `access`: folder with the files host, port, dbname, username, password (the mounted Secret, read anew each time). */
export async function openSession(access: string, table: string, host?: string): Promise<Session> {
  const read = async (name: string): Promise<string> => (await readFile(path.join(access, name), 'utf8')).trim();
  const socket = new Socket();
  const client = new pg.Client({
    host: host ?? (await read('host')),
    port: Number(await read('port')),
    database: await read('dbname'),
    user: await read('username'),
    password: await read('password'),
    application_name: 'mainstay-writer',
    connectionTimeoutMillis: connectMs,
    stream: () => socket,
  });
  const warnings: string[] = [];
  client.on('notice', (notice) => {
    warnings.push(`${notice.code ?? ''} ${notice.message ?? ''}`.trim());
  });
  // Without a listener, a connection that breaks between two statements would end the process.
  client.on('error', () => undefined);
  const drop = (): void => void socket.destroy();
  try {
    await client.connect();
  } catch (error) {
    drop();
    throw error;
  }

  const query = async (text: string, values: readonly unknown[], deadlineMs: number): Promise<readonly unknown[][]> => {
    const answer = await client.query({ text, values: [...values], rowMode: 'array', query_timeout: deadlineMs } as {
      text: string;
      values: unknown[];
      rowMode: 'array';
    });
    return answer.rows as unknown[][];
  };

  const isPrimary = async (): Promise<boolean> =>
    (await query('SELECT pg_is_in_recovery()', [], statementMs))[0]?.[0] === false;

  return {
    isPrimary,
    insert: async (id) => {
      warnings.length = 0;
      let said: number;
      try {
        const insert = `INSERT INTO ${table} (id, timeline) VALUES ($1, ${timeline}) RETURNING timeline`;
        said = Number((await query(insert, [id], statementMs))[0]?.[0]);
      } catch (error) {
        return { outcome: 'unknown', why: reasonOf(error) };
      }
      const [warning] = warnings;
      return warning === undefined ? { outcome: 'acknowledged', timeline: said } : { outcome: 'unknown', why: warning };
    },
    makeTable: async () => {
      await query(
        `CREATE TABLE IF NOT EXISTS ${table} (id bigint PRIMARY KEY, timeline int NOT NULL)`,
        [],
        statementMs,
      );
    },
    rows: async () => {
      // Not through the index: a row that only the index still knows must not pass for present.
      await query('SET enable_indexscan = off', [], statementMs);
      await query('SET enable_indexonlyscan = off', [], statementMs);
      if (!(await isPrimary())) throw new Error('the host of -rw answers as a replica');
      const rows = await query(`SELECT id, timeline, xmin::text FROM ${table}`, [], readBackMs);
      return rows.map(([id, timeline, xid]) => ({ id: Number(id), timeline: Number(timeline), xid: Number(xid) }));
    },
    drop,
  };
}

/** Short and without ids or addresses, so that equal failures count as one. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return `${code} ${error.message}`.trim().slice(0, 200);
}
