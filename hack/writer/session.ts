/** One connection to the primary, as an application would open it: through the Secret's host, with deadlines of its own. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openMysqlSession } from './mysql-session.ts';
import { openPostgresSession } from './postgres-session.ts';
import type { Row } from './verdict.ts';

export type Insert =
  | { readonly outcome: 'acknowledged'; readonly timeline: number }
  /** No answer, an error, or a warning such as "canceling wait for synchronous replication": committed or not, nobody knows. */
  | { readonly outcome: 'unknown'; readonly why: string };

export interface Session {
  readonly insert: (id: number) => Promise<Insert>;
  readonly makeTable: () => Promise<void>;
  readonly isPrimary: () => Promise<boolean>;
  /** All of them; `any`: also from a replica. */
  readonly rows: (from?: 'primary' | 'any') => Promise<readonly Row[]>;
  /** Of the ids between these, both included: how many are there, and the newest. */
  readonly see: (from: number, to: number) => Promise<{ readonly count: number; readonly newest: number | undefined }>;
  /** Drops the connection without a word: a server that doesn't answer must not delay the next one. */
  readonly drop: () => void;
}

export interface Access {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

const mysqlPort = 3306;

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
  const where: Access = {
    host: host ?? (await read('host')),
    port: Number(await read('port')),
    database: await read('dbname'),
    user: await read('username'),
    password: await read('password'),
  };
  return where.port === mysqlPort ? openMysqlSession(where, table) : openPostgresSession(where, table);
}

/** Short and without ids or addresses, so that equal failures count as one. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return `${code} ${error.message}`.trim().slice(0, 200);
}
