/** One HTTP request at one etcd member: it can be cut at any moment, and says whether anything may have been sent. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Pool, type buildConnector, type Dispatcher } from 'undici';

import type { Clock } from '../platform/clock.ts';
import { MainstayError } from '../platform/errors.ts';

/** PEM texts (not file names). `cert` and `key` secure the connection; etcd's gateway takes no user name from them. */
export interface TlsOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface HttpRequest {
  readonly path: string;
  readonly body: object;
  /** Empty or undefined: none. */
  readonly token: string | undefined;
}

export interface HttpReply {
  readonly status: number;
  readonly body: string;
}

/** The exchange broke off. Only if not `sent` is it certain that etcd never saw the request. */
export class ExchangeBroken extends Error {
  readonly sent: boolean;

  constructor(url: string, sent: boolean, cause: unknown) {
    super(`${url}: ${cause instanceof Error ? cause.message || cause.name : String(cause)}`, { cause });
    this.name = 'ExchangeBroken';
    this.sent = sent;
  }
}

export interface HttpPeer {
  readonly url: string;
  /** The whole reply. Aborting destroys the connection. */
  ask(request: HttpRequest, signal: AbortSignal): Promise<HttpReply>;
  /** Each line of a reply that goes on; settles when it is over. */
  stream(request: HttpRequest, signal: AbortSignal, onLine: (line: string) => void): Promise<void>;
  close(): Promise<void>;
}

/** Longer than any healthy handshake within a cluster, short enough to leave time for the next member. */
const connectTimeoutMilliseconds = 500;
/** Idle seconds before the kernel asks whether the peer is still there; it gives up about 10 s later. */
const tcpKeepAliveMilliseconds = 5_000;

export function httpPeer(url: string, options: { readonly clock: Clock; readonly tls?: TlsOptions }): HttpPeer {
  const origin = originOf(url);
  const pool = new Pool(origin, {
    connect: connector(options.clock, options.tls ?? {}),
    // Over HTTP/2 an abort would only reset a stream and leave a wedged connection to the next request.
    allowH2: false,
    pipelining: 1,
    // Deadlines belong to the calls.
    headersTimeout: 0,
    bodyTimeout: 0,
  });

  return {
    url: origin,
    ask: async (request, signal) => {
      const chunks: Buffer[] = [];
      const status = await exchange(pool, origin, request, signal, (chunk) => chunks.push(chunk));
      return { status, body: Buffer.concat(chunks).toString() };
    },
    stream: async (request, signal, onLine) => {
      const lines = lineSplitter(onLine);
      await exchange(pool, origin, request, signal, lines.push);
      lines.end();
    },
    close: () => pool.destroy(),
  };
}

function originOf(url: string): string {
  const parsed = URL.parse(url);
  if (parsed?.protocol === 'http:' || parsed?.protocol === 'https:') return parsed.origin;
  throw new MainstayError(
    'ConfigurationInvalid',
    `"${url}" is no etcd endpoint. Use http://host:port or https://host:port.`,
  );
}

function exchange(
  pool: Pool,
  url: string,
  request: HttpRequest,
  signal: AbortSignal,
  onData: (chunk: Buffer) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined;
    let settled = false;
    let status = 0;

    const settle = (): void => {
      settled = true;
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (cause: unknown): void => {
      if (settled) return;
      settle();
      reject(new ExchangeBroken(url, controller !== undefined, cause));
    };
    const onAbort = (): void => {
      const reason = signal.reason instanceof Error ? signal.reason : new Error('aborted');
      fail(reason);
      controller?.abort(reason);
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });

    const handler: Dispatcher.DispatchHandler = {
      // Called right before the first byte is written: until then the request is certainly not sent.
      onRequestStart: (started) => {
        if (settled) started.abort(new Error('no longer wanted'));
        // undici may requeue a request whose connection was reset; a write must not go out twice.
        else if (controller) started.abort(new Error('connection reset'));
        else controller = started;
      },
      onResponseStart: (_, statusCode) => {
        status = statusCode;
      },
      onResponseData: (_, chunk) => {
        if (!settled) onData(chunk);
      },
      onResponseEnd: () => {
        if (settled) return;
        settle();
        resolve(status);
      },
      onResponseError: (_, error) => fail(error),
    };
    try {
      pool.dispatch(
        {
          method: 'POST',
          path: request.path,
          headers: {
            'content-type': 'application/json',
            ...(request.token ? { authorization: request.token } : {}),
          },
          body: JSON.stringify(request.body),
        },
        handler,
      );
    } catch (error) {
      fail(error);
    }
  });
}

/** undici's own connector times out on its own timers; ours obeys the clock. */
function connector(clock: Clock, tls: TlsOptions): buildConnector.connector {
  return ({ hostname, protocol, port, servername }, callback) => {
    const secure = protocol === 'https:';
    const address = { host: hostname, port: Number(port) || (secure ? 443 : 80) };
    const socket: Socket = secure
      ? connectTls({ ...tls, ...address, ALPNProtocols: ['http/1.1'], ...(servername ? { servername } : {}) })
      : connectTcp(address);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, tcpKeepAliveMilliseconds);

    const cancelTimeout = clock.after(connectTimeoutMilliseconds, () =>
      socket.destroy(new Error(`no connection within ${connectTimeoutMilliseconds} ms`)),
    );
    let connected = false;
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      connected = true;
      cancelTimeout();
      callback(null, socket);
    });
    socket.on('error', (error) => {
      cancelTimeout();
      if (!connected) callback(error, null);
    });
  };
}

function lineSplitter(onLine: (line: string) => void): {
  readonly push: (chunk: Buffer) => void;
  readonly end: () => void;
} {
  let rest: Buffer[] = [];
  const flush = (): void => {
    const line = Buffer.concat(rest).toString().trim();
    rest = [];
    if (line !== '') onLine(line);
  };
  return {
    push: (chunk) => {
      let from = 0;
      for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, from)) {
        rest.push(chunk.subarray(from, at));
        flush();
        from = at + 1;
      }
      if (from < chunk.length) rest.push(chunk.subarray(from));
    },
    end: flush,
  };
}
