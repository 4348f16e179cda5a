/** What only the in-memory etcd does: time by hand, and a network that fails on demand. */
import { beforeEach, describe, expect, test } from '@jest/globals';

import type { Clock } from '../platform/clock.ts';
import type { Dcs, WatchEvent } from './dcs.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';
import { createLink, memoryDcs, type Link } from './memory.ts';

/** A clock that stands still until told; `advance` also lets everything run that became due. */
function manualClock(): Clock & { advance(milliseconds: number): Promise<void> } {
  let now = 0;
  let timers: { readonly at: number; readonly callback: () => void }[] = [];
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
  };
  const after = (milliseconds: number, callback: () => void): (() => void) => {
    const timer = { at: now + milliseconds, callback };
    timers.push(timer);
    return () => {
      timers = timers.filter((other) => other !== timer);
    };
  };
  return {
    now: () => now,
    wall: () => new Date(now),
    after,
    sleep: (milliseconds, signal) =>
      new Promise((resolve, reject) => {
        after(milliseconds, resolve);
        signal?.addEventListener('abort', () => reject(signal.reason as Error));
      }),
    advance: async (milliseconds) => {
      const end = now + milliseconds;
      await settle();
      for (;;) {
        const [due] = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (!due) break;
        timers = timers.filter((other) => other !== due);
        now = due.at;
        due.callback();
        await settle();
      }
      now = end;
    },
  };
}

const deadline = { milliseconds: 1_000 };
const put = { put: '/a', value: '1' };
let clock: ReturnType<typeof manualClock>;
let store: MemoryStore;
let link: Link;
let dcs: Dcs;
let other: Dcs;

beforeEach(() => {
  clock = manualClock();
  store = createMemoryStore({ clock });
  link = createLink();
  dcs = memoryDcs({ clock, store, link });
  other = memoryDcs({ clock, store });
});

async function keysSeenByOther(): Promise<readonly string[]> {
  return [...(await other.read('/', deadline)).entries.keys()];
}

describe('link', () => {
  test('refused: fails at once and surely without effect', async () => {
    link.set('refused');
    await expect(dcs.txn([], [put], deadline)).rejects.toMatchObject({ code: 'DcsUnreachable' });
    await expect(dcs.read('/', deadline)).rejects.toMatchObject({ code: 'DcsUnreachable', retryable: true });
    expect(await keysSeenByOther()).toEqual([]);
  });

  test.each([
    ['silent', [], []],
    ['answers-lost', ['/a'], ['/a']],
    ['late', [], ['/a']],
  ] as const)('%s: the outcome is unknown after the deadline', async (state, atDeadline, inTheEnd) => {
    link.set(state);
    const outcome = dcs.txn([], [put], deadline);
    let settled = false;
    void outcome.then(() => (settled = true));
    await clock.advance(999);
    expect(settled).toBe(false);
    await clock.advance(1);
    expect(await outcome).toMatchObject({ outcome: 'unknown', cause: { code: 'DcsUnreachable' } });
    expect(await keysSeenByOther()).toEqual(atDeadline);
    await clock.advance(5_000);
    expect(await keysSeenByOther()).toEqual(inTheEnd);
  });

  test('a watch over a silent link gets what it missed if the link heals soon, and is given up otherwise', async () => {
    const watch = dcs.watch('/', 0, new AbortController().signal)[Symbol.asyncIterator]();
    await watch.next();
    link.set('silent');
    await other.txn([], [put], deadline);
    await clock.advance(6_999);
    link.set('up');
    expect(await watch.next()).toMatchObject({ value: { events: [{ type: 'put' }] } });
    link.set('silent');
    const broken = expect(watch.next()).rejects.toMatchObject({ code: 'DcsUnreachable' });
    await clock.advance(7_000);
    await broken;
  });

  test('a call takes its round trip', async () => {
    const slow = memoryDcs({ clock, store, latencyMilliseconds: () => 100 });
    const txn = slow.txn([], [put], deadline);
    await clock.advance(49);
    expect(await keysSeenByOther()).toEqual([]);
    await clock.advance(1);
    expect(await keysSeenByOther()).toEqual(['/a']);
    await clock.advance(50);
    expect(await txn).toMatchObject({ outcome: 'applied' });
    const tooSlow = memoryDcs({ clock, store, latencyMilliseconds: () => 3_000 });
    const unknown = tooSlow.txn([], [put], deadline);
    await clock.advance(1_000);
    expect(await unknown).toMatchObject({ outcome: 'unknown' });
  });

  test('a closed client answers nothing more', async () => {
    await dcs.close();
    await expect(dcs.read('/', deadline)).rejects.toMatchObject({ code: 'DcsUnreachable' });
  });
});

describe('leases', () => {
  async function withLease(ttlSeconds: number): Promise<string> {
    const lease = await dcs.grantLease(ttlSeconds, deadline);
    await dcs.txn([], [{ ...put, lease }], deadline);
    return lease;
  }

  test('end on time, counted from the last renewal; no shorter than two seconds', async () => {
    const lease = await withLease(1);
    await clock.advance(1_500);
    expect(await dcs.keepAliveOnce(lease, deadline)).toBe(2);
    await clock.advance(1_999);
    expect(await keysSeenByOther()).toEqual(['/a']);
    const events: WatchEvent[] = [];
    store.watch('/', 0, (_, seen) => events.push(...seen));
    await clock.advance(1);
    expect(events).toEqual([{ type: 'delete', key: '/a', modRevision: 3 }]);
    expect(await dcs.keepAliveOnce(lease, deadline)).toBe(0);
  });

  test('a change of etcd’s leader lengthens them', async () => {
    await withLease(5);
    await clock.advance(4_999);
    store.changeLeader();
    await clock.advance(5_999);
    expect(await keysSeenByOther()).toEqual(['/a']);
    await clock.advance(1);
    expect(await keysSeenByOther()).toEqual([]);
  });

  test('without a quorum none ends and nobody is answered', async () => {
    await withLease(5);
    store.setQuorum(false);
    const read = expect(dcs.read('/', deadline)).rejects.toMatchObject({ code: 'DcsUnreachable' });
    await clock.advance(60_000);
    await read;
    store.setQuorum(true);
    expect(await keysSeenByOther()).toEqual(['/a']);
    await clock.advance(6_000);
    expect(await keysSeenByOther()).toEqual([]);
  });
});
