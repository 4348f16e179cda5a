/** Messages between instances, and between them and etcd: delayed, cut in one direction or both. */
import type { Random } from './random.ts';
import type { VirtualTime } from './virtual-time.ts';

/** Keeps the messages of one connection in order. */
export interface Connection {
  lastArrival: number;
}

export interface Network {
  /** Returns what mends this cut, and no other of the same way. */
  readonly cut: (from: string, to: string) => () => void;
  readonly heal: () => void;
  /** Share of messages that are delayed by up to seconds. */
  slow: number;
  readonly connected: (from: string, to: string) => boolean;
  /** Since when messages have come and gone without trouble; Infinity while they don't. */
  readonly wellSince: (one: string, other: string) => number;
  /** `arrive` is called unless the way is cut now or then; `lost` in its place if given. */
  readonly send: (from: string, to: string, arrive: () => void, connection?: Connection, lost?: () => void) => void;
}

export function createNetwork(time: VirtualTime, random: Random): Network {
  /** How often each way is cut. */
  const cuts = new Map<string, number>();
  const mendedAt = new Map<string, number>();
  let slow = 0;
  let slowUntil = 0;
  const way = (from: string, to: string): string => `${from}→${to}`;
  const connected = (from: string, to: string): boolean => cuts.size === 0 || !cuts.has(way(from, to));

  function mend(key: string): void {
    cuts.delete(key);
    mendedAt.set(key, time.now());
  }

  return {
    get slow() {
      return slow;
    },
    set slow(share) {
      if (slow > 0 && share === 0) slowUntil = time.now();
      slow = share;
    },
    cut: (from, to) => {
      const key = way(from, to);
      cuts.set(key, (cuts.get(key) ?? 0) + 1);
      return () => {
        const times = cuts.get(key);
        if (times === 1) mend(key);
        else if (times !== undefined) cuts.set(key, times - 1);
      };
    },
    heal: () => {
      for (const key of cuts.keys()) mend(key);
    },
    connected,
    wellSince: (one, other) =>
      slow > 0
        ? Infinity
        : Math.max(
            slowUntil,
            ...[way(one, other), way(other, one)].map((key) => (cuts.has(key) ? Infinity : (mendedAt.get(key) ?? 0))),
          ),
    send: (from, to, arrive, connection, lost) => {
      if (!connected(from, to)) {
        lost?.();
        return;
      }
      let delay = random.between(0.2, 2);
      if (slow > 0 && random.chance(slow)) delay += random.between(5, random.chance(0.3) ? 3000 : 150);
      if (connection) {
        delay = Math.max(delay, connection.lastArrival - time.now());
        connection.lastArrival = time.now() + delay;
      }
      time.after(delay, () => (connected(from, to) ? arrive() : lost?.()));
    },
  };
}
