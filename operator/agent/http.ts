/** The agent's HTTP interface; status codes as Patroni's, so that load balancer configurations people own go on working. */
import { createServer, type Server } from 'node:http';
import type { Registry } from 'prom-client';
import type { Explanation } from '../ha/explain.ts';
import { PledgeQuery, type Heartbeat } from './heartbeat.ts';

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
  heartbeat(pledge: PledgeQuery | undefined): Heartbeat;
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

export function serveHttp(port: number, answers: Answers, metrics: Registry): Promise<Server> {
  const server = createServer((request, response) => {
    const [path = '/', query] = (request.url ?? '/').split('?');
    const answer = (ok: boolean, body: unknown = answers.health()): void => {
      response.writeHead(ok ? 200 : 503, { 'content-type': 'application/json' });
      response.end(`${JSON.stringify(body)}\n`);
    };
    switch (path) {
      case '/heartbeat':
        return answer(true, answers.heartbeat(pledgeOf(query)));
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
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => resolve(server));
  });
}

/** Without one, or with one that makes no sense, the question is a plain heartbeat. */
const pledgeOf = (query: string | undefined): PledgeQuery | undefined =>
  query === undefined ? undefined : PledgeQuery.safeParse(Object.fromEntries(new URLSearchParams(query))).data;
