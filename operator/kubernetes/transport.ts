import { Agent, type Dispatcher } from 'undici';
import type { ClusterAccess, Credentials } from './access.ts';
import { KubernetesApiError, KubernetesUnreachableError, type ApiStatus } from './api-error.ts';
import type { RequestMetrics } from './metrics.ts';
import { surroundingsFrom, type Surroundings } from './surroundings.ts';
import { timeLimit, type TimeLimit } from './time-limit.ts';

export interface ApiRequest {
  /** For messages and metrics: get, list, apply, … */
  readonly verb: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly contentType?: string;
  /** In which form the answer is wanted; JSON of the whole object if absent. */
  readonly accept?: string;
  readonly body?: unknown;
  /** Doing it twice is the same as doing it once: only then is it tried again. */
  readonly idempotent: boolean;
}

export interface TransportCallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

export interface Transport {
  /** The parsed answer, retries and all within the deadline (10 s unless told). */
  call(request: ApiRequest, options?: TransportCallOptions): Promise<unknown>;
  /** The answer's lines as they come; the deadline is for the first byte of the answer only. */
  lines(request: ApiRequest, options?: TransportCallOptions): AsyncIterable<string>;
  close(): Promise<void>;
}

export interface TransportOptions extends Partial<Surroundings> {
  readonly metrics?: RequestMetrics | undefined;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const MAXIMUM_ATTEMPTS = 5;
const FIRST_RETRY_MS = 200;
/** A bound on our load; each informer holds one of them. */
const MAXIMUM_CONNECTIONS = 64;
/** Far below the idle time after which API servers and load balancers close a connection themselves. */
const KEEP_ALIVE_MS = 30_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** Of an answer that is no Status, for the message. */
const EXCERPT_CHARACTERS = 200;

/** Requests to one API server over one pool of kept-alive HTTP/1.1 connections. */
export function createTransport(access: ClusterAccess, options: TransportOptions = {}): Transport {
  const { clock, random } = surroundingsFrom(options);
  const prefix = new URL(access.server).pathname.replace(/\/$/, '');
  let pool: { readonly agent: Agent; readonly madeFor: string } | undefined;
  /** Of the calls under way, some of them on connections of earlier pools. */
  const limits = new Set<TimeLimit>();
  let closed = false;

  return { call, lines, close };

  async function call(request: ApiRequest, { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: TransportCallOptions = {}) {
    const name = nameOf(request);
    const limit = begin(timeoutMs, signal);
    const endsAt = clock.now() + timeoutMs;
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          const answer = await send(request, limit);
          return JSON.parse(await answer.body.text()) as unknown;
        } catch (cause) {
          const error = explain(cause, name, limit, signal);
          const waitMs =
            request.idempotent && !closed && attempt < MAXIMUM_ATTEMPTS
              ? retryDelay(error, attempt, random)
              : undefined;
          if (waitMs === undefined || clock.now() + waitMs >= endsAt) throw error;
          await clock.sleep(waitMs, limit.signal).catch((reason: unknown) => {
            throw explain(reason, name, limit, signal);
          });
        }
      }
    } finally {
      end(limit);
    }
  }

  async function* lines(
    request: ApiRequest,
    { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: TransportCallOptions = {},
  ): AsyncGenerator<string> {
    const limit = begin(timeoutMs, signal);
    try {
      const answer = await send(request, limit);
      limit.lift();
      const decoder = new TextDecoder();
      let rest = '';
      for await (const chunk of answer.body) {
        const parts = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n');
        // What follows the last line break is not complete; left over at the end, it is not an event but a cut.
        rest = parts.pop() ?? '';
        for (const part of parts) if (part !== '') yield part;
      }
    } catch (cause) {
      throw explain(cause, nameOf(request), limit, signal);
    } finally {
      end(limit);
    }
  }

  async function send(request: ApiRequest, limit: TimeLimit): Promise<Dispatcher.ResponseData> {
    if (closed) throw new Error('the client is closed');
    limit.signal.throwIfAborted();
    const startedAt = clock.now();
    let code = 'error';
    try {
      const credentials = await access.credentials().catch((cause: unknown) => {
        throw new KubernetesUnreachableError(nameOf(request), 'Credentials', cause);
      });
      const answer = await agentFor(credentials).request({
        origin: new URL(access.server).origin,
        path: prefix + request.path + queryString(request.query),
        method: request.method,
        headers: {
          accept: request.accept ?? 'application/json',
          'user-agent': 'mainstay',
          ...(credentials.token === undefined ? {} : { authorization: `Bearer ${credentials.token}` }),
          ...(request.body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' }),
        },
        body: request.body === undefined ? null : JSON.stringify(request.body),
        signal: limit.signal,
      });
      code = String(answer.statusCode);
      if (answer.statusCode >= 300) throw await refusal(request, answer);
      return answer;
    } finally {
      options.metrics?.request(request.verb, code, (clock.now() - startedAt) / 1000);
    }
  }

  /** The one pool, made anew when the CA or the certificate has changed. */
  function agentFor(credentials: Credentials): Agent {
    // A new token needs no new connection.
    const madeFor = JSON.stringify({ ...credentials, token: undefined });
    if (pool?.madeFor !== madeFor) {
      retirePool();
      pool = { agent: newAgent(credentials), madeFor };
    }
    return pool.agent;
  }

  /** Later calls use new connections; those under way end in peace. */
  function retirePool(): void {
    pool?.agent.close().catch(() => undefined);
    pool = undefined;
  }

  function begin(timeoutMs: number, signal: AbortSignal | undefined): TimeLimit {
    const limit = timeLimit(clock, timeoutMs, signal);
    limits.add(limit);
    return limit;
  }

  function end(limit: TimeLimit): void {
    limit.end();
    limits.delete(limit);
  }

  function explain(cause: unknown, name: string, limit: TimeLimit, signal: AbortSignal | undefined): unknown {
    if (cause instanceof KubernetesApiError || cause instanceof KubernetesUnreachableError) return cause;
    if (limit.expired) {
      // Behind a silent connection there may be a dead server: don't let its idle sisters cost a deadline each.
      retirePool();
      return new KubernetesUnreachableError(name, 'Timeout', cause);
    }
    if (signal?.aborted === true) return signal.reason;
    return new KubernetesUnreachableError(name, 'Connection', cause);
  }

  async function close(): Promise<void> {
    closed = true;
    for (const limit of limits) limit.cut(new Error('the client was closed'));
    await pool?.agent.destroy();
  }
}

function newAgent(credentials: Credentials): Agent {
  return new Agent({
    // HTTP/2 would put all watches on one connection that dies as a whole.
    allowH2: false,
    connections: MAXIMUM_CONNECTIONS,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Deadlines are ours.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: {
      timeout: CONNECT_TIMEOUT_MS,
      ...(credentials.ca === undefined ? {} : { ca: credentials.ca }),
      ...(credentials.clientCertificate === undefined ? {} : { cert: credentials.clientCertificate }),
      ...(credentials.clientKey === undefined ? {} : { key: credentials.clientKey }),
      ...(credentials.serverName === undefined ? {} : { servername: credentials.serverName }),
      ...(credentials.insecureSkipTlsVerify === true ? { rejectUnauthorized: false } : {}),
    },
  });
}

async function refusal(request: ApiRequest, answer: Dispatcher.ResponseData): Promise<KubernetesApiError> {
  const header = Number(answer.headers['retry-after']);
  const text = await answer.body.text();
  return new KubernetesApiError(
    nameOf(request),
    answer.statusCode,
    statusOf(text),
    Number.isFinite(header) && header > 0 ? header : undefined,
  );
}

function statusOf(text: string): ApiStatus {
  try {
    const answer = JSON.parse(text) as ApiStatus | null;
    if (answer?.kind === 'Status') return answer;
  } catch {
    // A proxy's page or a plain sentence.
  }
  return { message: text.slice(0, EXCERPT_CHARACTERS).trim() };
}

/** How long to wait before the same request again; undefined when again would not help. */
function retryDelay(error: unknown, attempt: number, random: () => number): number | undefined {
  const backoffMs = FIRST_RETRY_MS * 2 ** (attempt - 1) * (0.5 + random());
  if (error instanceof KubernetesUnreachableError) return error.reason === 'Timeout' ? undefined : backoffMs;
  if (!(error instanceof KubernetesApiError) || (error.status !== 429 && error.status < 500)) return undefined;
  return error.retryAfterSeconds === undefined ? backoffMs : error.retryAfterSeconds * 1000;
}

const nameOf = (request: ApiRequest): string => `${request.verb} ${request.path}`;

function queryString(query: ApiRequest['query'] = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
  return parameters.size === 0 ? '' : `?${parameters.toString()}`;
}
