/** Sessions of the agent: over the Unix socket, known by the operating system's user, each statement with a deadline. */
import { readFile } from 'node:fs/promises';
import { Socket } from 'node:net';
import mysql, { type SslOptions } from 'mysql2/promise';
import { MainstayError } from '../../platform/errors.ts';
import { socket as socketOf, type Layout } from './layout.ts';
import { agentAccount } from './names.ts';
import type { LinkTls } from './tls.ts';

export type Row = Readonly<Record<string, unknown>>;

export interface Session {
  query(text: string, values?: readonly unknown[]): Promise<readonly Row[]>;
}

export interface Connection extends Session {
  /** At once, whatever it is waiting for. A commit that waits for acknowledgements goes on all the same. */
  close(): void;
}

export interface Where {
  readonly socketPath?: string;
  readonly host?: string;
  readonly port?: number;
  readonly user: string;
  readonly password?: string;
  /** Of another instance. */
  readonly tls?: LinkTls;
}

export const localAgent = (layout: Layout, user = agentAccount): Where => ({ socketPath: socketOf(layout), user });

/** A column's text; empty for NULL and where there is no row. */
export function textOf(row: Row | undefined, name: string): string {
  const value = row?.[name];
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : '';
}

/** A session that lasts until it is closed or breaks; statements of it run one after the other. */
export async function connect({ tls, ...where }: Where, timeoutMs: number, signal: AbortSignal): Promise<Connection> {
  signal.throwIfAborted();
  const ssl = tls && (await sslOptions(tls));
  // Our own, since the client's farewell would wait for a server that hangs.
  const socket = new Socket();
  const abort = (): void => void socket.destroy(signal.reason instanceof Error ? signal.reason : undefined);
  signal.addEventListener('abort', abort, { once: true });
  const limit = AbortSignal.timeout(timeoutMs);
  limit.addEventListener('abort', abort, { once: true });
  try {
    if (where.socketPath === undefined) socket.connect(where.port ?? 3306, where.host ?? '');
    else socket.connect(where.socketPath);
    const connection = await mysql.createConnection({
      ...where,
      stream: socket,
      ...(ssl && { ssl }),
      supportBigNumbers: true,
      bigNumberStrings: true,
      dateStrings: true,
      // The server asks the kernel who is at the other end.
      authPlugins: { auth_socket: () => () => Buffer.alloc(0) },
    });
    // Its end is reported to whoever waits; without a listener it would end the process as well.
    connection.on('error', () => undefined);
    return {
      query: async (text, values) => {
        try {
          const [rows] = await connection.query({ sql: text, values: values as unknown[] });
          return Array.isArray(rows) ? (rows as readonly Row[]) : [];
        } catch (cause) {
          throw unreachable(cause);
        }
      },
      close: () => {
        signal.removeEventListener('abort', abort);
        // The client's own way to end a connection never settles what that was waiting for.
        socket.destroy();
      },
    };
  } catch (cause) {
    signal.removeEventListener('abort', abort);
    socket.destroy();
    throw unreachable(
      signal.aborted ? signal.reason : limit.aborted ? new Error(`no answer in ${timeoutMs} ms`) : cause,
    );
  } finally {
    limit.removeEventListener('abort', abort);
  }
}

async function sslOptions({ authorities, certificate, key }: LinkTls): Promise<SslOptions> {
  const text = async (file: string): Promise<string | undefined> => (file === '' ? undefined : readFile(file, 'utf8'));
  const [ca, cert, own] = await Promise.all([authorities, certificate, key].map(text));
  return { rejectUnauthorized: ca !== undefined, ...(ca && { ca }), ...(cert && { cert }), ...(own && { key: own }) };
}

/** Whether this account passes the gate of that server now. */
export async function isLetIn(where: Where, signal: AbortSignal): Promise<boolean> {
  try {
    await withSession(where, loginLimit, signal, (session) => session.query('SELECT 1'));
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

const loginLimit = 1000;

/** Opens a session, hands it to `use`, and closes it. */
export async function withSession<T>(
  where: Where,
  timeoutMs: number,
  signal: AbortSignal,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const connection = await connect(where, timeoutMs, limit);
  try {
    return await use(connection);
  } finally {
    connection.close();
  }
}

/** A session for what is asked again and again: kept, and opened anew after any failure. One use at a time. */
export interface KeptSession {
  run<T>(timeoutMs: number, signal: AbortSignal, use: (session: Session) => Promise<T>): Promise<T>;
  close(): void;
}

export function keptSession(where: Where): KeptSession {
  let kept: Promise<Connection> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const close = (): void => {
    void kept?.then((connection) => connection.close()).catch(() => undefined);
    kept = undefined;
  };
  const once = async <T>(timeoutMs: number, signal: AbortSignal, use: (session: Session) => Promise<T>): Promise<T> => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    limit.throwIfAborted();
    const mine = (kept ??= connect(where, timeoutMs, new AbortController().signal));
    const giveUp = (): void => void mine.then((connection) => connection.close()).catch(() => undefined);
    limit.addEventListener('abort', giveUp, { once: true });
    try {
      return await use(await mine);
    } catch (error) {
      // What it said no to is no reason to doubt it.
      if (limit.aborted || !isRefusal(error)) {
        if (kept === mine) kept = undefined;
        giveUp();
      }
      throw limit.aborted ? unreachable(limit.reason) : error;
    } finally {
      limit.removeEventListener('abort', giveUp);
    }
  };
  return {
    run: (timeoutMs, signal, use) => {
      const result = last.then(() => once(timeoutMs, signal, use));
      last = result.catch(() => undefined);
      return result;
    },
    close,
  };
}

/** MySQL's number of what it refused; undefined for what is no answer of the server's. */
export function errorNumber(error: unknown): number | undefined {
  const cause = error instanceof MainstayError ? error.cause : error;
  const number = (cause as { readonly errno?: unknown } | undefined)?.errno;
  return typeof number === 'number' && number > 0 ? number : undefined;
}

const isRefusal = (error: unknown): boolean => errorNumber(error) !== undefined;

const unreachable = (cause: unknown): MainstayError =>
  new MainstayError('DatabaseUnreachable', `MySQL: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
    retryable: true,
  });

export const literal = (text: string): string => mysql.escape(text);
export const identifier = (text: string): string => mysql.escapeId(text, true);

/** Too many connections: the server lives, but nobody gets in. */
const noConnectionLeft = 1040;

/**
 * A new session that has the server force its redo log to the disk. It waits for no replica: a commit that does is no sign
 * of a server that hangs.
 */
export async function canary(layout: Layout, signal: AbortSignal): Promise<'committed' | 'refused'> {
  try {
    await withSession(localAgent(layout), 60_000, signal, (session) => session.query('FLUSH LOCAL ENGINE LOGS'));
    return 'committed';
  } catch (error) {
    if (errorNumber(error) === noConnectionLeft) return 'refused';
    throw error;
  }
}
