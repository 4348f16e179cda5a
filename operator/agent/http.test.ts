import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { request } from 'undici';
import type { Heartbeat } from './heartbeat.ts';
import { serveHttp, type Answers, type HttpServer } from './http.ts';

interface Instance {
  readonly role: 'primary' | 'replica';
  readonly state: string;
  readonly serves: boolean;
}

let instance: Instance = { role: 'replica', state: 'streaming', serves: true };
const answers: Answers = {
  health: () => ({
    instance: 'orders-1',
    role: instance.role,
    state: instance.state,
    epoch: 7,
    because: 'all is well',
  }),
  heartbeat: () => ({}) as Heartbeat,
  servesAsPrimary: () => instance.serves && instance.role === 'primary',
  servesAsReplica: () => instance.serves && instance.role === 'replica',
  servesReads: () => instance.serves && instance.role === 'replica',
  explanation: () => undefined,
  alive: () => true,
};

let server: HttpServer;
beforeAll(async () => {
  server = await serveHttp(0, answers, new Registry(), () => undefined);
});
afterAll(() => {
  server.close();
});

async function ask(path: string): Promise<{ readonly status: number; readonly body: unknown }> {
  const { statusCode, body } = await request(`http://127.0.0.1:${server.port}${path}`);
  const text = await body.text();
  return { status: statusCode, body: text.startsWith('{') ? JSON.parse(text) : text };
}

describe('status codes, as load balancers made for Patroni ask for them', () => {
  const primary: Instance = { role: 'primary', state: 'primary', serves: true };
  const replica: Instance = { role: 'replica', state: 'streaming', serves: true };
  const electing: Instance = { role: 'primary', state: 'promoting', serves: false };
  const stopped: Instance = { role: 'replica', state: 'stopped', serves: false };

  test.each<readonly [string, Instance, Readonly<Record<string, number>>]>([
    [
      'primary',
      primary,
      {
        '/': 200,
        '/primary': 200,
        '/read-write': 200,
        '/leader': 200,
        '/replica': 503,
        '/health': 200,
        '/readyz': 200,
      },
    ],
    [
      'replica',
      replica,
      {
        '/': 503,
        '/primary': 503,
        '/read-write': 503,
        '/leader': 503,
        '/replica': 200,
        '/health': 200,
        '/readyz': 200,
      },
    ],
    [
      'primary that can’t prove it',
      electing,
      { '/': 503, '/primary': 503, '/replica': 503, '/health': 200, '/readyz': 503 },
    ],
    ['stopped replica', stopped, { '/primary': 503, '/replica': 503, '/health': 503, '/livez': 200, '/readyz': 503 }],
    ['anybody', primary, { '/metrics': 200, '/explain': 503, '/nothing': 404 }],
  ])('%s', async (_, state, expected) => {
    instance = state;
    const got: Record<string, number> = {};
    for (const path of Object.keys(expected)) got[path] = (await ask(path)).status;
    expect(got).toEqual(expected);
  });

  test('the body says who answers, what it is and why', async () => {
    instance = replica;
    expect((await ask('/primary')).body).toEqual({ ...answers.health() });
  });

  test('a query changes nothing', async () => {
    instance = replica;
    expect((await ask('/replica?lag=10MB')).status).toBe(200);
  });
});
