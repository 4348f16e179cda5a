import type { ClusterStatus } from '../../api/database-cluster.ts';
import type { ClusterEvent } from './cluster-events.ts';

export interface OutageNotices {
  judge(
    key: string,
    status: ClusterStatus,
    now: number,
  ): { readonly notices: readonly ClusterEvent[]; readonly lookAgainInMs: number | undefined };
  forget(key: string): void;
}

/** A hand-over or failover is shorter, and has an event of its own. */
export const outagePatienceMs = 5_000;

/** Tells of a primary that is missing for longer than any change of primary takes, and of its return. */
export function outageNotices(): OutageNotices {
  const told = new Set<string>();
  const seenAvailable = new Set<string>();
  return {
    judge(key, status, now) {
      const available = status.conditions?.find(({ type }) => type === 'Available');
      if (available?.status === 'True') seenAvailable.add(key);
      if (available?.status === 'True' && told.delete(key))
        return { notices: [{ reason: 'PrimaryAvailable', note: available.message }], lookAgainInMs: undefined };
      // Before the first primary nothing is lost; while etcd is silent nobody knows.
      const isMissing =
        available?.status === 'False' &&
        available.reason !== 'Hibernated' &&
        (seenAvailable.has(key) || (status.epoch ?? 0) > 1);
      if (!isMissing || told.has(key)) return { notices: [], lookAgainInMs: undefined };
      const restMs = Date.parse(available.lastTransitionTime) + outagePatienceMs - now;
      if (restMs > 0) return { notices: [], lookAgainInMs: restMs };
      told.add(key);
      return { notices: [{ reason: 'PrimaryLost', note: available.message }], lookAgainInMs: undefined };
    },
    forget: (key) => {
      told.delete(key);
      seenAvailable.delete(key);
    },
  };
}
