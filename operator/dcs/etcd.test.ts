/** The real client against a real etcd whose members and network fail. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import { systemClock, type Clock } from '../platform/clock.ts';
import { createBlackHole, createDeafPort, type BlackHole } from './black-hole.ts';
import type { Dcs } from './dcs.ts';
import { etcdDcs, type EtcdOptions } from './etcd.ts';
import { findEtcdBinary, startEtcd, type LocalEtcd } from './local-etcd.ts';

const binary = await findEtcdBinary();
const soon = { milliseconds: 5_000 };
const unreachable = { code: 'DcsUnreachable', retryable: true };

const clients: Dcs[] = [];
const proxies: BlackHole[] = [];

function client(endpoints: readonly string[], more: Partial<EtcdOptions> = {}): Dcs {
  const dcs = etcdDcs({ endpoints, clock: systemClock, ...more });
  clients.push(dcs);
  return dcs;
}

async function proxyTo(port: number): Promise<BlackHole & { readonly url: string }> {
  const proxy = await createBlackHole(port);
  proxies.push(proxy);
  return { ...proxy, url: `http://127.0.0.1:${proxy.port}` };
}

async function elapsed(act: () => Promise<unknown>): Promise<number> {
  const start = systemClock.now();
  await act().catch(() => undefined);
  return systemClock.now() - start;
}

afterEach(async () => {
  await Promise.all(clients.splice(0).map((dcs) => dcs.close()));
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
});

(binary === undefined ? describe.skip : describe)('three members', () => {
  let cluster: LocalEtcd;
  let ports: readonly number[];
  let keys = 0;
  const freshKey = (): string => `/faults/${(keys += 1)}`;
  beforeAll(async () => {
    cluster = await startEtcd(binary ?? '', { size: 3 });
    ports = cluster.members.map(({ port }) => port);
  });
  afterAll(() => cluster.stop());
  const port = (index: number): number => ports[index] ?? 0;
  const url = (index: number): string => `http://127.0.0.1:${port(index)}`;
  const member = (index: number): LocalEtcd['members'][number] => {
    const found = cluster.members[index];
    if (!found) throw new Error(`no member ${index}`);
    return found;
  };

  test('a write that is held up may be applied after its outcome was called unknown', async () => {
    const key = freshKey();
    const proxy = await proxyTo(port(0));
    const dcs = client([proxy.url, url(1)]);
    await dcs.read(key, soon);
    proxy.set('frozen');
    const took = await elapsed(async () => {
      const held = dcs.txn([], [{ put: key, value: 'late' }], { milliseconds: 400 });
      expect(await held).toMatchObject({ outcome: 'unknown' });
    });
    expect(took).toBeLessThan(550);
    expect((await dcs.read(key, soon)).entries.size).toBe(0);
    const stop = new AbortController();
    for await (const { events } of dcs.watch(key, 0, stop.signal)) {
      if (events.length > 0) break;
      proxy.set('pass');
    }
    expect((await dcs.read(key, soon)).entries.get(key)?.value).toBe('late');
  });

  test('a connection that is cut under a write leaves the outcome unknown at once', async () => {
    const key = freshKey();
    const proxy = await proxyTo(port(0));
    const dcs = client([proxy.url, url(1)]);
    await dcs.read(key, soon);
    proxy.set('frozen');
    const txn = dcs.txn([], [{ put: key, value: '' }], soon);
    await systemClock.sleep(50);
    proxy.set('cut');
    expect(await elapsed(async () => expect(await txn).toMatchObject({ outcome: 'unknown' }))).toBeLessThan(500);
  });

  test('a write goes on to the next endpoint where nobody listens or no connection comes about', async () => {
    const key = freshKey();
    const silent = await proxyTo(port(0));
    silent.set('frozen');
    const deaf = await createDeafPort();
    try {
      const hanging = [`http://127.0.0.1:${deaf.port}`, `https://127.0.0.1:${silent.port}`];
      const dcs = client(['http://127.0.0.1:9', ...hanging, url(1)]);
      const put = await dcs.txn([], [{ put: key, value: '' }], { milliseconds: 2_500 });
      expect(put.outcome).toBe('applied');
      expect(await elapsed(() => dcs.txn([], [{ put: key, value: '' }], soon))).toBeLessThan(300);
      // Reads don't wait for that: they ask the next member while the first ones hang.
      const reader = client([...hanging, url(1)]);
      expect(await elapsed(() => reader.read(key, { milliseconds: 2_000 }))).toBeLessThan(1_300);
      const watcher = client([...hanging, url(1)]);
      const watch = watcher.watch(key, 0, AbortSignal.timeout(5_000))[Symbol.asyncIterator]();
      expect(await elapsed(() => watch.next())).toBeLessThan(2_000);
      await watch.return?.();
    } finally {
      deaf.close();
    }
  });

  test('a write that certainly never left throws', async () => {
    const dcs = client(['http://127.0.0.1:9', 'http://localhost:9']);
    const write = { put: freshKey(), value: '' };
    await expect(dcs.txn([], [write], soon)).rejects.toMatchObject(unreachable);
    await expect(dcs.grantLease(5, soon)).rejects.toMatchObject(unreachable);
    await expect(dcs.read('/', { milliseconds: 300 })).rejects.toMatchObject(unreachable);
    await dcs.close();
    await expect(dcs.txn([], [write], soon)).rejects.toMatchObject(unreachable);
  });

  test('reads and keepalives find another member while one is frozen, and stay with it', async () => {
    const frozen = ((await cluster.leader()) + 1) % 3;
    const dcs = client([url(frozen), url((frozen + 1) % 3), url((frozen + 2) % 3)]);
    const lease = await dcs.grantLease(30, soon);
    member(frozen).signal('SIGSTOP');
    try {
      expect(await dcs.keepAliveOnce(lease, { milliseconds: 1_000 })).toBe(30);
      expect(await elapsed(() => dcs.read('/', { milliseconds: 1_000 }))).toBeLessThan(300);
      expect((await dcs.txn([], [{ put: freshKey(), value: '' }], { milliseconds: 1_000 })).outcome).toBe('applied');
    } finally {
      member(frozen).signal('SIGCONT');
    }
  });

  test('a watch whose member freezes is given up soon, and goes on elsewhere without a gap', async () => {
    const frozen = ((await cluster.leader()) + 1) % 3;
    const dcs = client([url(frozen), url((frozen + 1) % 3)]);
    const key = freshKey();
    const { revision } = await dcs.read(key, soon);
    const watch = dcs.watch(key, revision + 1, new AbortController().signal)[Symbol.asyncIterator]();
    await watch.next();
    member(frozen).signal('SIGSTOP');
    try {
      const broken = expect(watch.next()).rejects.toMatchObject(unreachable);
      // The read that moves on to the other member raises the suspicion; otherwise the watch would be silent for longer.
      await dcs.txn([], [{ put: key, value: '1' }], { milliseconds: 300 });
      expect((await dcs.txn([], [{ put: key, value: '2' }], soon)).outcome).toBe('applied');
      expect(await elapsed(() => broken)).toBeLessThan(3_000);
      const seen: string[] = [];
      for await (const { events } of dcs.watch(key, revision + 1, AbortSignal.timeout(3_000))) {
        seen.push(...events.map((event) => (event.type === 'put' ? event.entry.value : '')));
        if (seen.includes('2')) break;
      }
      expect(seen.at(-1)).toBe('2');
    } finally {
      member(frozen).signal('SIGCONT');
    }
  });

  test('a quiet watch notices by itself that its member fell silent', async () => {
    const proxy = await proxyTo(port(0));
    // Its timers run five times as fast: the 5 s of silence and the 2 s for an answer are 1.4 s here.
    const hurried: Clock = { ...systemClock, after: (ms, callback) => systemClock.after(ms / 5, callback) };
    const dcs = client([proxy.url, url(1)], { clock: hurried });
    const watch = dcs.watch(freshKey(), 0, new AbortController().signal)[Symbol.asyncIterator]();
    await watch.next();
    proxy.set('frozen');
    const took = await elapsed(() => expect(watch.next()).rejects.toMatchObject(unreachable));
    expect(took).toBeGreaterThan(1_000);
    expect(took).toBeLessThan(4_000);
  });

  test('the stopped leader is survived within one deadline, and its lease goes on', async () => {
    const leader = await cluster.leader();
    const dcs = client([url(leader), url((leader + 1) % 3), url((leader + 2) % 3)]);
    const key = freshKey();
    const lease = await dcs.grantLease(30, soon);
    await dcs.txn([], [{ put: key, value: 'before', lease }], soon);
    member(leader).signal('SIGSTOP');
    try {
      const [read, ttl] = await Promise.all([dcs.read(key, soon), dcs.keepAliveOnce(lease, soon)]);
      expect(read.entries.get(key)?.value).toBe('before');
      expect(ttl).toBe(30);
      expect((await dcs.txn([], [{ put: key, value: 'after' }], soon)).outcome).toBe('applied');
    } finally {
      member(leader).signal('SIGCONT');
    }
    // Back, it answers for the new leader, not for its own past.
    const returned = client([url(leader)]);
    expect((await returned.read(key, soon)).entries.get(key)?.value).toBe('after');
    await dcs.revokeLease(lease, soon);
  });

  test('the killed leader is survived within one deadline: read, keepalive, watch and write', async () => {
    const leader = await cluster.leader();
    const dcs = client([url(leader), url((leader + 1) % 3), url((leader + 2) % 3)]);
    const key = freshKey();
    const lease = await dcs.grantLease(30, soon);
    const { revision } = await dcs.read(key, soon);
    const watch = dcs.watch(key, revision + 1, new AbortController().signal)[Symbol.asyncIterator]();
    await watch.next();
    const broken = expect(watch.next()).rejects.toMatchObject(unreachable);
    member(leader).signal('SIGKILL');
    await broken;
    expect((await dcs.read(key, soon)).revision).toBeGreaterThanOrEqual(revision);
    expect(await dcs.keepAliveOnce(lease, soon)).toBe(30);
    expect((await dcs.txn([], [{ put: key, value: '1' }], soon)).outcome).toBe('applied');
    for await (const { events } of dcs.watch(key, revision + 1, AbortSignal.timeout(3_000))) {
      if (events.length > 0) break;
    }
    await member(leader).restart();
    // Without a quorum nobody answers, and nobody is made to wait longer than the deadline.
    for (const other of [(leader + 1) % 3, (leader + 2) % 3]) member(other).signal('SIGSTOP');
    const took = await elapsed(() => expect(dcs.read(key, { milliseconds: 700 })).rejects.toMatchObject(unreachable));
    expect(took).toBeLessThan(850);
    expect(await dcs.txn([], [{ put: key, value: '2' }], { milliseconds: 300 })).toMatchObject({ outcome: 'unknown' });
    for (const other of [(leader + 1) % 3, (leader + 2) % 3]) member(other).signal('SIGCONT');
  });
});
