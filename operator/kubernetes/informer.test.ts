import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import type { V1Pod } from '@kubernetes/client-node';
import { inCluster, type ClusterAccess } from './access.ts';
import { kubernetesClient, type KubernetesClient } from './client.ts';
import { eventually } from './eventually.ts';
import { startFakeApiServer, type FakeApiServer, type SeenRequest } from './fake-api-server.ts';
import { createInformer, type Informer, type InformerOptions } from './informer.ts';
import { pods, type Wire } from './kinds.ts';
import { manualClock, type ManualClock } from './manual-clock.ts';

const log = pino({ level: 'silent' });
const path = (name: string): string => `/api/v1/namespaces/shop/pods/${name}`;

let api: FakeApiServer;
let clock: ManualClock;
let client: KubernetesClient;
let end: AbortController;
let running: Promise<void>;
let changes: string[];
const unhandled: unknown[] = [];
const onUnhandled = (error: unknown): void => void unhandled.push(error);

beforeEach(async () => {
  process.on('unhandledRejection', onUnhandled);
  api = await startFakeApiServer();
  clock = manualClock();
  end = new AbortController();
  changes = [];
  running = Promise.resolve();
});
afterEach(async () => {
  end.abort();
  await running;
  await client.close();
  await api.close();
  process.off('unhandledRejection', onUnhandled);
  expect(unhandled).toEqual([]);
  expect(clock.pending).toBe(0);
});

function follow(options: InformerOptions<Wire<V1Pod>> = {}, access: ClusterAccess = api.access): Informer<Wire<V1Pod>> {
  client = kubernetesClient(access, { clock, random: () => 0.5, log });
  const informer = createInformer(
    client,
    pods,
    { namespace: 'shop' },
    {
      clock,
      random: () => 0.5,
      log,
      onChange: (key, object, previous) =>
        void changes.push(`${object === undefined ? '-' : previous === undefined ? '+' : '~'}${key}`),
      ...options,
    },
  );
  running = informer.start(end.signal);
  return informer;
}
async function followed(options: InformerOptions<Wire<V1Pod>> = {}): Promise<Informer<Wire<V1Pod>>> {
  const informer = follow(options);
  await eventually(() => api.openWatches === 1);
  return informer;
}
const watches = (): readonly SeenRequest[] => api.requests.filter((request) => request.watch);
const lists = (): number => api.requests.filter((request) => !request.watch).length;
const lastStart = (): string | null | undefined => watches().at(-1)?.query.get('resourceVersion');
/** Lets the back-off pass, real I/O and manual time by turns. */
async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100 && !holds(); turn++) {
    await eventually(() => holds() || clock.pending > 0);
    if (!holds()) await clock.advance(500);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  expect(holds()).toBe(true);
}

describe('an informer', () => {
  test('lists, follows, indexes, and keeps no managedFields', async () => {
    api.put(path('a'), { metadata: { labels: { app: 'x' }, managedFields: [{ manager: 'm' }] } });
    const informer = await followed({ indexBy: (pod) => [pod.metadata?.labels?.['app'] ?? ''] });
    await informer.whenSynced();
    expect(informer.hasSynced()).toBe(true);
    expect(informer.get('shop/a')).toMatchObject({ kind: 'Pod' });
    expect(informer.get('shop/a')?.metadata?.managedFields).toBeUndefined();
    expect(informer.withIndex('x')).toHaveLength(1);

    api.put(path('b'), { metadata: { labels: { app: 'x' } } });
    api.put(path('a'), { metadata: { labels: { app: 'y' } } });
    api.remove(path('b'));
    await eventually(() => changes.length === 4);
    expect(changes).toEqual(['+shop/a', '+shop/b', '~shop/a', '-shop/b']);
    expect(informer.withIndex('x')).toEqual([]);
    expect(informer.list()).toHaveLength(1);
  });

  test('asks for bookmarks and an end between 300 and 600 s', async () => {
    await followed();
    expect(watches()[0]?.query.get('allowWatchBookmarks')).toBe('true');
    expect(watches()[0]?.query.get('timeoutSeconds')).toBe('450');
  });

  test('after a reset it goes on from the last version, and misses nothing', async () => {
    await followed();
    api.put(path('a'));
    await eventually(() => changes.length === 1);
    const last = api.version;
    api.resetWatches();
    await eventually(() => api.openWatches === 0);
    api.put(path('b'));
    await until(() => changes.length === 2);
    expect(lastStart()).toBe(last);
    expect(lists()).toBe(1);
  });

  test('a watch that the server ends is opened again from the last bookmark, at once', async () => {
    await followed();
    api.bookmark();
    const last = api.version;
    api.put(path('a'));
    api.bookmark();
    await eventually(() => changes.length === 1);
    api.endWatches();
    await eventually(() => watches().length === 2);
    expect(Number(lastStart())).toBe(Number(last) + 2);
  });

  test('500s and resets in a row are waited out, with growing pauses', async () => {
    await followed();
    const from = clock.now();
    let faults = 3;
    api.fail((request) => {
      if (!request.watch || faults === 0) return undefined;
      faults -= 1;
      return faults === 1 ? { kind: 'reset' } : { kind: 'status', status: 500 };
    });
    api.resetWatches();
    await until(() => api.openWatches === 1 && faults === 0);
    // 0.8 + 1.6 + 3.2 + 6.4 s, times 0.75 for the chance of 0.5
    expect(clock.now() - from).toBeGreaterThanOrEqual(9_000);
    expect(lists()).toBe(1);
  });

  test.each(['answer', 'event'])('410 as %s: lists again, and tells what went meanwhile', async (form) => {
    api.put(path('a'));
    api.put(path('b'));
    await followed();
    let told = false;
    api.fail((request) => {
      if (!request.watch || told || form === 'answer') return undefined;
      told = true;
      return { kind: 'error-event', status: 410, reason: 'Expired' };
    });
    api.resetWatches();
    await eventually(() => api.openWatches === 0);
    api.remove(path('a'));
    api.put(path('c'));
    api.compact();
    await until(() => api.openWatches === 1);
    expect(changes.slice(2).sort()).toEqual(['+shop/c', '-shop/a']);
    expect(lists()).toBe(2);
  });

  test('a peer that falls silent is left after 100 s', async () => {
    await followed();
    await clock.advance(99_000);
    expect(watches()).toHaveLength(1);
    await clock.advance(1_001);
    await until(() => watches().length === 2 && api.openWatches === 1);
    expect(lists()).toBe(1);
  });

  test('a day without an event ends with a watch that works', async () => {
    // Once an hour: by silence, as behind a load balancer that forgets connections, or ended by the server, in turn.
    const hour = 3_600_000;
    const informer = await followed({ silenceMs: hour });
    for (let hours = 0; hours < 24; hours++) {
      const opened = watches().length;
      if (hours % 2 === 0) await clock.advance(hour + 1);
      else {
        await clock.advance(hour / 2);
        api.bookmark();
        api.endWatches();
      }
      await until(() => watches().length > opened && api.openWatches === 1);
    }
    api.put(path('late'));
    await eventually(() => informer.get('shop/late') !== undefined);
    expect(lists()).toBe(1);
  });

  test('a peer that does not even answer is left at the deadline', async () => {
    api.fail(() => ({ kind: 'silence' }));
    const informer = follow();
    await eventually(() => api.requests.length === 1);
    await clock.advance(30_000);
    api.fail(undefined);
    await until(() => informer.hasSynced());
  });

  test('a missing token file is waited for', async () => {
    const environment = { KUBERNETES_SERVICE_HOST: '127.0.0.1' };
    const pod = await inCluster({ directory: '/nowhere', environment, clock, log });
    let there = false;
    const access: ClusterAccess = {
      ...api.access,
      credentials: () => (there ? api.access.credentials() : pod.credentials()),
    };
    const informer = follow({}, access);
    await eventually(() => clock.pending > 0);
    await clock.advance(60_000);
    expect(api.requests).toHaveLength(0);
    there = true;
    await until(() => informer.hasSynced());
  });

  test('handlers that throw or reject stop nothing', async () => {
    const seen: string[] = [];
    const informer = await followed({
      onChange: (key) => {
        seen.push(key);
        if (seen.length === 1) throw new Error('handler');
        return Promise.reject(new Error('async handler')) as unknown as undefined;
      },
    });
    api.put(path('a'));
    api.put(path('b'));
    await eventually(() => seen.length === 2);
    expect(informer.list()).toHaveLength(2);
  });

  test('stopping during the first list opens no watch', async () => {
    api.fail(() => ({ kind: 'silence' }));
    const informer = follow();
    const synced = informer.whenSynced(end.signal).catch((error: unknown) => error);
    await eventually(() => api.requests.length === 1);
    end.abort(new Error('stop'));
    await running;
    expect(await synced).toMatchObject({ message: 'stop' });
    expect(watches()).toHaveLength(0);
  });
});
