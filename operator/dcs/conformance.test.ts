/** What every Dcs does, real or in memory. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';

import { systemClock } from '../platform/clock.ts';
import { MainstayError } from '../platform/errors.ts';
import { createBlackHole } from './black-hole.ts';
import { noLease, type Dcs, type KeyValue, type WatchEvent } from './dcs.ts';
import { etcdDcs, type EtcdOptions } from './etcd.ts';
import { createAuthority } from './local-certificates.ts';
import { findEtcdBinary, startEtcd, type LocalEtcd } from './local-etcd.ts';
import { createMemoryStore } from './memory-store.ts';
import { createLink, memoryDcs } from './memory.ts';

/** Nobody may look at the wall clock: it jumps. */
const clock = {
  ...systemClock,
  wall: (): Date => {
    throw new Error('a decision by the wall clock');
  },
};

interface Subject {
  readonly dcs: Dcs;
  /** A second client of the same etcd, which nothing disturbs. */
  readonly other: Dcs;
  /** What befalls the network of `dcs`. */
  readonly disturb: (how: 'not at all' | 'cut' | 'silent' | 'answers lost') => void;
  readonly compact: (revision: number) => Promise<void>;
  readonly stop: () => Promise<void>;
}

const soon = { milliseconds: 5_000 };
const unreachable = { code: 'DcsUnreachable', retryable: true };
const binary = await findEtcdBinary();

function memorySubject(): Promise<Subject> {
  const store = createMemoryStore({ clock });
  const link = createLink();
  const states = { 'not at all': 'up', cut: 'refused', silent: 'silent', 'answers lost': 'answers-lost' } as const;
  return Promise.resolve({
    dcs: memoryDcs({ clock, store, link }),
    other: memoryDcs({ clock, store }),
    disturb: (how) => link.set(states[how]),
    compact: (revision) => {
      store.compact(revision);
      return Promise.resolve();
    },
    stop: () => Promise.resolve(),
  });
}

async function etcdSubject(options: Omit<EtcdOptions, 'endpoints' | 'clock'>, cluster: LocalEtcd): Promise<Subject> {
  const proxies = await Promise.all(cluster.members.map(({ port }) => createBlackHole(port)));
  const scheme = new URL(cluster.urls[0] ?? '').protocol;
  const urls = proxies.map(({ port }) => `${scheme}//127.0.0.1:${port}`);
  const modes = { 'not at all': 'pass', cut: 'cut', silent: 'frozen', 'answers lost': 'answers-dropped' } as const;
  return {
    dcs: etcdDcs({ ...options, endpoints: urls, clock }),
    other: etcdDcs({ ...options, endpoints: cluster.urls, clock }),
    disturb: (how) => proxies.forEach((proxy) => proxy.set(modes[how])),
    compact: cluster.compact,
    stop: async () => {
      await Promise.all(proxies.map((proxy) => proxy.close()));
      await cluster.stop();
    },
  };
}

async function guardedSubject(): Promise<Subject> {
  const authority = await createAuthority('etcd');
  const [server, client] = await Promise.all([
    authority.issue('/CN=etcd', ['IP:127.0.0.1']),
    authority.issue('/O=client'),
  ]);
  const { ca } = authority;
  await authority.remove();
  const flags = ['--auth-token-ttl=1'];
  const cluster = await startEtcd(binary ?? '', { size: 1, tls: { ca, ...server, client }, flags });
  await cluster.enableAuthentication('secret');
  return etcdSubject({ credentials: () => ({ ca, ...client, username: 'root', password: 'secret' }) }, cluster);
}

const whereEtcdIs = binary === undefined ? describe.skip : describe;
describe('memory', () => conformance(memorySubject));
whereEtcdIs('etcd of three members', () =>
  conformance(async () => etcdSubject({}, await startEtcd(binary ?? '', { size: 3 }))),
);
whereEtcdIs('etcd with TLS and logins', () => conformance(guardedSubject));

function conformance(start: () => Promise<Subject>): void {
  let subject: Subject;
  let dcs: Dcs;
  let tests = 0;
  beforeAll(async () => {
    subject = await start();
    ({ dcs } = subject);
  });
  afterAll(async () => {
    await dcs.close();
    await subject.other.close();
    await subject.stop();
  });
  afterEach(() => subject.disturb('not at all'));
  const freshPrefix = (): string => `/conformance/${(tests += 1)}/`;

  async function put(key: string, value: string, lease = noLease): Promise<number> {
    const result = await dcs.txn([], [{ put: key, value, lease }], soon);
    if (result.outcome !== 'applied') throw new Error(result.outcome);
    return result.revision;
  }
  async function valuesUnder(prefix: string): Promise<Record<string, string>> {
    const { entries } = await dcs.read(prefix, soon);
    return Object.fromEntries([...entries.values()].map(({ key, value }) => [key.slice(prefix.length), value]));
  }

  test('reads exactly what is under a prefix, seen by every client', async () => {
    const prefix = freshPrefix();
    await put(`${prefix}a`, 'größer\n{"x":1}');
    const revision = await put(`${prefix}b/c`, '');
    await put(prefix.replace(/\/$/, '0'), 'next to it');
    const snapshot = await subject.other.read(prefix, soon);
    expect([...snapshot.entries]).toEqual([
      [`${prefix}a`, expect.objectContaining({ value: 'größer\n{"x":1}', modRevision: revision - 1, lease: noLease })],
      [`${prefix}b/c`, expect.objectContaining({ value: '', createRevision: revision, modRevision: revision })],
    ]);
    expect(snapshot.revision).toBe(revision + 1);
    expect(snapshot.clusterId).toMatch(/^\d+$/);
    expect((await dcs.read('', soon)).entries.size).toBeGreaterThan(2);
  });

  test('compares absence, presence, value and revision', async () => {
    const prefix = freshPrefix();
    const key = `${prefix}key`;
    const outcomes: string[] = [];
    const attempt = async (compare: Parameters<Dcs['txn']>[0][number], value: string): Promise<number> => {
      const result = await dcs.txn([compare], [{ put: key, value }], soon);
      outcomes.push(result.outcome);
      return result.outcome === 'unknown' ? 0 : result.revision;
    };
    await attempt({ key, is: 'present' }, 'no');
    await attempt({ key, is: 'value', value: '' }, 'no');
    await attempt({ key, is: 'modRevision', modRevision: 0 }, '');
    await attempt({ key, is: 'absent' }, 'no');
    await attempt({ key, is: 'value', value: '' }, 'one');
    const two = await attempt({ key, is: 'present' }, 'two');
    const refusedAt = await attempt({ key, is: 'value', value: 'one' }, 'no');
    await attempt({ key, is: 'modRevision', modRevision: two - 1 }, 'no');
    await attempt({ key, is: 'modRevision', modRevision: two }, 'three');
    expect(outcomes.join(' ')).toBe('refused refused applied refused applied applied refused refused applied');
    expect(refusedAt).toBe(two);
    expect(await valuesUnder(prefix)).toEqual({ key: 'three' });
  });

  test('applies all writes of a transaction at one revision, or none', async () => {
    const prefix = freshPrefix();
    await put(`${prefix}a`, '1');
    const both = await dcs.txn(
      [
        { key: `${prefix}a`, is: 'value', value: '1' },
        { key: `${prefix}b`, is: 'absent' },
      ],
      [{ delete: `${prefix}a` }, { put: `${prefix}b`, value: '2' }, { put: `${prefix}c`, value: '3' }],
      soon,
    );
    const { entries, revision } = await dcs.read(prefix, soon);
    expect(both).toEqual({ outcome: 'applied', revision });
    expect([...entries.values()].map((entry) => entry.modRevision)).toEqual([revision, revision]);
    const neither = await dcs.txn(
      [
        { key: `${prefix}b`, is: 'present' },
        { key: `${prefix}c`, is: 'absent' },
      ],
      [{ delete: `${prefix}b` }, { delete: `${prefix}c` }],
      soon,
    );
    expect(neither).toEqual({ outcome: 'refused', revision });
    expect(await valuesUnder(prefix)).toEqual({ b: '2', c: '3' });
  });

  test('deleting what is not there applies without a new revision', async () => {
    const prefix = freshPrefix();
    const revision = await put(`${prefix}a`, '1');
    expect(await dcs.txn([], [{ delete: `${prefix}b` }], soon)).toEqual({ outcome: 'applied', revision });
  });

  test('a request that etcd refuses as a whole throws DcsRejected and changes nothing', async () => {
    const prefix = freshPrefix();
    const rejected = expect.objectContaining({ code: 'DcsRejected' });
    const [a, b] = [`${prefix}a`, `${prefix}b`];
    const writes = {
      'unknown lease': [
        { put: a, value: '' },
        { put: b, value: '', lease: '4711' },
      ],
      'same key twice': [
        { put: a, value: '1' },
        { put: a, value: '2' },
      ],
      'put and delete of one key': [{ put: a, value: '1' }, { delete: a }],
      'too many': Array.from({ length: 129 }, (_, n) => ({ put: `${prefix}${n}`, value: '' })),
      'too large': [{ put: a, value: 'x'.repeat(1_600_000) }],
      'no key': [{ put: '', value: '' }],
    };
    for (const [name, list] of Object.entries(writes)) {
      const result: unknown = await dcs.txn([], list, soon).catch((error: unknown) => error);
      expect([name, result]).toEqual([name, rejected]);
    }
    expect(await valuesUnder(prefix)).toEqual({});
    // An unknown lease matters only where the comparison holds.
    const refused = await dcs.txn([{ key: a, is: 'present' }], [{ put: b, value: '', lease: '4711' }], soon);
    expect(refused.outcome).toBe('refused');
  });

  test('a lease that is not renewed takes its keys with it', async () => {
    const prefix = freshPrefix();
    const lease = await dcs.grantLease(2, soon);
    const kept = await dcs.grantLease(2, soon);
    await put(`${prefix}a`, '1', lease);
    await put(`${prefix}b`, '1', lease);
    await put(`${prefix}c`, '1', kept);
    await put(`${prefix}d`, '1', lease);
    const revision = await put(`${prefix}d`, 'taken off its lease');
    expect((await dcs.read(prefix, soon)).entries.get(`${prefix}a`)?.lease).toBe(lease);

    const renewing = new AbortController();
    const renewed = (async () => {
      while (!renewing.signal.aborted) {
        expect(await subject.other.keepAliveOnce(kept, soon)).toBe(2);
        await clock.sleep(300);
      }
    })();
    const events = await collect(dcs, prefix, revision + 1, 2);
    renewing.abort();
    await renewed;
    expect(events).toEqual([
      { type: 'delete', key: `${prefix}a`, modRevision: revision + 1 },
      { type: 'delete', key: `${prefix}b`, modRevision: revision + 1 },
    ]);
    expect(await dcs.keepAliveOnce(lease, soon)).toBe(0);
    expect(await valuesUnder(prefix)).toEqual({ c: '1', d: 'taken off its lease' });
    await dcs.revokeLease(kept, soon);
  });

  test('revoking a lease removes its keys; revoking it again is no error', async () => {
    const prefix = freshPrefix();
    const lease = await dcs.grantLease(30, soon);
    await put(`${prefix}a`, '1', lease);
    await dcs.revokeLease(lease, soon);
    expect(await valuesUnder(prefix)).toEqual({});
    expect(await dcs.keepAliveOnce(lease, soon)).toBe(0);
    await dcs.revokeLease(lease, soon);
  });

  test('a watch says that it stands, tells the past from its revision on, then the present', async () => {
    const prefix = freshPrefix();
    const first = await put(`${prefix}a`, '1');
    await put(`${prefix}a`, '2');
    await put(freshPrefix(), 'elsewhere');
    const watch = dcs.watch(prefix, first + 1, new AbortController().signal)[Symbol.asyncIterator]();
    expect(await watch.next()).toEqual({ done: false, value: { revision: first, events: [] } });
    const past = { type: 'put', entry: expect.objectContaining({ value: '2', createRevision: first }) };
    expect(await watch.next()).toEqual({ done: false, value: { revision: first + 1, events: [past] } });
    const last = await put(`${prefix}b`, '3');
    const present = { type: 'put', entry: expect.objectContaining({ key: `${prefix}b`, modRevision: last }) };
    expect(await watch.next()).toEqual({ done: false, value: { revision: last, events: [present] } });
    await watch.return?.();
  });

  test('a watch from revision 0 tells only what comes', async () => {
    const prefix = freshPrefix();
    const revision = await put(`${prefix}a`, '1');
    const watch = dcs.watch(prefix, 0, new AbortController().signal)[Symbol.asyncIterator]();
    expect(await watch.next()).toEqual({ done: false, value: { revision, events: [] } });
    await dcs.txn([], [{ delete: `${prefix}a` }], soon);
    const gone = { type: 'delete', key: `${prefix}a`, modRevision: revision + 1 };
    expect(await watch.next()).toEqual({ done: false, value: { revision: revision + 1, events: [gone] } });
    await watch.return?.();
  });

  test('an aborted watch ends, without an error', async () => {
    const stop = new AbortController();
    const watch = dcs.watch(freshPrefix(), 0, stop.signal)[Symbol.asyncIterator]();
    await watch.next();
    const pending = watch.next();
    stop.abort();
    expect(await pending).toEqual({ done: true, value: undefined });
    const late = dcs.watch(freshPrefix(), 0, stop.signal)[Symbol.asyncIterator]();
    expect(await late.next()).toEqual({ done: true, value: undefined });
  });

  test('a watch from before the compacted revision throws DcsCompacted', async () => {
    const prefix = freshPrefix();
    const first = await put(`${prefix}a`, '1');
    await put(`${prefix}a`, '2');
    const last = await put(`${prefix}a`, '3');
    await subject.compact(last);
    await expect(collect(dcs, prefix, first, 1)).rejects.toMatchObject({ code: 'DcsCompacted' });
    expect(await collect(dcs, prefix, last, 1)).toHaveLength(1);
  });

  test('a write whose answer is lost has an unknown outcome, and is not sent again', async () => {
    const key = `${freshPrefix()}key`;
    await dcs.read(key, soon);
    // Until its connection is free again: the handshake of a new one would not get its answer either.
    await clock.sleep(20);
    subject.disturb('answers lost');
    const lost = dcs.txn([], [{ put: key, value: '' }], { milliseconds: 500 });
    expect(await lost).toMatchObject({ outcome: 'unknown', cause: unreachable });
    subject.disturb('not at all');
    const entry = (await subject.other.read(key, soon)).entries.get(key);
    expect(entry?.modRevision).toBe(entry?.createRevision);
    expect(entry).toBeDefined();
  });

  test('where nobody answers, each call settles by its deadline; when somebody does, the next one works', async () => {
    const lease = await dcs.grantLease(30, soon);
    subject.disturb('silent');
    const deadline = { milliseconds: 300 };
    const calls = {
      read: () => dcs.read('/', deadline),
      grant: () => dcs.grantLease(5, deadline),
      renew: () => dcs.keepAliveOnce(lease, deadline),
      revoke: () => dcs.revokeLease('4711', deadline),
      write: () => dcs.txn([], [{ put: freshPrefix(), value: '' }], deadline),
    };
    const took = await Promise.all(
      Object.entries(calls).map(async ([name, call]) => {
        const started = clock.now();
        const end: unknown = await call().catch((error: unknown) => error);
        // A write that still waited for a connection was certainly not sent, and is no exception to the deadline either.
        const isUnknown = name === 'write' && !(end instanceof MainstayError);
        expect([name, end]).toMatchObject([name, isUnknown ? { outcome: 'unknown' } : unreachable]);
        return clock.now() - started;
      }),
    );
    expect(Math.min(...took)).toBeGreaterThan(250);
    expect(Math.max(...took)).toBeLessThan(450);
    subject.disturb('not at all');
    expect(await dcs.keepAliveOnce(lease, soon)).toBe(30);
    await dcs.revokeLease(lease, soon);
  });

  test('a lost watch is taken up again without missing or repeating a change', async () => {
    const prefix = freshPrefix();
    const from = (await put(`${prefix}c`, '')) + 1;
    const last = 29;
    const told: string[] = [];
    const following = follow(dcs, prefix, from, (events) => {
      told.push(...events.map((event) => inShort(prefix, event)));
      return told.includes(`a=${last}`);
    });
    for (let n = 0; n <= last; n += 1) {
      const value = String(n);
      const both = [
        { put: `${prefix}b`, value },
        { put: `${prefix}a`, value },
      ];
      expect((await subject.other.txn([], both, soon)).outcome).toBe('applied');
      if (n % 6 === 2) subject.disturb('cut');
      if (n % 6 === 4) subject.disturb('not at all');
      await clock.sleep(10);
    }
    expect(await following).toBeGreaterThan(0);
    expect(told).toEqual(Array.from({ length: last + 1 }, (_, n) => [`b=${n}`, `a=${n}`]).flat());
  });

  test('compaction leaves a standing watch alone; one that was behind reads again and goes on from there', async () => {
    const prefix = freshPrefix();
    const { other } = subject;
    const write = async (key: string, value: string): Promise<number> => {
      const result = await other.txn([], [{ put: prefix + key, value }], soon);
      if (result.outcome !== 'applied') throw new Error(result.outcome);
      return result.revision;
    };
    const known = new Map<string, string>();
    const revisions: number[] = [];
    const standing = Promise.withResolvers<number>();
    const learn = ({ key, value, modRevision }: KeyValue): void => {
      known.set(key.slice(prefix.length), value);
      revisions.push(modRevision);
      if (value === 'a1') standing.resolve(modRevision);
    };
    const from = await write('a', 'a0');
    let compactions = 0;
    const following = (async () => {
      for (let next = from; ;) {
        try {
          await follow(dcs, prefix, next, (events) => {
            for (const event of events) if (event.type === 'put') learn(event.entry);
            return known.has('end');
          });
          return;
        } catch (error) {
          expect(error).toMatchObject({ code: 'DcsCompacted', retryable: true });
          compactions += 1;
          const snapshot = await dcs.read(prefix, soon);
          const last = revisions.at(-1) ?? 0;
          const unknown = [...snapshot.entries.values()].filter(({ modRevision }) => modRevision > last);
          unknown.sort((a, b) => a.modRevision - b.modRevision).forEach(learn);
          next = snapshot.revision + 1;
        }
      }
    })();
    await write('a', 'a1');
    await subject.compact(await standing.promise);
    await write('a', 'a2');
    subject.disturb('cut');
    await write('b', 'b1');
    await write('b', 'b2');
    await subject.compact(await write('a', 'a3'));
    subject.disturb('not at all');
    await write('end', '');
    await following;
    expect(compactions).toBe(1);
    expect(Object.fromEntries(known)).toEqual({ a: 'a3', b: 'b2', end: '' });
    expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
  });

  test('an aborted call ends at once', async () => {
    const stop = AbortSignal.abort();
    await expect(dcs.read('/', { ...soon, signal: stop })).rejects.toMatchObject({ code: 'DcsUnreachable' });
    const running = new AbortController();
    const read = dcs.read('/', { ...soon, signal: running.signal });
    running.abort();
    await expect(read).rejects.toMatchObject({ code: 'DcsUnreachable' });
  });
}

async function collect(dcs: Dcs, prefix: string, from: number, count: number): Promise<readonly WatchEvent[]> {
  const seen: WatchEvent[] = [];
  for await (const { events } of dcs.watch(prefix, from, AbortSignal.timeout(10_000))) {
    seen.push(...events);
    if (seen.length >= count) break;
  }
  return seen;
}

/** Follows as a client should; resolves with how often the watch was lost when `onEvents` says that it is enough. */
async function follow(
  dcs: Dcs,
  prefix: string,
  from: number,
  onEvents: (events: readonly WatchEvent[]) => boolean,
): Promise<number> {
  const limit = AbortSignal.timeout(10_000);
  let next = from;
  for (let losses = 0; ; losses += 1) {
    try {
      for await (const { revision, events } of dcs.watch(prefix, next, limit)) {
        next = revision + 1;
        if (onEvents(events)) return losses;
      }
      throw new Error('followed for too long');
    } catch (error) {
      if (!(error instanceof MainstayError) || error.code !== 'DcsUnreachable') throw error;
      await clock.sleep(10);
    }
  }
}

function inShort(prefix: string, event: WatchEvent): string {
  if (event.type === 'delete') return `${event.key.slice(prefix.length)} gone`;
  return `${event.entry.key.slice(prefix.length)}=${event.entry.value}`;
}
