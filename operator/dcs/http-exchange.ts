/** One HTTP request at one etcd member: it can be cut at any moment, and says whether anything may have been sent. */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import { Pool, type buildConnector, type Dispatcher } from 'undici';

import type { Clock } from '../platform/clock.ts';
import { MainstayError } from '../platform/errors.ts';

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

export interface PeerOptions {
  readonly clock: Clock;
  /** Asked for each connection over https. */
  readonly secureContext: () => SecureContext;
}

export function httpPeer(url: string, options: PeerOptions): HttpPeer {
  const origin = originOf(url);
  const pool = new Pool(origin, {
    connect: connector(options),
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
  const isPlain = parsed?.username === '' && parsed.password === '';
  if (isPlain && (parsed.protocol === 'http:' || parsed.protocol === 'https:')) return parsed.origin;
  throw new MainstayError(
    'ConfigurationInvalid',
    // What stands before an @ may be a password.
    `"${url.replace(/[^/]*@/, '…@')}" is no etcd endpoint. Use http://host:port or https://host:port, without a user.`,
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
            // By this header etcd knows a call through its gateway; without, and without a token, it would take the
            // common name of its own certificate for the user.
            accept: 'application/json',
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
function connector({ clock, secureContext }: PeerOptions): buildConnector.connector {
  return ({ hostname, protocol, port }, callback) => {
    const secure = protocol === 'https:';
    const address = { host: hostname, port: Number(port) || (secure ? 443 : 80) };
    let socket: Socket;
    try {
      // Node checks the certificate against `host`; to ask for a name (SNI) is left to us, and an address is none.
      const name = isIP(hostname) === 0 ? { servername: hostname } : {};
      socket = secure
        ? connectTls({ ...address, ...name, secureContext: secureContext(), ALPNProtocols: ['http/1.1'] })
        : connectTcp(address);
    } catch (error) {
      callback(error as Error, null);
      return;
    }
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
