import { Socket } from 'node:net';
import pg from 'pg';
import { connectMs, readBackMs, statementMs } from './limits.ts';
import { reasonOf, type Access, type Session } from './session.ts';

/** The server's own word: what pg_control says about its timeline may be a checkpoint old. */
const timeline = "('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int";

export async function openPostgresSession(where: Access, table: string): Promise<Session> {
  const socket = new Socket();
  const client = new pg.Client({
    ...where,
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
    rows: async (from = 'primary') => {
      // Not through the index: a row that only the index still knows must not pass for present.
      await query('SET enable_indexscan = off', [], statementMs);
      await query('SET enable_indexonlyscan = off', [], statementMs);
      if (from === 'primary' && !(await isPrimary())) throw new Error('the host of -rw answers as a replica');
      const rows = await query(`SELECT id, timeline, xmin::text FROM ${table}`, [], readBackMs);
      return rows.map(([id, timeline, xid]) => ({ id: Number(id), timeline: Number(timeline), xid: Number(xid) }));
    },
    see: async (from, to) => {
      const [seen] = await query(
        `SELECT count(*), max(id) FROM ${table} WHERE id BETWEEN $1 AND $2`,
        [from, to],
        statementMs,
      );
      return { count: Number(seen?.[0]), newest: seen?.[1] === null ? undefined : Number(seen?.[1]) };
    },
    drop,
  };
}
