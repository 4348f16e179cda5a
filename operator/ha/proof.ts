/**
 * Until when a primary may serve: by the lease that it has renewed (rule 2), or, while etcd is silent, by the word of its
 * replicas (rule 9); and what a replica may still give its word for.
 */
import type { Epoch } from '../api/cluster-state.ts';
import type { Primary } from './decision.ts';
import type { HaState, Milliseconds } from './state.ts';
import type { SyncSet } from './sync-set.ts';
import { isFenced } from './fenced.ts';
import { promisesFor, sameVoter } from './takeover.ts';
import type { ClusterView } from './view.ts';

/** The moment past which this instance's database must not be alive as primary; undefined: it must not be now. */
export function serveUntil(state: HaState): Milliseconds | undefined {
  const bounds = [state.proven?.until, pledgedUntil(state)].filter((until) => until !== undefined);
  return bounds.length === 0 ? undefined : Math.max(...bounds);
}

/**
 * Until when k members of the sync set, of each that it may be, have given their word not to promise the next epoch: any
 * quorum for a takeover has one of them.
 */
function pledgedUntil(state: HaState): Milliseconds | undefined {
  const { view, database } = state;
  const sync = view?.sync?.value;
  if (!sync || database.status !== 'primary' || !servesEpoch(view, state, database)) return undefined;
  // What was said of the epoch before holds on when this primary has claimed the next one itself, until that is proven.
  const oldest = view.history.get(view.epoch)?.reason === 'PrimaryAlive' ? view.epoch - 1 : view.epoch;
  const untils = [sync, ...state.syncUnsettled].map((set) => pledgedBy(state, set, [oldest, view.epoch]));
  return untils.every((until) => until !== undefined) ? Math.min(...untils) : undefined;
}

function pledgedBy(
  state: HaState,
  { members, acknowledgements }: SyncSet,
  epochs: readonly Epoch[],
): Milliseconds | undefined {
  // Without acknowledgements, anybody's word is worth nothing (F5).
  if (acknowledgements === 0 || members.length < acknowledgements) return undefined;
  const untils = members.flatMap((member) => {
    const pledge = state.pledges.get(member.instance);
    return pledge !== undefined && epochs.includes(pledge.epoch) && sameVoter(pledge.voter, member)
      ? [pledge.until]
      : [];
  });
  return untils.toSorted((a, b) => b - a)[acknowledgements - 1];
}

/** etcd's newest epoch is this primary's own: the one it was promoted for, or one it has claimed since without stopping (rule 13). */
export function servesEpoch(view: ClusterView, state: HaState, database: Primary): boolean {
  return (
    view.epoch === database.epoch ||
    (view.sync?.value.primary.instance === state.self.instance &&
      view.history.get(view.epoch)?.timeline === database.timeline)
  );
}

/** The epoch whose primary this replica may give its word to: it follows it, has promised nothing newer, and etcd is silent. */
export function mayPledge(state: HaState): Epoch | undefined {
  const { view, database, vow, inFlight, settings, now } = state;
  if (!view || database.status !== 'replica' || inFlight.disk || inFlight.database !== undefined) return undefined;
  const silent = state.dcsHeardAt === undefined || now - state.dcsHeardAt > settings.dcsSilence;
  const follows = database.following?.epoch === view.epoch && database.sealed === undefined;
  return silent && follows && vow === view.epoch ? view.epoch : undefined;
}

/** Until when this instance may not promise, by its word or by one that its former life may have given. */
export function wordUntil(state: HaState): Milliseconds {
  const { view, self, settings, pledged, startedAt, mayHavePledged, vow } = state;
  // The one it was given to has ended, so nobody serves on it.
  const primary = view?.sync?.value.primary;
  if (!view || primary?.instance === self.instance || view.release?.epoch === view.epoch) return 0;
  if (promisesFor(view, view.epoch + 1).some((promise) => primary && sameVoter(promise, primary))) return 0;
  const given = pledged?.epoch === view.epoch ? pledged.until : 0;
  return Math.max(given, mayHavePledged && vow === view.epoch ? startedAt + settings.pledge : 0);
}

/** What the agent answers to its replicas: its database serves, or is on its way to, or was stopped for a hand-over. */
export function answersAsLeader(state: HaState): boolean {
  const { view, database, self, ending } = state;
  return (
    holdsLeadership(state) &&
    !isGivingUp(state) &&
    (database.status !== 'stopped' ||
      view?.switchover !== undefined ||
      view?.restarts.has(self.instance) === true ||
      view?.upgrade?.value.from === self.instance ||
      ending ||
      isFenced(state))
  );
}

export function holdsLeadership({ view, self, lease }: HaState): boolean {
  const leader = view?.leader?.value;
  return leader?.instance === self.instance && leader.lease === lease;
}

/** A database that cannot be killed, its disk being stuck, must lose its lease in time all the same. */
export const isGivingUp = ({ view, givingUp }: HaState): boolean =>
  givingUp !== undefined && givingUp.epoch === view?.epoch;
