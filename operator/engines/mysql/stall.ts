/**
 * Commits that wait although enough replicas are connected: one that had a transaction before it connected never acknowledges it,
 * but what comes after it (mysql-ha.md §3.6).
 */
import type { Clock } from '../../platform/clock.ts';
import type { SemiSync } from './sync-set.ts';

/** Milliseconds without any acknowledgement; a replica is given as long to connect anew. */
const patience = 1000;

/** Told of each look; true when it is time for another write. */
export function stallWatch(clock: Clock): (now: SemiSync, acknowledgements: number) => boolean {
  let last: { readonly acknowledged: number; readonly at: number } | undefined;
  return ({ waiting, clients, acknowledged }, acknowledgements) => {
    const isStuck = waiting > 0 && acknowledgements > 0 && clients >= acknowledgements;
    if (!isStuck || last?.acknowledged !== acknowledged) {
      last = isStuck ? { acknowledged, at: clock.now() } : undefined;
      return false;
    }
    if (clock.now() - last.at < patience) return false;
    last = { acknowledged, at: clock.now() };
    return true;
  };
}
