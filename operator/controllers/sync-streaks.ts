import type { Epoch, InstanceName } from '../api/cluster-state.ts';
import type { Clock } from '../platform/clock.ts';
import type { ClusterRuntime } from './cluster-runtime.ts';
import { isWell } from './switchover-candidate.ts';

/** For how long replicas have followed in the sync set without a break. Known from watching only: a new process begins anew. */
export interface SyncStreaks {
  /** Milliseconds by instance. `undefined`: nobody knows, which is a break too. */
  see(key: string, runtime: ClusterRuntime | undefined): ReadonlyMap<InstanceName, number>;
  forget(key: string): void;
}

export function syncStreaks(clock: Pick<Clock, 'now'>): SyncStreaks {
  const streaks = new Map<string, { readonly epoch: Epoch; readonly since: ReadonlyMap<InstanceName, number> }>();
  return {
    see(key, runtime) {
      const sync = runtime?.sync;
      if (!sync) {
        streaks.delete(key);
        return new Map();
      }
      const now = clock.now();
      const before = streaks.get(key);
      const since = new Map(
        sync.members
          .map((voter) => voter.instance)
          .filter((instance) => isWell(runtime.members.get(instance)))
          .map((instance) => [
            instance,
            (before?.epoch === sync.epoch ? before.since.get(instance) : undefined) ?? now,
          ]),
      );
      streaks.set(key, { epoch: sync.epoch, since });
      return new Map([...since].map(([instance, at]) => [instance, now - at]));
    },
    forget: (key) => void streaks.delete(key),
  };
}
