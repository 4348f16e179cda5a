/** When a primary counts as lost although its lease still lives (DESIGN §5, rules 4 and 5). */
import type { Epoch, InstanceName } from '../api/cluster-state.ts';
import { takeoverQuorum } from './takeover.ts';
import type { ClusterView } from './view.ts';

/**
 * True when, with `self`, as many members of the sync set as a takeover needs say that they have lost the primary of
 * `view.epoch` too. One replica with a bad link must not raise epochs (F16).
 */
export function primaryLost(view: ClusterView, self: InstanceName, selfLost: Epoch | undefined): boolean {
  const sync = view.sync?.value;
  if (!sync || selfLost !== view.epoch || sync.acknowledgements === 0) return false;
  const agreeing = sync.members.filter(
    ({ instance }) => instance === self || view.members.get(instance)?.lostPrimaryOf === view.epoch,
  );
  return sync.members.length >= sync.acknowledgements && agreeing.length >= takeoverQuorum(sync);
}
