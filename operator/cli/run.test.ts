import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { kubernetesClient } from '../kubernetes/client.ts';
import { startFakeApiServer, type FakeApiServer } from '../kubernetes/fake-api-server.ts';
import { createTransport } from '../kubernetes/transport.ts';
import { manualClock } from '../kubernetes/manual-clock.ts';
import type { Session, World } from './command.ts';
import { commands } from './commands.ts';
import { run } from './run.ts';

let api: FakeApiServer;
let sessions: Session[] = [];
beforeEach(async () => {
  api = await startFakeApiServer();
  sessions = [];
});
afterEach(async () => {
  for (const { client, transport } of sessions) await Promise.all([client.close(), transport.close()]);
  await api.close();
});

const clusters = '/apis/mainstay.dev/v1alpha1/namespaces/shop/postgresclusters';
const operations = '/apis/mainstay.dev/v1alpha1/namespaces/shop/clusteroperations';
const condition = (type: string, status: string, message = 'Because.') => ({ type, status, reason: 'Reason', message });
const instance = (name: string, role: 'primary' | 'replica', more = {}) => ({
  name,
  role,
  state: role === 'primary' ? 'running' : 'streaming',
  sync: role === 'replica',
  node: 'n1',
  ifLost: 'service goes on',
  ...more,
});
const orders = {
  metadata: { name: 'orders', namespace: 'shop' },
  spec: { instances: 3, version: '18', application: { database: 'app', owner: 'shop' } },
  status: {
    observedGeneration: 1,
    summary: 'Ready',
    ready: '3/3',
    primary: 'orders-1',
    epoch: 4,
    durability: { mode: 'Strict', acknowledgements: 1 },
    sync: { members: ['orders-2', 'orders-3'], acknowledgements: 1 },
    lastFailover: { epoch: 4, winner: 'orders-1', reason: 'Switchover', at: '2026-11-21T08:00:00Z' },
    instancesStatus: [
      instance('orders-1', 'primary', { ifLost: 'failover to orders-2' }),
      instance('orders-2', 'replica', { lagBytes: 3_000_000 }),
      instance('orders-3', 'replica', { lagBytes: 0 }),
    ],
    conditions: [condition('Available', 'True'), condition('Ready', 'True'), condition('Degraded', 'False')],
  },
};
const withConditions = (...conditions: object[]) => ({ ...orders, status: { ...orders.status, conditions } });

interface Told {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly kubectl: readonly (readonly string[])[];
}

async function call(...args: string[]): Promise<Told> {
  const told = { out: '', err: '', kubectl: [] as (readonly string[])[] };
  const world: World = {
    connect: (input) => {
      const session = {
        access: api.access,
        client: kubernetesClient(api.access),
        transport: createTransport(api.access),
        namespace: input.values.get('namespace') ?? 'shop',
        kubectlFlags: ['--namespace=shop'],
      };
      sessions.push(session);
      return Promise.resolve(session);
    },
    out: (text) => (told.out += `${text}\n`),
    err: (text) => (told.err += `${text}\n`),
    kubectl: (given) => {
      told.kubectl.push(given);
      return Promise.resolve(0);
    },
    clock: manualClock(),
    signal: new AbortController().signal,
  };
  const code = await run(commands, args, world);
  return { ...told, code };
}

describe('status', () => {
  test('fits on one screen', async () => {
    api.put(`${clusters}/orders`, orders);
    const { code, out } = await call('status', 'orders');
    expect(code).toBe(0);
    expect(out).toMatch(/^orders {3}PostgreSQL 18 {3}Ready {3}3\/3 {3}primary orders-1 \(n1\) for .* {3}epoch 4$/m);
    expect(out).toMatch(/^\* {2}orders-1 {2}primary {2}running {4}- {8}- {5}n1 {4}failover to orders-2$/m);
    expect(out).toMatch(/^ {3}orders-2 {2}replica {2}streaming {2}2\.9 MiB {2}yes/m);
    expect(out).toContain('Strict: each write waits for 1 of orders-2, orders-3');
    expect(out).toMatch(/Next +nothing to do/);
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThan(120);
  });

  test.each([
    ['ready', orders, 0, 'nothing to do'],
    [
      'degraded',
      withConditions(
        condition('Available', 'True'),
        condition('Ready', 'True'),
        condition('Degraded', 'True', 'One is missing.'),
      ),
      1,
      'One is missing.',
    ],
    [
      'changing',
      withConditions(
        condition('Available', 'True'),
        condition('Ready', 'False'),
        condition('Reconciling', 'True', 'Replacing.'),
      ),
      1,
      'Replacing.',
    ],
    [
      'without a primary',
      withConditions(condition('Available', 'False', 'Nobody leads.')),
      2,
      'kubectl mainstay explain orders',
    ],
    [
      'stalled',
      withConditions(condition('Available', 'True'), condition('Stalled', 'True', 'Do this.')),
      1,
      'Do this.',
    ],
    ['new', { ...orders, status: { observedGeneration: -1 } }, 2, 'has not seen the cluster yet'],
  ])('of a cluster that is %s', async (_, object, code, says) => {
    api.put(`${clusters}/orders`, object);
    const answer = await call('status', 'orders');
    expect(answer).toMatchObject({ code, err: '' });
    expect(answer.out).toContain(says);
    expect((await call('status')).code).toBe(code);
    expect(JSON.parse((await call('status', 'orders', '-o', 'json')).out)).toMatchObject({
      metadata: { name: 'orders' },
    });
  });

  test('of a cluster that is not there names those that are', async () => {
    api.put(`${clusters}/orders`, orders);
    expect(await call('status', 'odrers')).toMatchObject({
      code: 4,
      err: expect.stringContaining('there are: orders'),
    });
  });
});

describe('an operation', () => {
  /** Plays the operator, as soon as there is one. */
  async function finish(status: object): Promise<void> {
    for (;;) {
      const made = api.requests.find(({ method, path }) => method === 'POST' && path === operations);
      const asked = api.requests.some(({ watch, path }) => watch && path === operations);
      if (made && asked) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    const name = 'orders-switchover-19700101-000000';
    api.put(`${operations}/${name}`, { ...api.object(`${operations}/${name}`), status });
  }

  test('is made and followed to its end', async () => {
    api.put(`${clusters}/orders`, orders);
    const over = { summary: 'Complete', message: 'orders-2 took over.', conditions: [condition('Complete', 'True')] };
    const [told] = await Promise.all([
      call('switchover', 'orders', '--to', 'orders-2', '--reason', 'new memory', '--deadline', '30'),
      finish(over),
    ]);
    expect(told).toMatchObject({ code: 0, err: '' });
    expect(told.out).toMatch(
      /^clusteroperation\.mainstay\.dev\/orders-switchover-\S+ created\nComplete: orders-2 took over\.\n$/,
    );
    const [name] = /orders-switchover-\S+/.exec(told.out) ?? [];
    expect(api.object(`${operations}/${name ?? ''}`)).toMatchObject({
      spec: {
        clusterRef: { kind: 'PostgresCluster', name: 'orders' },
        type: 'Switchover',
        switchover: { to: 'orders-2' },
        reason: 'new memory',
        deadlineSeconds: 30,
        dryRun: false,
      },
    });
  });

  test('that is refused ends with 3 and the reason', async () => {
    api.put(`${clusters}/orders`, orders);
    const over = { summary: 'Refused', message: 'orders-9 is no instance.', conditions: [condition('Failed', 'True')] };
    const [told] = await Promise.all([call('switchover', 'orders', '--to', 'orders-9'), finish(over)]);
    expect(told).toMatchObject({ code: 3, err: 'Refused: orders-9 is no instance.\n' });
  });

  test('need not be waited for', async () => {
    api.put(`${clusters}/orders`, orders);
    expect((await call('restart', 'orders', 'orders-2', '--no-wait')).code).toBe(0);
    expect((await call('failover', 'orders', '--to', 'orders-2', '--no-wait', '--accept-data-loss')).code).toBe(0);
  });
});

test.each([
  [['switchover'], 'CLUSTER is missing'],
  [['switchover', 'a', 'b'], '“b” is too much'],
  [['switchover', 'a', '--too', 'b'], '--too'],
  [['failover', 'a'], '--to is missing'],
  [['switchover', 'a', '--deadline', 'soon'], 'whole seconds'],
  [['status', '-o', 'yaml'], 'choose json'],
  [['swithcover', 'a'], 'no command “swithcover”'],
])('%j is refused with the remedy', async (args, says) => {
  expect(await call(...args)).toMatchObject({ code: 64, out: '', err: expect.stringContaining(says) });
});

test('help for every command, with an example of each', async () => {
  const { out } = await call('--help');
  for (const { name, summary } of commands) {
    expect(out).toContain(summary);
    const help = await call(name, '--help');
    expect(help).toMatchObject({ code: 0, err: '' });
    expect(help.out).toContain(`kubectl mainstay ${name}`);
    expect((await call('help', name)).out).toBe(help.out);
  }
});

test('psql runs in the Pod of the primary or a replica; no password passes by', async () => {
  api.put(`${clusters}/orders`, orders);
  const { kubectl } = await call('psql', 'orders', '--', '-c', 'SELECT 1');
  expect(kubectl[0]?.slice(0, 6)).toEqual([
    '--namespace=shop',
    'exec',
    '--stdin',
    'pod/orders-1',
    '--container=postgres',
    '--',
  ]);
  expect(kubectl[0]?.slice(-6)).toEqual(['-U', 'postgres', '-d', 'app', '-c', 'SELECT 1']);
  expect((await call('psql', 'orders', '--replica')).kubectl[0]).toContain('pod/orders-2');
  expect((await call('psql', 'orders', '--instance', 'orders-9')).code).toBe(64);
});

test('logs of all instances follow more than five', async () => {
  api.put(`${clusters}/orders`, { ...orders, spec: { ...orders.spec, instances: 7 } });
  const { kubectl } = await call('logs', 'orders', '-f', '--tail', '3');
  expect(kubectl[0]).toEqual(expect.arrayContaining(['--max-log-requests=7', '--follow', '--tail=3', '--prefix']));
});

test.each([
  [['sw'], ['switchover']],
  [['switchover', 'ord'], ['orders']],
  [
    ['switchover', 'orders', '--to', 'orders-'],
    ['orders-1', 'orders-2', 'orders-3'],
  ],
  [
    ['restart', 'orders', ''],
    ['orders-1', 'orders-2', 'orders-3'],
  ],
  [['status', '-o', ''], ['json']],
  [['failover', 'orders', '--acc'], ['--accept-data-loss']],
  [['upgrade', 'orders', '--to', ''], ['18']],
  [['completion', 'z'], ['zsh']],
  [['nonsense', ''], []],
])('%j completes to %j', async (words, expected) => {
  api.put(`${clusters}/orders`, orders);
  expect((await call('__complete', ...words)).out.trimEnd().split('\n')).toEqual([...expected, ':4']);
});
