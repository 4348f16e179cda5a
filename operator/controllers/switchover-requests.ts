/** Asks agents for a planned change of primary, and remembers when it asked, so that a refusal is not met with the same at once. */
import { clusterPrefix, keys, type ClusterIdentity, type SwitchoverRequest } from '../api/cluster-state.ts';
import type { Dcs } from '../dcs/dcs.ts';
import type { Clock } from '../platform/clock.ts';

export interface SwitchoverRequests {
  /** Milliseconds since the last request for this cluster; Infinity if there was none. */
  sinceLastMs(cluster: ClusterIdentity): number;
  /** False if another request stands. */
  request(
    cluster: ClusterIdentity,
    what: Pick<SwitchoverRequest, 'from' | 'to' | 'reason'>,
    signal: AbortSignal,
  ): Promise<boolean>;
}

/** Enough for a clean shutdown with a large checkpoint; an agent that can't begin within it refuses. */
const requestLifeMs = 60_000;
const txnTimeoutMs = 5_000;

export function switchoverRequests(dcs: Dcs, clock: Clock, newId: () => string): SwitchoverRequests {
  const lastAt = new Map<string, number>();
  return {
    sinceLastMs(cluster) {
      const at = lastAt.get(clusterPrefix(cluster));
      return at === undefined ? Infinity : clock.now() - at;
    },
    async request(cluster, what, signal) {
      const prefix = clusterPrefix(cluster);
      const request: SwitchoverRequest = {
        id: newId(),
        ...what,
        deadline: new Date(clock.wall().getTime() + requestLifeMs).toISOString(),
      };
      // Counted before the answer: an unknown outcome may still be carried out.
      lastAt.set(prefix, clock.now());
      const result = await dcs.txn(
        [{ key: prefix + keys.switchover, is: 'absent' }],
        [{ put: prefix + keys.switchover, value: JSON.stringify(request) }],
        { milliseconds: txnTimeoutMs, signal },
      );
      if (result.outcome === 'unknown') throw result.cause;
      return result.outcome === 'applied';
    },
  };
}
