/** Between operators and a real API server: hands on what it is told to, and makes the rest go wrong as planned. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, request as send, type RequestOptions } from 'node:https';
import { createInterface } from 'node:readline';
import type { AddressInfo, Socket } from 'node:net';
import type { ClusterAccess, Credentials } from '../../operator/kubernetes/access.ts';
import { refusals, type Fault, type Plan } from './gate.ts';

/** What becomes of watch events. */
export type Watching =
  | { readonly kind: 'faithful' }
  /** Each comes this much later, in order. */
  | { readonly kind: 'late'; readonly milliseconds: number }
  | { readonly kind: 'twice' }
  /** None comes any more; after a while each stream ends as too old (410), or is reset. */
  | { readonly kind: 'lost'; readonly forMs: number; readonly end: 'gone' | 'reset' };

export interface FaultingProxy {
  /** For one life of an operator: the next one cuts off the former. */
  newLife(onDeath: () => void): ClusterAccess;
  /** Nothing of the present life is let through any more. */
  endLife(): void;
  plan(plan: Plan): void;
  watching(how: Watching): void;
  /** From now on, informers begin with the lists of this moment, and hear of later changes only after `forMs`. */
  timeTravel(forMs: number | undefined): void;
  /** Carries out what was held back. */
  deliverLate(): Promise<readonly number[]>;
  /** Writes so far, failed ones too. */
  readonly writes: number;
  /** When the last write was made, on performance.now(). */
  readonly lastWriteAt: number;
  close(): Promise<void>;
  /** Lets a request that isn't HTTP pass the same gate. */
  pass<T>(life: number, what: string, perform: () => Promise<T>, failed: (sent: boolean) => T): Promise<T>;
  readonly life: number;
}

interface Held {
  readonly perform: () => Promise<unknown>;
}

interface Given {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export async function startProxy(target: ClusterAccess): Promise<FaultingProxy> {
  const upstream = new Agent({ keepAlive: true, maxSockets: 64 });
  const sockets = new Set<Socket>();
  const late: Held[] = [];
  const lists = new Map<string, { readonly status: number; readonly body: Buffer }>();
  let plan: Plan = () => undefined;
  let watching: Watching = { kind: 'faithful' };
  let travelUntil: number | undefined;
  let life = 0;
  let alive = false;
  let onDeath = (): void => undefined;
  let writes = 0;
  let lastWriteAt = performance.now();

  const die = (): void => {
    if (!alive) return;
    alive = false;
    for (const socket of sockets) socket.resetAndDestroy();
    onDeath();
  };

  const server = createServer((incoming, answer) => {
    const parts: Buffer[] = [];
    incoming.on('error', () => undefined);
    answer.on('error', () => undefined);
    incoming.on('data', (part: Buffer) => parts.push(part));
    incoming.on('end', () => {
      const [, number = '', path = ''] = /^\/life(\d+)(\/.*)$/.exec(incoming.url ?? '') ?? [];
      if (!alive || Number(number) !== life) {
        incoming.socket.destroy();
        return;
      }
      const given = { method: incoming.method ?? 'GET', path, headers: incoming.headers, body: Buffer.concat(parts) };
      handle(given, incoming.socket, answer).catch(() => incoming.socket.destroy());
    });
  });
  server.keepAliveTimeout = 60_000;
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const credentials: Credentials = await target.credentials();

  return {
    newLife(onNextDeath) {
      for (const socket of sockets) socket.destroy();
      life += 1;
      alive = true;
      onDeath = onNextDeath;
      return {
        server: `http://127.0.0.1:${port}/life${life}`,
        namespace: 'default',
        credentials: () => Promise.resolve({}),
      };
    },
    endLife() {
      alive = false;
      for (const socket of sockets) socket.destroy();
    },
    plan: (next) => void (plan = next),
    watching: (how) => void (watching = how),
    timeTravel(forMs) {
      travelUntil = forMs === undefined ? undefined : performance.now() + forMs;
    },
    async deliverLate() {
      const answers = await Promise.all(late.splice(0).map(({ perform }) => perform()));
      lastWriteAt = performance.now();
      return answers.map((answer) => (answer as { readonly status?: number } | undefined)?.status ?? 0);
    },
    get writes() {
      return writes;
    },
    get lastWriteAt() {
      return lastWriteAt;
    },
    get life() {
      return life;
    },
    async pass(number, what, perform, failed) {
      if (!alive || number !== life) return failed(false);
      noteWrite();
      const fault = plan({ what, writes: true });
      switch (fault?.kind) {
        case undefined:
          return perform();
        case 'death':
          return dieAround(fault.at, perform, () => failed(fault.at === 'during'));
        case 'refusal':
        case 'silence':
          return failed(false);
        case 'reset':
          if (fault.carriedOut) await perform();
          return failed(fault.carriedOut);
      }
    },
    async close() {
      alive = false;
      for (const socket of sockets) socket.destroy();
      upstream.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  function noteWrite(): void {
    writes += 1;
    lastWriteAt = performance.now();
  }

  /** The answer, if it still reaches anybody. */
  async function dieAround<T>(
    at: Extract<Fault, { kind: 'death' }>['at'],
    perform: () => Promise<T>,
    failed: () => T,
  ): Promise<T> {
    switch (at) {
      case 'before':
        die();
        return failed();
      case 'during':
        await perform();
        die();
        return failed();
      case 'after': {
        const answer = await perform();
        // Let the answer arrive first.
        setTimeout(die, 2);
        return answer;
      }
      case 'late':
        late.push({ perform });
        die();
        return failed();
    }
  }

  async function handle(given: Given, socket: Socket, answer: ServerResponse): Promise<void> {
    const { method, path } = given;
    const url = new URL(path, 'http://proxy');
    if (url.searchParams.get('watch') === 'true') {
      await watch(given, url, socket, answer);
      return;
    }
    const isWrite = method !== 'GET';
    // Nobody depends on events.
    const counts = !url.pathname.includes('/events');
    if (isWrite && counts) noteWrite();
    const fault = counts ? plan({ what: `${method} ${shortPath(url)}`, writes: isWrite }) : undefined;
    switch (fault?.kind) {
      case undefined:
        reply(answer, await listed(given, url));
        return;
      case 'death':
        await dieAround(
          fault.at,
          async () => {
            const got = await forward(given);
            if (fault.at === 'after') reply(answer, got);
            return got;
          },
          () => undefined,
        );
        return;
      case 'refusal':
        reply(answer, refusalOf(fault.as));
        return;
      case 'reset':
        if (fault.carriedOut) await forward(given);
        socket.resetAndDestroy();
        return;
      case 'silence':
        return;
    }
  }

  /** Lists are remembered, so that a later life can begin in the past. */
  async function listed(given: Given, url: URL): Promise<Got> {
    const selector = url.searchParams.get('labelSelector') ?? '';
    const isInformers =
      given.method === 'GET' && url.searchParams.has('limit') && !selector.includes('mainstay.dev/cluster=');
    if (!isInformers) return forward(given);
    const known = lists.get(given.path);
    if (known && travelUntil !== undefined && performance.now() < travelUntil) return known;
    const got = await forward(given);
    if (travelUntil === undefined && got.status === 200) lists.set(given.path, got);
    return got;
  }

  async function watch(given: Given, url: URL, socket: Socket, answer: ServerResponse): Promise<void> {
    const fault = plan({ what: `watch ${shortPath(url)}`, writes: false });
    if (fault?.kind === 'refusal') {
      reply(answer, refusalOf(fault.as));
      return;
    }
    if (fault?.kind === 'reset' || fault?.kind === 'silence') {
      socket.resetAndDestroy();
      return;
    }
    if (travelUntil !== undefined) {
      const waitMs = travelUntil - performance.now();
      answer.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
    const sent = send(optionsFor(given));
    sent.on('error', () => socket.destroy());
    socket.once('close', () => sent.destroy());
    sent.on('response', (response) => {
      response.on('error', () => socket.destroy());
      if (!answer.headersSent) answer.writeHead(response.statusCode ?? 500, { 'content-type': 'application/json' });
      answer.flushHeaders();
      let ends = false;
      const lines = createInterface({ input: response });
      lines.on('error', () => socket.destroy());
      lines.on('line', (line) => {
        const how = watching;
        switch (how.kind) {
          case 'faithful':
            answer.write(`${line}\n`);
            return;
          case 'late':
            setTimeout(() => answer.write(`${line}\n`), how.milliseconds);
            return;
          case 'twice':
            answer.write(`${line}\n${line}\n`);
            return;
          case 'lost':
            if (ends) return;
            ends = true;
            setTimeout(() => {
              if (how.end === 'reset') socket.resetAndDestroy();
              else answer.end(`${JSON.stringify({ type: 'ERROR', object: refusalStatus('gone') })}\n`);
              sent.destroy();
            }, how.forMs);
        }
      });
      response.on('end', () => answer.end());
    });
    sent.end();
  }

  function forward(given: Given): Promise<Got> {
    return new Promise((resolve, reject) => {
      const sent = send(optionsFor(given), (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts) }));
      });
      sent.on('error', reject);
      sent.end(given.body);
    });
  }

  function optionsFor({ method, path, headers }: Given): RequestOptions {
    const { hostname, port: targetPort } = new URL(target.server);
    const kept = ['accept', 'content-type', 'user-agent'].flatMap((name) =>
      headers[name] === undefined ? [] : [[name, headers[name]] as const],
    );
    return {
      agent: upstream,
      hostname,
      port: targetPort,
      method,
      path,
      rejectUnauthorized: false,
      headers: { ...Object.fromEntries(kept), authorization: `Bearer ${credentials.token ?? ''}` },
    };
  }
}

interface Got {
  readonly status: number;
  readonly body: Buffer;
}

function reply(answer: ServerResponse, { status, body }: Got): void {
  if (answer.destroyed) return;
  answer.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
}

const refusalStatus = (as: keyof typeof refusals): object => ({
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  code: refusals[as].status,
  reason: refusals[as].reason,
  message: `planned ${refusals[as].reason}`,
});

const refusalOf = (as: keyof typeof refusals): Got => ({
  status: refusals[as].status,
  body: Buffer.from(JSON.stringify(refusalStatus(as))),
});

/** Without group, version and namespace, and without what differs from call to call. */
function shortPath({ pathname }: URL): string {
  return pathname.replace(/^\/(api|apis\/[^/]+)\/[^/]+\//, '').replace(/^namespaces\/[^/]+\//, '');
}
