/** Messages between instances, and between them and etcd: delayed, cut in one direction or both. */
import type { Random } from './random.ts';
import type { VirtualTime } from './virtual-time.ts';

/** Keeps the messages of one connection in order. */
export interface Connection {
  lastArrival: number;
}

export interface Network {
  readonly cut: (from: string, to: string) => void;
  readonly heal: () => void;
  /** Share of messages that are delayed by up to seconds. */
  slow: number;
  readonly connected: (from: string, to: string) => boolean;
  /** `arrive` is called unless the way is cut now or then; `lost` in its place if given. */
  readonly send: (from: string, to: string, arrive: () => void, connection?: Connection, lost?: () => void) => void;
}

export function createNetwork(time: VirtualTime, random: Random): Network {
  const cuts = new Set<string>();
  const connected = (from: string, to: string): boolean => !cuts.has(`${from}→${to}`);
  const network: Network = {
    slow: 0,
    cut: (from, to) => void cuts.add(`${from}→${to}`),
    heal: () => cuts.clear(),
    connected,
    send: (from, to, arrive, connection, lost) => {
      if (!connected(from, to)) {
        lost?.();
        return;
      }
      let delay = random.between(0.2, 2);
      if (network.slow > 0 && random.chance(network.slow)) delay += random.between(5, random.chance(0.3) ? 3000 : 150);
      if (connection) {
        delay = Math.max(delay, connection.lastArrival - time.now());
        connection.lastArrival = time.now() + delay;
      }
      time.after(delay, () => (connected(from, to) ? arrive() : lost?.()));
    },
  };
  return network;
}
