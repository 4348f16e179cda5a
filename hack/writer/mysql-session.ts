import { Socket } from 'node:net';
import mysql from 'mysql2';
import { connectMs, readBackMs, statementMs } from './limits.ts';
import { reasonOf, type Access, type Session } from './session.ts';

/** The number of the last marker in the log (operator/engines/mysql/names.ts): each primary has its own. A group has none: 0. */
const timeline =
  "COALESCE(CAST(REGEXP_SUBSTR(REGEXP_SUBSTR(@@global.gtid_executed, '6d61696e-7374-6179-8[0-9a-f]{3}-[0-9a-f]{12}:[0-9:-]+'), '[0-9]+$') AS UNSIGNED), 0)";

export async function openMysqlSession(where: Access, table: string): Promise<Session> {
  const socket = new Socket();
  const drop = (): void => void socket.destroy();
  const limit = setTimeout(drop, connectMs);
  try {
    socket.connect(where.port, where.host);
    const opening = mysql.createConnection({ ...where, stream: socket, ssl: { rejectUnauthorized: false } });
    // Without a listener, a connection that breaks between two statements, or once more while it is being opened, would end the process.
    opening.on('error', () => undefined);
    await new Promise<void>((resolve, reject) => opening.connect((error) => (error ? reject(error) : resolve())));
    const connection = opening.promise();
    const query = async (
      sql: string,
      values: readonly unknown[],
      timeout: number,
    ): Promise<readonly Readonly<Record<string, unknown>>[]> => {
      const overdue = setTimeout(drop, timeout);
      try {
        const [rows] = await connection.query({ sql, values: [...values], timeout });
        return Array.isArray(rows) ? (rows as Readonly<Record<string, unknown>>[]) : [];
      } finally {
        clearTimeout(overdue);
      }
    };
    const [first] = await query(`SELECT @@global.read_only AS closed, ${timeline} AS timeline`, [], statementMs);
    const isPrimary = async (): Promise<boolean> =>
      (await query('SELECT @@global.read_only AS closed', [], statementMs))[0]?.['closed'] === 0;
    return {
      isPrimary,
      insert: async (id) => {
        try {
          await query(`INSERT INTO ${table} (id, timeline) VALUES (?, ${timeline})`, [id], statementMs);
          // A server that is another epoch's primary has lost all its connections meanwhile.
          return { outcome: 'acknowledged', timeline: Number(first?.['timeline']) };
        } catch (error) {
          return { outcome: 'unknown', why: reasonOf(error) };
        }
      },
      makeTable: async () => {
        await query(
          `CREATE TABLE IF NOT EXISTS ${table} (id bigint PRIMARY KEY, timeline int NOT NULL, seq bigint NOT NULL AUTO_INCREMENT UNIQUE)`,
          [],
          statementMs,
        );
      },
      rows: async (from = 'primary') => {
        if (from === 'primary' && !(await isPrimary())) throw new Error('the host of -rw answers as a replica');
        const rows = await query(`SELECT id, timeline, seq FROM ${table} IGNORE INDEX (seq)`, [], readBackMs);
        return rows.map((row) => ({
          id: Number(row['id']),
          timeline: Number(row['timeline']),
          xid: Number(row['seq']),
        }));
      },
      see: async (from, to) => {
        const [seen] = await query(
          `SELECT count(*) AS count, max(id) AS newest FROM ${table} WHERE id BETWEEN ? AND ?`,
          [from, to],
          statementMs,
        );
        const newest = seen?.['newest'];
        return { count: Number(seen?.['count']), newest: newest === null ? undefined : Number(newest) };
      },
      drop,
    };
  } catch (error) {
    drop();
    throw error;
  } finally {
    clearTimeout(limit);
  }
}
