/** TLS and logins: files as they are renewed, and the real client against a real etcd that asks for both. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';

import { etcdUsers } from './etcd-users.ts';
import { systemClock } from '../platform/clock.ts';
import { MainstayError } from '../platform/errors.ts';
import { renewMount } from '../platform/renewed-mount.ts';
import { createBlackHole, type BlackHole } from './black-hole.ts';
import type { Dcs, WatchEvent } from './dcs.ts';
import { asFiles, credentialsIn, type EtcdCredentials } from './etcd-credentials.ts';
import { etcdDcs } from './etcd.ts';
import { createAuthority, type LocalAuthority, type Pair } from './local-certificates.ts';
import { findEtcdBinary, startEtcd, type LocalEtcd } from './local-etcd.ts';

const binary = await findEtcdBinary();
const soon = { milliseconds: 5_000 };
const unreachable = { code: 'DcsUnreachable', retryable: true };
const rejected = { code: 'DcsRejected' };

let first: LocalAuthority;
let second: LocalAuthority;
let server: Pair;
let visitor: Pair;
let directory: string;
beforeAll(async () => {
  [first, second] = await Promise.all([createAuthority('first'), createAuthority('second')]);
  [server, visitor] = await Promise.all([first.issue('/CN=etcd', ['IP:127.0.0.1']), first.issue('/O=visitor')]);
});
afterAll(() => Promise.all([first.remove(), second.remove()]));
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'mainstay-credentials-'));
});
afterEach(() => rm(directory, { recursive: true }));

const mount = (credentials: EtcdCredentials): Promise<void> =>
  renewMount(
    directory,
    Object.fromEntries(Object.entries(asFiles(credentials)).map(([file, text]) => [file, `${text.trimEnd()}\n`])),
  );

describe('a folder with credentials', () => {
  const problems: string[] = [];
  const source = (): (() => EtcdCredentials) => credentialsIn(directory, ({ message }) => problems.push(message));
  beforeEach(() => {
    problems.length = 0;
  });

  test('is read without the line ends of its files, and again when it was renewed', async () => {
    await mount({ username: 'mainstay', password: ' s p' });
    const credentials = source();
    expect(credentials()).toEqual({ username: 'mainstay', password: ' s p' });
    expect(credentials()).toBe(credentials());
    await mount({ ca: first.ca, ...visitor });
    expect(credentials()).toEqual({
      ca: first.ca.trimEnd(),
      cert: visitor.cert.trimEnd(),
      key: visitor.key.trimEnd(),
    });
    expect(problems).toEqual([]);
  });

  test.each<[string, () => EtcdCredentials, string]>([
    ['nothing', () => ({}), 'none of ca.crt'],
    ['a user alone', () => ({ username: 'mainstay' }), 'username and password belong together'],
    ['a key alone', () => ({ key: visitor.key }), 'tls.crt and tls.key belong together'],
    ['what is no PEM', () => ({ ca: 'hello' }), ''],
    ['a key of another certificate', () => ({ cert: server.cert, key: visitor.key }), 'mismatch'],
  ])('with %s is refused, but once good it stays in use', async (_, broken, message) => {
    await mount(broken());
    const refusal = expect.objectContaining({
      code: 'ConfigurationInvalid',
      message: expect.stringContaining(message),
    });
    expect(source()).toThrow(refusal);
    await mount({ ca: first.ca });
    const credentials = source();
    const good = credentials();
    await mount(broken());
    expect(credentials()).toBe(good);
    expect(credentials()).toBe(good);
    expect(problems).toEqual([expect.stringContaining(message)]);
    await mount({ ca: second.ca });
    expect(credentials().ca).toBe(second.ca.trimEnd());
  });

  test('that is not there is refused, as are endpoints with a password in them', async () => {
    await rm(join(directory, '..data'), { force: true });
    expect(() => etcdDcs({ endpoints: ['http://a:2379'], clock: systemClock, credentials: source() })).toThrow(
      directory,
    );
    const open = (): Dcs => etcdDcs({ endpoints: ['https://root:top/secret@a:2379'], clock: systemClock });
    expect(open).toThrow('is no etcd endpoint');
    expect(open).not.toThrow('secret');
  });
});

(binary === undefined ? describe.skip : describe)('etcd with TLS and logins', () => {
  let cluster: LocalEtcd;
  let admin: Dcs;
  const clients: Dcs[] = [];
  const proxies: BlackHole[] = [];
  const passwords = { root: 'correct horse' };

  function client(credentials: EtcdCredentials | (() => EtcdCredentials), endpoints = cluster.urls): Dcs {
    const source = typeof credentials === 'function' ? credentials : (): EtcdCredentials => credentials;
    const dcs = etcdDcs({ endpoints, clock: systemClock, credentials: source });
    clients.push(dcs);
    return dcs;
  }
  const tls = (): EtcdCredentials => ({ ca: first.ca, ...visitor });
  const root = (): EtcdCredentials => ({ ...tls(), username: 'root', password: passwords.root });
  async function throughProxy(): Promise<BlackHole & { readonly urls: readonly string[] }> {
    const proxy = await createBlackHole(cluster.members[0]?.port ?? 0);
    proxies.push(proxy);
    return { ...proxy, urls: [`https://127.0.0.1:${proxy.port}`] };
  }

  beforeAll(async () => {
    const flags = ['--auth-token-ttl=1'];
    cluster = await startEtcd(binary ?? '', { size: 1, tls: { ca: first.ca, ...server, client: visitor }, flags });
    admin = etcdDcs({ endpoints: cluster.urls, clock: systemClock, credentials: root });
  });
  afterAll(async () => {
    await admin.close();
    await cluster.stop();
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((dcs) => dcs.close()));
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
  });

  describe('TLS', () => {
    test('both sides must be vouched for, and the server by the name that was called', async () => {
      const brief = { milliseconds: 400 };
      expect((await client(tls()).read('/', soon)).clusterId).toMatch(/^\d+$/);
      const byName = cluster.urls.map((url) => url.replace('127.0.0.1', 'localhost'));
      const stranger = await second.issue('/O=stranger');
      const strangers = [
        [client({ ...visitor }), 'certificate'],
        [client({ ca: second.ca, ...visitor }), 'certificate'],
        [client(tls(), byName), 'altnames'],
        [client({ ca: first.ca }), ''],
        [client({ ca: first.ca, ...stranger }), ''],
      ] as const;
      await Promise.all(
        strangers.map(async ([dcs, reason]) => {
          const read = dcs.read('/', brief);
          await expect(read).rejects.toMatchObject(unreachable);
          await expect(read).rejects.toThrow(reason);
        }),
      );
    });

    test('certificates and authorities are renewed without a new client', async () => {
      const proxy = await throughProxy();
      await mount({ ca: first.ca, ...visitor });
      const problems: MainstayError[] = [];
      const dcs = client(
        credentialsIn(directory, (problem) => problems.push(problem)),
        proxy.urls,
      );
      const reconnect = (): void => {
        proxy.set('cut');
        proxy.set('pass');
      };
      await dcs.read('/', soon);
      try {
        await cluster.presentCertificate(await second.issue('/CN=etcd', ['IP:127.0.0.1', 'DNS:localhost']));
        // An open connection lives on; a new one asks for the new authority.
        await dcs.read('/', soon);
        reconnect();
        await expect(dcs.read('/', { milliseconds: 300 })).rejects.toThrow('certificate');
        await mount({ ca: `${first.ca}${second.ca}`, ...(await first.issue('/O=visitor, renewed')) });
        expect((await dcs.read('/', soon)).clusterId).toMatch(/^\d+$/);
        const byName = client({ ca: second.ca, ...visitor }, [`https://localhost:${cluster.members[0]?.port ?? 0}`]);
        expect((await byName.read('/', soon)).clusterId).toMatch(/^\d+$/);
      } finally {
        await cluster.presentCertificate(server);
      }
      await mount({ ca: first.ca, ...(await second.issue('/O=stranger')) });
      reconnect();
      await expect(dcs.read('/', { milliseconds: 300 })).rejects.toMatchObject(unreachable);
      await mount({ ca: first.ca, ...visitor });
      await dcs.read('/', soon);
      // Half of a renewal changes nothing.
      await mount({ ca: first.ca, cert: visitor.cert });
      reconnect();
      await dcs.read('/', soon);
      expect(problems).toMatchObject([{ code: 'ConfigurationInvalid' }]);
    });

    test('a handshake that never ends costs no call its deadline', async () => {
      const proxy = await throughProxy();
      proxy.set('frozen');
      const dcs = client(tls(), [...proxy.urls, ...cluster.urls]);
      const started = systemClock.now();
      expect((await dcs.txn([], [{ put: '/handshake', value: '' }], { milliseconds: 2_000 })).outcome).toBe('applied');
      expect(systemClock.now() - started).toBeLessThan(1_500);
    });

    test('a write whose connection comes about too late is never sent', async () => {
      const proxy = await throughProxy();
      const dcs = client(tls(), proxy.urls);
      proxy.set('frozen');
      const late = dcs.txn([], [{ put: '/late', value: '' }], { milliseconds: 200 });
      await expect(late).rejects.toMatchObject(unreachable);
      proxy.set('pass');
      // Over the connection that has just come about, after which the write would have gone first.
      expect((await dcs.read('/late', soon)).entries.size).toBe(0);
      await systemClock.sleep(300);
      expect((await dcs.read('/late', soon)).entries.size).toBe(0);
    });
  });

  describe('logins', () => {
    const put = { put: '/logins', value: '' };
    const expired = 2_500;

    beforeAll(async () => {
      // Clients with credentials run before etcd asks for them, and go on when it does.
      const anonymous = client(tls());
      await Promise.all([admin.read('/', soon), anonymous.read('/', soon)]);
      await cluster.enableAuthentication(passwords.root);
      await expect(anonymous.read('/', soon)).rejects.toMatchObject(rejected);
      await expect(
        anonymous.watch('/', 0, AbortSignal.timeout(5_000))[Symbol.asyncIterator]().next(),
      ).rejects.toThrow();
      expect((await admin.txn([], [put], soon)).outcome).toBe('applied');
    });

    test('a client certificate with a common name is refused by etcd, and we say what to do', async () => {
      const dcs = client({ ...root(), ...(await first.issue('/CN=root')) });
      const refused = dcs.txn([], [put], soon);
      await expect(refused).rejects.toMatchObject(rejected);
      await expect(refused).rejects.toThrow('Issue one without');
    });

    test('a user with rights on one prefix can do all that we need there, and nothing elsewhere', async () => {
      await cluster.addUser('mainstay', 'limited', '/mainstay/');
      const dcs = client({ ...tls(), username: 'mainstay', password: 'limited' });
      const key = '/mainstay/a';
      const lease = await dcs.grantLease(30, soon);
      const applied = await dcs.txn([{ key, is: 'absent' }], [{ put: key, value: '', lease }], soon);
      expect(applied.outcome).toBe('applied');
      expect(await dcs.keepAliveOnce(lease, soon)).toBe(30);
      const { revision } = await dcs.read('/mainstay/', soon);
      const watch = dcs.watch('/mainstay/', revision + 1, AbortSignal.timeout(5_000))[Symbol.asyncIterator]();
      await watch.next();
      await dcs.revokeLease(lease, soon);
      expect(await nextEvents(watch)).toMatchObject([{ type: 'delete', key }]);
      await watch.return?.();

      await expect(dcs.txn([], [put], soon)).rejects.toMatchObject(rejected);
      await expect(dcs.read('/', soon)).rejects.toMatchObject(rejected);
      await expect(dcs.watch('/', 0, AbortSignal.timeout(5_000))[Symbol.asyncIterator]().next()).rejects.toMatchObject(
        rejected,
      );
    });

    test('a user per cluster: each has all rights under its own prefix, and none under another’s or over users', async () => {
      const users = etcdUsers({ endpoints: cluster.urls, clock: systemClock, credentials: root });
      const prefixOf = (name: string): string => `/mainstay/shop/${name}-5a0f3c0e-6f9d-4b7e-9a53-0d9c3f1f2b11/`;
      const make = (name: string, password: string, resetPassword = false): Promise<void> =>
        users.ensure({ name, password, prefix: prefixOf(name) }, { resetPassword }, soon);
      await Promise.all([make('orders', 'one'), make('users', 'two')]);
      // A name that the other's is the beginning of.
      await make('orders-2', 'three');
      // Again, by an operator that was killed halfway: nothing changes.
      await make('orders', 'never used');
      const as = (username: string, password: string): Dcs => client({ ...tls(), username, password });
      const [orders, others] = [as('orders', 'one'), as('users', 'two')];
      const key = `${prefixOf('orders')}leader`;
      const lease = await orders.grantLease(30, soon);
      expect((await orders.txn([{ key, is: 'absent' }], [{ put: key, value: 'a', lease }], soon)).outcome).toBe(
        'applied',
      );
      expect((await orders.read(prefixOf('orders'), soon)).entries.size).toBe(1);
      for (const dcs of [others, as('orders-2', 'three')]) {
        await expect(dcs.read(prefixOf('orders'), soon)).rejects.toMatchObject(rejected);
        await expect(dcs.read(key, soon)).rejects.toMatchObject(rejected);
        await expect(dcs.txn([], [{ put: key, value: 'b' }], soon)).rejects.toMatchObject(rejected);
        await expect(dcs.txn([], [{ delete: key }], soon)).rejects.toMatchObject(rejected);
        await expect(
          dcs.watch(prefixOf('orders'), 0, AbortSignal.timeout(5_000))[Symbol.asyncIterator]().next(),
        ).rejects.toMatchObject(rejected);
        // Ending the lease would end the key.
        await expect(dcs.revokeLease(lease, soon)).rejects.toMatchObject(rejected);
      }
      await expect(others.read('/mainstay/', soon)).rejects.toMatchObject(rejected);

      const thief = etcdUsers({
        endpoints: cluster.urls,
        clock: systemClock,
        credentials: () => ({ ...tls(), username: 'users', password: 'two' }),
      });
      await expect(
        thief.ensure({ name: 'orders', password: 'stolen', prefix: '/' }, { resetPassword: true }, soon),
      ).rejects.toThrow('etcd.userPerCluster');

      // Its Secret was lost: another password, which then is the only one.
      await make('orders', 'four', true);
      expect((await as('orders', 'four').read(prefixOf('orders'), soon)).entries.size).toBe(1);
      await users.remove('orders', soon);
      await users.remove('orders', soon);
      await expect(as('orders', 'four').read(prefixOf('orders'), soon)).rejects.toThrow();
      await Promise.all([users.close(), thief.close()]);
    });

    test('an expired token is renewed within the call, and within the opening of a watch', async () => {
      const { revision } = await admin.read('/', soon);
      const calls: readonly ((dcs: Dcs) => Promise<unknown>)[] = [
        (dcs) => dcs.txn([], [{ put: '/logins/2', value: '' }], soon).then(({ outcome }) => outcome === 'applied'),
        (dcs) => dcs.grantLease(30, soon),
        (dcs) => dcs.read('/logins', soon),
        async (dcs) => {
          const watch = dcs.watch('/logins', revision, AbortSignal.timeout(5_000))[Symbol.asyncIterator]();
          return (await watch.next()).done === false && (await watch.return?.())?.done;
        },
      ];
      const each = calls.map((call) => ({ call, dcs: client(root()) }));
      await Promise.all(each.map(({ dcs }) => dcs.read('/', soon)));
      const standing = admin.watch('/logins', revision + 1, AbortSignal.timeout(10_000))[Symbol.asyncIterator]();
      await standing.next();
      await systemClock.sleep(expired);
      for (const { call, dcs } of each) expect(await call(dcs)).toBeTruthy();
      // A watch that stands needs no token any more.
      expect(await nextEvents(standing)).toHaveLength(1);
      await standing.return?.();
    });

    test('after a restart of etcd, which forgets all tokens, calls and watches come back by themselves', async () => {
      const lease = await admin.grantLease(30, soon);
      const { revision } = await admin.read('/logins', soon);
      const watch = admin.watch('/logins', revision + 1, AbortSignal.timeout(15_000))[Symbol.asyncIterator]();
      await watch.next();
      await admin.txn([], [put], soon);
      expect(await nextEvents(watch)).toHaveLength(1);
      const broken = expect(watch.next()).rejects.toMatchObject(unreachable);
      cluster.members[0]?.signal('SIGKILL');
      await broken;
      await expect(admin.read('/', { milliseconds: 200 })).rejects.toMatchObject(unreachable);
      await cluster.members[0]?.restart();
      const again = admin.watch('/logins', revision + 1, AbortSignal.timeout(5_000))[Symbol.asyncIterator]();
      await again.next();
      expect(await nextEvents(again)).toHaveLength(1);
      await again.return?.();
      expect(await admin.keepAliveOnce(lease, soon)).toBe(30);
      await admin.revokeLease(lease, soon);
    });

    test('a changed password is read anew when etcd refuses the old token', async () => {
      await mount(root());
      const dcs = client(credentialsIn(directory, () => undefined));
      await dcs.read('/', soon);
      passwords.root = 'battery staple';
      await cluster.changePassword('root', passwords.root);
      await expect(dcs.read('/', soon)).rejects.toMatchObject(rejected);
      // At once: the pause after a refusal is for the same password only.
      await mount(root());
      expect((await dcs.txn([], [put], soon)).outcome).toBe('applied');
    });

    test('a call whose login finds nobody ends by its deadline; its write was certainly not sent', async () => {
      const proxy = await throughProxy();
      const dcs = client(root(), proxy.urls);
      proxy.set('frozen');
      for (const call of [
        () => dcs.txn([], [put], { milliseconds: 300 }),
        () => dcs.read('/', { milliseconds: 300 }),
        () => dcs.keepAliveOnce('1', { milliseconds: 300 }),
      ]) {
        const started = systemClock.now();
        await expect(call()).rejects.toMatchObject(unreachable);
        expect(systemClock.now() - started).toBeLessThan(500);
      }
      proxy.set('pass');
      expect((await dcs.txn([], [put], soon)).outcome).toBe('applied');
    });

    test('no error tells a password or a token', async () => {
      const secret = 'kept to ourselves';
      const parrot = createServer((request, response) => {
        const { url = '', headers } = request;
        const isLogin = url.endsWith('/authenticate') && headers.host?.startsWith('127.0.0.1');
        void request.toArray().then((chunks) => {
          response.statusCode = isLogin ? 200 : 502;
          response.end(isLogin ? '{"token":"t0ken"}' : `${String(chunks)} ${headers.authorization ?? ''}`);
        });
      });
      await new Promise<void>((resolve) => parrot.listen(0, '127.0.0.1', resolve));
      const port = String((parrot.address() as AddressInfo).port);
      const proxy = await throughProxy();
      proxy.set('frozen');
      const wrong = { ...tls(), username: 'root', password: secret };
      try {
        const subjects = [
          client(wrong),
          client(wrong, proxy.urls),
          client(wrong, [`http://127.0.0.1:${port}`]),
          client(wrong, [`http://localhost:${port}`]),
        ];
        const ended = await Promise.all(
          subjects.flatMap((dcs) => {
            const limit = { milliseconds: 300 };
            const watch = dcs.watch('/', 0, AbortSignal.timeout(1_200))[Symbol.asyncIterator]();
            return [dcs.read('/', limit), dcs.txn([], [put], limit), dcs.grantLease(5, limit), watch.next()].map(
              (call) =>
                call.then(
                  (value: unknown) => value,
                  (error: unknown) => error,
                ),
            );
          }),
        );
        expect(ended.filter((end) => end instanceof MainstayError).length).toBeGreaterThanOrEqual(subjects.length * 2);
        const told = inspect(ended, { depth: Infinity, showHidden: true });
        expect(told).not.toContain(secret);
        expect(told).not.toContain('t0ken');
      } finally {
        parrot.closeAllConnections();
        parrot.close();
      }
    });
  });
});

async function nextEvents(
  watch: AsyncIterator<{ readonly events: readonly WatchEvent[] }, unknown>,
): Promise<readonly WatchEvent[]> {
  const next = await watch.next();
  return next.done ? [] : next.value.events;
}
