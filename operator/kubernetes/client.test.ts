import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { KubernetesApiError, KubernetesUnreachableError, isAlreadyExists, isConflict } from './api-error.ts';
import { kubernetesClient, type KubernetesClient } from './client.ts';
import { eventually } from './eventually.ts';
import { startFakeApiServer, type FakeApiServer, type Fault } from './fake-api-server.ts';
import { configMaps, nodes, pods } from './kinds.ts';
import { manualClock, type ManualClock } from './manual-clock.ts';

let api: FakeApiServer;
let clock: ManualClock;
let client: KubernetesClient;

beforeEach(async () => {
  api = await startFakeApiServer();
  clock = manualClock();
  client = kubernetesClient(api.access, { clock, random: () => 0.5, log: pino({ level: 'silent' }) });
});
afterEach(async () => {
  await client.close();
  await api.close();
});

const POD = '/api/v1/namespaces/shop/pods/orders-1';
const ref = { namespace: 'shop', name: 'orders-1' };
const status = (code: number, retryAfterSeconds?: number): Fault => ({
  kind: 'status',
  status: code,
  ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
});
/** Fails the first requests, then lets pass. */
function failing(...faults: readonly Fault[]): void {
  const left = [...faults];
  api.fail(() => left.shift());
}
/** The outcome, without a rejection that nobody has caught yet. */
const settled = <T>(promise: Promise<T>): Promise<unknown> => promise.catch((error: unknown) => error);

describe('calls', () => {
  test('200 gets share at most two connections', async () => {
    api.put(POD);
    for (let i = 0; i < 200; i++) expect(await client.get(pods, ref)).toBeDefined();
    expect(api.connections).toBeLessThanOrEqual(2);
    expect(api.requests[0]?.headers.authorization).toBe('Bearer secret');
  });

  test('an object that is not there is undefined, an API path that is not there an error', async () => {
    expect(await client.get(pods, ref)).toBeUndefined();
    failing({ kind: 'page', status: 404, text: '404 page not found' });
    await expect(client.get(pods, ref)).rejects.toMatchObject({ code: 'KubernetesApi', status: 404, reason: '' });
    await client.delete(pods, ref);
  });

  test('lists come in pages and each item knows its kind', async () => {
    for (let i = 0; i < 1_201; i++) api.put(`/api/v1/namespaces/shop/pods/p${String(i)}`);
    const { items, resourceVersion } = await client.list(pods, {});
    expect(items).toHaveLength(1_201);
    expect(items[700]).toMatchObject({ apiVersion: 'v1', kind: 'Pod' });
    expect(resourceVersion).toBe(api.version);
    expect(api.requests).toHaveLength(3);
  });

  test('a continuation that expired is replaced by one whole list', async () => {
    for (let i = 0; i < 600; i++) api.put(`/api/v1/namespaces/shop/pods/p${String(i)}`);
    api.fail((request) =>
      request.query.has('continue') ? { kind: 'status', status: 410, reason: 'Expired' } : undefined,
    );
    expect((await client.list(pods, { namespace: 'shop' })).items).toHaveLength(600);
    expect(api.requests[2]?.query.has('limit')).toBe(false);
  });

  test('writes: create, update with a stale version, merge patch, apply, delete', async () => {
    const settings = { metadata: { namespace: 'shop', name: 'settings' }, data: { a: '1' } };
    const created = await client.create(configMaps, settings);
    expect(created).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', data: { a: '1' } });
    expect(isAlreadyExists(await settled(client.create(configMaps, settings)))).toBe(true);

    await client.patch(
      configMaps,
      { namespace: 'shop', name: 'settings' },
      { data: { b: '2' } },
      { fieldManager: 'm' },
    );
    expect(isConflict(await settled(client.update(configMaps, created)))).toBe(true);
    const applied = await client.apply(
      configMaps,
      { ...settings, data: { c: '3' } },
      { fieldManager: 'm', force: true },
    );
    expect(applied.data).toEqual({ a: '1', b: '2', c: '3' });
    const last = api.requests.at(-1);
    expect(last?.headers['content-type']).toBe('application/apply-patch+yaml');
    expect(last?.query.toString()).toBe('fieldManager=m&force=true');

    await client.delete(configMaps, { namespace: 'shop', name: 'settings' }, { uid: 'u' });
    expect(api.object('/api/v1/namespaces/shop/configmaps/settings')).toBeUndefined();
  });

  test('an object without its namespace is refused here, not sent to a wrong place', async () => {
    await expect(client.get(pods, { name: 'x' })).rejects.toMatchObject({ code: 'ResourceInvalid' });
    expect(await client.get(nodes, { name: 'x' })).toBeUndefined();
  });
});

describe('trouble', () => {
  test('a get is tried again after as long as the server asks', async () => {
    api.put(POD);
    failing(status(429, 3));
    const got = client.get(pods, ref);
    await eventually(() => clock.pending === 2);
    await clock.advance(2_900);
    expect(api.requests).toHaveLength(1);
    await clock.advance(200);
    expect(await got).toBeDefined();
    expect(api.requests).toHaveLength(2);
  });

  test('a get survives resets and 500s', async () => {
    api.put(POD);
    failing({ kind: 'reset' }, status(500));
    const got = client.get(pods, ref);
    await eventually(() => clock.pending === 2);
    await clock.advance(300);
    await eventually(() => clock.pending === 2);
    await clock.advance(600);
    expect(await got).toBeDefined();
  });

  test.each<Fault>([status(503, 1), status(429, 1), { kind: 'reset' }])(
    'a create is never sent twice: %o',
    async (fault) => {
      failing(fault);
      const error = await settled(client.create(configMaps, { metadata: { namespace: 'shop', name: 'settings' } }));
      expect(error).toBeInstanceOf(fault.kind === 'reset' ? KubernetesUnreachableError : KubernetesApiError);
      expect(api.requests).toHaveLength(1);
    },
  );

  test('a wait longer than the deadline is not begun', async () => {
    failing(status(503, 60));
    await expect(client.get(pods, ref)).rejects.toMatchObject({ status: 503, retryAfterSeconds: 60 });
  });

  test('silence ends at the deadline, and the next call does not trust the old connections', async () => {
    api.put(POD);
    await client.get(pods, ref);
    api.fail(() => ({ kind: 'silence' }));
    const got = settled(client.get(pods, ref, { timeoutMs: 500 }));
    await eventually(() => api.requests.length === 2);
    await clock.advance(500);
    expect(await got).toMatchObject({ code: 'KubernetesUnreachable', reason: 'Timeout' });
    api.fail(undefined);
    const before = api.connections;
    expect(await client.get(pods, ref)).toBeDefined();
    expect(api.connections).toBe(before + 1);
  });

  test('closing ends what is under way, on earlier connections too', async () => {
    const watch = client.watch(pods, {}, { resourceVersion: api.version, timeoutSeconds: 300 })[Symbol.asyncIterator]();
    const next = settled(watch.next());
    await eventually(() => api.openWatches === 1);
    api.fail(() => ({ kind: 'silence' }));
    const got = settled(client.get(pods, ref, { timeoutMs: 500 }));
    await eventually(() => api.requests.length === 2);
    await clock.advance(500);
    expect(await got).toMatchObject({ reason: 'Timeout' });
    await client.close();
    expect(await next).toMatchObject({ code: 'KubernetesUnreachable', reason: 'Connection' });
    expect(await settled(client.get(pods, ref))).toMatchObject({ code: 'KubernetesUnreachable' });
  });

  test('a caller that gives up gets its own reason back', async () => {
    api.fail(() => ({ kind: 'silence' }));
    const controller = new AbortController();
    const got = settled(client.get(pods, ref, { signal: controller.signal }));
    await eventually(() => api.requests.length === 1);
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await got).toBe(reason);
    expect(clock.pending).toBe(0);
  });

  test('credentials that cannot be read are an error of the call', async () => {
    const access = { ...api.access, credentials: () => Promise.reject(new Error('no such file')) };
    const poor = kubernetesClient(access, { clock, random: () => 0.5 });
    const error = await settled(poor.create(configMaps, { metadata: { namespace: 'shop', name: 'x' } }));
    expect(error).toMatchObject({ code: 'KubernetesUnreachable', reason: 'Credentials' });
  });

  test('a message from no API server is shown, in part', async () => {
    failing({ kind: 'page', status: 403, text: `<html>Forbidden by the gate${'!'.repeat(1_000)}` });
    const error = (await settled(client.get(pods, ref))) as KubernetesApiError;
    expect(error.message).toContain('Forbidden by the gate');
    expect(error.message.length).toBeLessThan(400);
  });
});
