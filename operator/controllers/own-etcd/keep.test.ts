/** The chart's etcd from its first moment on, with a real etcd and the API server's stand-in. */
import { afterAll, expect, test } from '@jest/globals';
import { X509Certificate } from 'node:crypto';
import { lifetimes } from '../../certificates/plan.ts';
import { guardEtcd } from '../../dcs/etcd-guard.ts';
import { etcdUsers } from '../../dcs/etcd-users.ts';
import { etcdDcs } from '../../dcs/etcd.ts';
import { findEtcdBinary, startEtcd } from '../../dcs/local-etcd.ts';
import { kubernetesClient } from '../../kubernetes/client.ts';
import { startFakeApiServer } from '../../kubernetes/fake-api-server.ts';
import { systemClock } from '../../platform/clock.ts';
import { createLogger } from '../../platform/log.ts';
import { keepOwnEtcd, prepareOwnEtcd } from './keep.ts';
import type { OwnEtcd } from './secrets.ts';

const log = createLogger('test');
log.level = 'silent';
const clock = systemClock;
const binary = await findEtcdBinary();
const withEtcd = binary === undefined ? test.skip : test;

const of: OwnEtcd = {
  namespace: 'mainstay-system',
  name: 'mainstay-etcd',
  endpoints: [0, 1, 2].map((n) => `https://mainstay-etcd-${n}.mainstay-etcd.mainstay-system.svc:2379`),
};
const secretPath = (which: string): string => `/api/v1/namespaces/mainstay-system/secrets/mainstay-etcd-${which}`;

const api = await startFakeApiServer();
const client = kubernetesClient(api.access, { log });
const cleanUp: (() => unknown)[] = [];
afterAll(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
  await client.close();
  await api.close();
});

const prepare = () => prepareOwnEtcd(client, of, clock.wall().getTime(), {});
function textsOf(which: string): Readonly<Record<string, string>> {
  const { data = {} } = (api.object(secretPath(which)) ?? {}) as { readonly data?: Readonly<Record<string, string>> };
  return Object.fromEntries(Object.entries(data).map(([file, text]) => [file, Buffer.from(text, 'base64').toString()]));
}

test('several operators that start at once go by the same authority, certificate and login', async () => {
  const [one, ...others] = await Promise.all([prepare(), prepare(), prepare()]);
  for (const other of [...others, await prepare()]) expect(other).toEqual(one);
  const { 'tls.crt': shown = '', 'ca.crt': authority = '' } = textsOf('certificates');
  const certificate = new X509Certificate(shown);
  expect(authority).toBe(one.ca);
  expect(certificate.verify(new X509Certificate(authority).publicKey)).toBe(true);
  for (const host of ['mainstay-etcd-2.mainstay-etcd.mainstay-system.svc', 'mainstay-etcd-client.mainstay-system.svc'])
    expect(certificate.checkHost(host)).toBe(host);
  expect(certificate.checkIP('127.0.0.1')).toBeDefined();
  expect(one.username).toBe('root');
  expect(one.password?.length).toBeGreaterThan(40);
});

withEtcd('etcd asks for the login soon, and again after its data were lost', async () => {
  const credentials = await prepare();
  const { 'tls.crt': cert = '', 'tls.key': key = '' } = textsOf('certificates');
  const ca = credentials.ca ?? '';
  const newEtcd = () =>
    startEtcd(binary ?? '', {
      size: 1,
      tls: { ca, cert, key, client: { cert, key }, anyClient: true },
    });
  for (let life = 1; life <= 2; life += 1) {
    const etcd = await newEtcd();
    const options = { endpoints: etcd.urls, clock, credentials: () => credentials };
    const [guard, users, root] = [guardEtcd(options), etcdUsers(options), etcdDcs(options)];
    const anonymous = etcdDcs({ ...options, credentials: () => ({ ca }) });
    const confined = etcdDcs({ ...options, credentials: () => ({ ca, username: 'shop', password: 'secret' }) });
    const deadline = { milliseconds: 5_000 };
    cleanUp.push(() => etcd.stop());
    // Before, anybody may write.
    expect(await anonymous.txn([], [{ put: '/mainstay/a', value: '1' }], deadline)).toMatchObject({
      outcome: 'applied',
    });

    const stop = new AbortController();
    const keeping = keepOwnEtcd({ client, of, guard, password: credentials.password ?? '', clock, log }, stop.signal);
    const isOpen = (): Promise<boolean> =>
      anonymous.txn([], [{ put: '/mainstay/a', value: '2' }], deadline).then(
        () => true,
        (error: unknown) => (error as { readonly code?: string }).code !== 'DcsRejected',
      );
    while (await isOpen()) await clock.sleep(20);
    await expect(anonymous.txn([], [{ put: '/mainstay/a', value: '2' }], deadline)).rejects.toMatchObject({
      code: 'DcsRejected',
    });
    expect(await root.txn([], [{ put: '/mainstay/a', value: '3' }], deadline)).toMatchObject({ outcome: 'applied' });
    await users.ensure(
      { name: 'shop', password: 'secret', prefix: '/mainstay/shop/' },
      { resetPassword: true },
      deadline,
    );
    await expect(confined.txn([], [{ put: '/mainstay/a', value: '4' }], deadline)).rejects.toMatchObject({
      code: 'DcsRejected',
    });
    expect(await confined.txn([], [{ put: '/mainstay/shop/a', value: '5' }], deadline)).toMatchObject({
      outcome: 'applied',
    });
    stop.abort();
    await keeping;
    await Promise.all([guard, users, root, anonymous, confined].map((one) => one.close()));
  }
});

test('the members’ certificate is renewed after two thirds of its life, its authority stays', async () => {
  await prepare();
  const before = textsOf('certificates');
  const guard = { ensure: () => Promise.resolve('was so' as const), close: () => Promise.resolve() };
  const keepAt = async (later: number): Promise<void> => {
    const stop = new AbortController();
    const then = {
      ...clock,
      wall: () => new Date(clock.wall().getTime() + later),
      sleep: () => {
        stop.abort();
        return Promise.resolve();
      },
    };
    await keepOwnEtcd({ client, of, guard, password: '', clock: then, log }, stop.signal);
  };
  await keepAt(lifetimes.certificate * 0.6);
  expect(textsOf('certificates')).toEqual(before);
  await keepAt(lifetimes.certificate * 0.7);
  const after = textsOf('certificates');
  expect(after['tls.crt']).not.toBe(before['tls.crt']);
  expect(after['ca.crt']).toBe(before['ca.crt']);
  expect(new X509Certificate(after['tls.crt'] ?? '').verify(new X509Certificate(after['ca.crt'] ?? '').publicKey)).toBe(
    true,
  );
});
