/** `/livez`, `/readyz` and `/metrics` of the operator. */
import { createServer, type Server } from 'node:http';
import type { Registry } from 'prom-client';

export interface Health {
  readonly registry: Registry;
  /** Why the process is not ready; undefined if it is. */
  readonly unready: () => string | undefined;
}

export function startHttpServer(port: number, { registry, unready }: Health): Promise<Server> {
  const server = createServer((request, response) => {
    const answer = (status: number, body: string, type = 'text/plain; charset=utf-8'): void => {
      response.writeHead(status, { 'content-type': type }).end(body);
    };
    const [path] = (request.url ?? '').split('?');
    switch (path) {
      case '/livez':
        answer(200, 'ok\n');
        return;
      case '/readyz': {
        const reason = unready();
        answer(reason === undefined ? 200 : 503, `${reason ?? 'ok'}\n`);
        return;
      }
      case '/metrics':
        registry.metrics().then(
          (text) => answer(200, text, registry.contentType),
          (error: unknown) => answer(500, `${String(error)}\n`),
        );
        return;
      case undefined:
      default:
        answer(404, 'Not here. Try /livez, /readyz or /metrics.\n');
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, () => resolve(server));
  });
}
