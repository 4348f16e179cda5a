/** When a primary counts as lost although its lease still lives (DESIGN §5, rules 4 and 5). */
import { holdsLeadership } from './proof.ts';
import type { HaState, Milliseconds } from './state.ts';
import { takeoverQuorum } from './takeover.ts';
import type { ClusterView } from './view.ts';

/** How long a false alarm makes this instance slower to believe the next, and by how much at most. */
export const alarmMemory: Milliseconds = 120_000;
const firstPatience: Milliseconds = 1500;
const longestPatience: Milliseconds = 30_000;

/**
 * True when, with this instance, as many members of the sync set as a takeover needs say that they have lost the primary of
 * `view.epoch` too. One replica with a bad link must not raise epochs (F16), and where it alone is a quorum, not in a storm.
 */
export function primaryLost(state: HaState & { readonly view: ClusterView }): boolean {
  const { view, self, lostPrimaryOf, lostSince, now } = state;
  const sync = view.sync?.value;
  if (!sync || lostPrimaryOf !== view.epoch || sync.acknowledgements === 0) return false;
  if (lostSince !== undefined && now - lostSince < patience(state)) return false;
  const agreeing = sync.members.filter(
    ({ instance }) => instance === self.instance || view.members.get(instance)?.lostPrimaryOf === view.epoch,
  );
  return sync.members.length >= sync.acknowledgements && agreeing.length >= takeoverQuorum(sync);
}

/**
 * Most alarms are false, so a living primary that is voted out claims again; but not twice in vain. Where nobody came back to it
 * in the epoch that it claimed, and enough to elect have lost it once more, they can't reach it, and it acknowledges nothing.
 * Where one alone is enough (F20), a change would leave the two as far apart as before.
 */
export function isOutOfReach({ view, followedIn }: HaState & { readonly view: ClusterView }): boolean {
  const sync = view.sync?.value;
  if (!sync || followedIn === view.epoch || view.history.get(view.epoch)?.reason !== 'PrimaryAlive') return false;
  const quorum = takeoverQuorum(sync);
  const lost = sync.members.filter(({ instance }) => view.members.get(instance)?.lostPrimaryOf === view.epoch);
  return sync.acknowledgements > 0 && quorum > 1 && lost.length >= quorum;
}

/** A replica that has lost its primary, or has sealed: what others say in etcd decides what it does next. */
export const isElecting = (state: HaState): boolean =>
  state.database.status === 'replica' &&
  !holdsLeadership(state) &&
  (state.database.sealed !== undefined || state.lostPrimaryOf === state.view?.epoch);

function patience({ falseAlarms, now }: HaState): Milliseconds {
  const lately = falseAlarms.filter((at) => now - at < alarmMemory).length;
  return lately === 0 ? 0 : Math.min(longestPatience, firstPatience * 2 ** (lately - 1));
}
