/**
 * The agent's HTTP interface; status codes as Patroni's, so that load balancer configurations people own go on working. One
 * port for both: who only looks (kubelets, load balancers, Prometheus) has no certificate of the cluster and comes without
 * TLS; who comes by TLS is an agent of this cluster, or gets nowhere.
 */
import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Registry } from 'prom-client';
import type { Explanation } from '../ha/explain.ts';
import { PledgeQuery, type Heartbeat } from './heartbeat.ts';
import type { IdentitySource, PeerIdentity } from './peer-credentials.ts';

export interface Health {
  readonly instance: string;
  readonly role: 'primary' | 'replica';
  readonly state: string;
  readonly epoch: number;
  /** What the instance waits for or does. */
  readonly because: string;
}

export interface Answers {
  health(): Health;
  /** `isPeer`: it has shown the cluster's certificate. Undefined: the asker has to. */
  heartbeat(pledge: PledgeQuery | undefined, isPeer: boolean): Heartbeat | undefined;
  /** Open, and able to prove its lease at this moment. */
  servesAsPrimary(): boolean;
  servesAsReplica(): boolean;
  /** As a replica that has streamed lately: an election must not empty the Services for reading. */
  servesReads(): boolean;
  /** Why there is a primary or none; undefined before etcd was read. */
  explanation(): Explanation | undefined;
  /** The agent itself gets on with its work. */
  alive(): boolean;
}

export interface HttpServer {
  readonly port: number;
  close(): void;
}

/** Connections on which nothing happens for so long are ended, in milliseconds; agents ask twice a second. */
const idleLimit = 30_000;
/** For the first byte, and for a handshake. */
const helloLimit = 5_000;
/** First byte of a TLS handshake record; no HTTP method begins with it. */
const tlsHello = 0x16;

export async function serveHttp(
  port: number,
  answers: Answers,
  metrics: Registry,
  identity: IdentitySource,
): Promise<HttpServer> {
  const open = new Set<Socket>();
  const plain = createPlainServer((request, response) => respond(request, response, answers, metrics, false));
  const secure = createTlsServer(
    { requestCert: true, rejectUnauthorized: true, handshakeTimeout: helloLimit },
    (request, response) => {
      if (isOfCluster(request.socket, identity())) respond(request, response, answers, metrics, true);
      else response.writeHead(403).end();
    },
  );
  plain.timeout = secure.timeout = idleLimit;
  let shown: PeerIdentity | undefined;
  const serveTls = (socket: Socket): void => {
    const present = identity();
    if (!present) return void socket.destroy();
    // Also makes sessions of the former certificates good for nothing.
    if (present !== shown) secure.setSecureContext(present.credentials);
    shown = present;
    secure.emit('connection', socket);
  };
  const server = createServer({ noDelay: true }, (socket) => {
    open.add(socket);
    const onError = (): void => void socket.destroy();
    socket.on('error', onError).once('close', () => open.delete(socket));
    socket.setTimeout(helloLimit, onError);
    socket.once('data', (first: Buffer) => {
      socket.pause().setTimeout(0).off('timeout', onError).off('error', onError);
      socket.unshift(first);
      if (first[0] === tlsHello) return serveTls(socket);
      plain.emit('connection', socket);
      socket.resume();
      return undefined;
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** The chain was checked in the handshake. A resumed session without a certificate passes for checked: so it is asked for. */
function isOfCluster(socket: Socket, own: PeerIdentity | undefined): boolean {
  if (!(socket instanceof TLSSocket) || !socket.authorized || !own) return false;
  const { subject } = socket.getPeerCertificate() as { readonly subject?: { readonly CN?: string } };
  return subject?.CN === own.name;
}

function respond(
  request: IncomingMessage,
  response: ServerResponse,
  answers: Answers,
  metrics: Registry,
  isPeer: boolean,
): void {
  const [path = '/', query] = (request.url ?? '/').split('?');
  const answer = (ok: boolean, body: unknown = answers.health()): void => {
    response.writeHead(ok ? 200 : 503, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify(body)}\n`);
  };
  switch (path) {
    case '/heartbeat': {
      const beat = answers.heartbeat(pledgeOf(query), isPeer);
      if (beat) return answer(true, beat);
      response.writeHead(403, { 'content-type': 'text/plain' });
      response.end('Agents of the cluster only: by TLS, with their certificate. See /health.\n');
      return undefined;
    }
    case '/livez':
      return answer(answers.alive());
    case '/readyz':
      return answer(answers.servesAsPrimary() || answers.servesReads());
    case '/':
    case '/primary':
    case '/read-write':
    case '/leader':
      return answer(answers.servesAsPrimary());
    case '/replica':
      return answer(answers.servesAsReplica());
    case '/health':
      return answer(answers.health().state !== 'stopped');
    case '/explain': {
      const explanation = answers.explanation();
      return answer(
        explanation !== undefined,
        explanation && { ...explanation, ifLost: Object.fromEntries(explanation.ifLost) },
      );
    }
    case '/metrics':
      void metrics.metrics().then(
        (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
      return undefined;
    default:
      response.writeHead(404).end();
      return undefined;
  }
}

/** Without one, or with one that makes no sense, the question is a plain heartbeat. */
const pledgeOf = (query: string | undefined): PledgeQuery | undefined =>
  query === undefined ? undefined : PledgeQuery.safeParse(Object.fromEntries(new URLSearchParams(query))).data;
