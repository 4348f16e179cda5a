/** Plain calls to the API server over kept-alive connections: polling with kubectl would cost a process each time. */
import { KubeConfig } from '@kubernetes/client-node';
import type { OutgoingHttpHeaders } from 'node:http';
import { Agent, request, type RequestOptions } from 'node:https';

export interface ApiServer {
  /** undefined = 404. */
  readonly get: <T>(path: string) => Promise<T | undefined>;
  /** The status code alone, of whatever answers behind the path. */
  readonly statusOf: (path: string) => Promise<number>;
  readonly post: <T>(path: string, body?: unknown, timeoutMs?: number) => Promise<T>;
  readonly close: () => void;
}

/** An answer other than 2xx. */
export class ApiRefused extends Error {
  readonly status: number;

  constructor(what: string, status: number, body: string) {
    super(`${what}: ${status} ${body.slice(0, 500)}`);
    this.name = 'ApiRefused';
    this.status = status;
  }
}

/** Longer than any healthy answer, shorter than a person's patience. */
const defaultTimeoutMs = 5_000;
/** A probe of something that may just have died; it is asked again soon. */
const probeTimeoutMs = 1_000;

export function apiServer(kubeconfig: string): ApiServer {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const server = config.getCurrentCluster()?.server;
  if (server === undefined) throw new Error(`${kubeconfig} names no cluster: set its current-context.`);
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });

  const call = async (
    method: string,
    path: string,
    body: string | undefined,
    timeoutMs: number,
  ): Promise<{ readonly status: number; readonly text: string }> => {
    const options: RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    const { promise, resolve, reject } = Promise.withResolvers<{ readonly status: number; readonly text: string }>();
    const sent = request(
      new URL(server.replace(/\/$/, '') + path),
      {
        ...options,
        method,
        agent,
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          ...(options.headers as OutgoingHttpHeaders | undefined),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
      },
      (response) => {
        let text = '';
        response
          .setEncoding('utf8')
          .on('data', (part: string) => (text += part))
          .once('end', () => resolve({ status: response.statusCode ?? 0, text }))
          .once('error', reject);
      },
    );
    sent.once('error', reject).end(body);
    return promise;
  };

  return {
    get: async <T>(path: string) => {
      const { status, text } = await call('GET', path, undefined, defaultTimeoutMs);
      if (status === 404) return undefined;
      if (status !== 200) throw new ApiRefused(`GET ${path}`, status, text);
      return JSON.parse(text) as T;
    },
    statusOf: async (path) => (await call('GET', path, undefined, probeTimeoutMs)).status,
    post: async <T>(path: string, body?: unknown, timeoutMs = defaultTimeoutMs) => {
      const { status, text } = await call('POST', path, JSON.stringify(body ?? {}), timeoutMs);
      if (status < 200 || status > 299) throw new ApiRefused(`POST ${path}`, status, text);
      return JSON.parse(text) as T;
    },
    close: () => agent.destroy(),
  };
}
