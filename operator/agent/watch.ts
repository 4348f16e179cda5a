/** The cluster's keys, kept up to date: a linearizable read, then the changes after it; again from the start when the watch is lost. */
import { clusterPrefix, type ClusterIdentity } from '../api/cluster-state.ts';
import type { Dcs, KeyValue, Snapshot } from '../dcs/dcs.ts';
import { parseView, type ClusterView, type ParsedValues } from '../ha/view.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';

const readDeadline = 1500;
const pauseAfterLoss = 200;
const longestPause = 2000;

export interface ClusterReader {
  /** Linearizable. */
  read(signal: AbortSignal, milliseconds?: number): Promise<ClusterView>;
  /** Runs until the signal; calls `onView` for each change, `askedAt` with what was read rather than watched. */
  follow(onView: (view: ClusterView, askedAt?: number) => void, signal: AbortSignal): Promise<void>;
}

export function clusterReader(dcs: Dcs, cluster: ClusterIdentity, clock: Clock, log: Logger): ClusterReader {
  const prefix = clusterPrefix(cluster);
  const known: ParsedValues = new Map();
  const viewOf = (snapshot: Snapshot): ClusterView =>
    parseView(new Map([...snapshot.entries].map(([key, entry]) => [key.slice(prefix.length), entry])), snapshot, known);
  const read = (signal: AbortSignal, milliseconds = readDeadline): Promise<Snapshot> =>
    dcs.read(prefix, { milliseconds, signal });

  async function followOnce(onView: (view: ClusterView, askedAt?: number) => void, signal: AbortSignal): Promise<void> {
    const askedAt = clock.now();
    const start = await read(signal);
    onView(viewOf(start), askedAt);
    const entries = new Map<string, KeyValue>(start.entries);
    for await (const { revision, events } of dcs.watch(prefix, start.revision + 1, signal)) {
      for (const event of events)
        if (event.type === 'put') entries.set(event.entry.key, event.entry);
        else entries.delete(event.key);
      if (events.length > 0) onView(viewOf({ revision, clusterId: start.clusterId, entries }));
    }
  }

  return {
    read: async (signal, milliseconds) => viewOf(await read(signal, milliseconds)),
    follow: async (onView, signal) => {
      const ended = (): boolean => signal.aborted;
      let losses = 0;
      while (!ended()) {
        try {
          await followOnce((view, askedAt) => {
            losses = 0;
            onView(view, askedAt);
          }, signal);
        } catch (error) {
          if (ended()) return;
          if (losses === 0) log.warn({ err: error }, 'lost the watch on etcd; reading again');
          losses += 1;
          await clock.sleep(Math.min(pauseAfterLoss * losses, longestPause), signal).catch(() => undefined);
        }
      }
    },
  };
}
