import type { HistoryEntry } from '../../api/cluster-state.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';

export type ForcedEntry = HistoryEntry & { readonly forced: NonNullable<HistoryEntry['forced']> };

const isForced = (entry: HistoryEntry): entry is ForcedEntry => entry.forced !== undefined;

export const lastForce = ({ history }: ClusterRuntime): ForcedEntry | undefined => history.findLast(isForced);

/** The last forced failover, unless another instance has become primary since: a later epoch of the same is still its reign. */
export function standingForce(runtime: ClusterRuntime): ForcedEntry | undefined {
  const forced = lastForce(runtime);
  const since = runtime.history.filter(({ epoch }) => epoch > (forced?.epoch ?? 0));
  return since.every(({ winner }) => winner === forced?.winner) ? forced : undefined;
}
