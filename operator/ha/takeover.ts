/** Who may become primary (DESIGN §5, rule 5). */
import type { Epoch, InstanceName, PromiseRecord, SyncState, Voter } from '../api/cluster-state.ts';
import { comparePositions, notAbove } from './position.ts';
import type { ClusterView } from './view.ts';

/** What the promises seen so far allow one candidate. */
export type Takeover =
  | { readonly verdict: 'allowed'; readonly because: 'Quorum' | 'RecordedPrimary' | 'NothingAcknowledged' }
  | { readonly verdict: 'wait'; readonly needed: number; readonly missing: readonly InstanceName[] }
  | { readonly verdict: 'refused'; readonly reason: 'NotPromised' | 'NoSyncState' | 'OnlyRecordedPrimary' }
  /** `from` hold something that the candidate lacks, and lack something that it holds. */
  | { readonly verdict: 'refused'; readonly reason: 'Diverged'; readonly from: readonly InstanceName[] };

export const sameVoter = (a: Voter, b: Voter): boolean => a.instance === b.instance && a.incarnation === b.incarnation;

/**
 * Decides whether `candidate` may claim the epoch after the current one.
 *
 * With `ANY k` of S, any |S| − k + 1 sealed members meet every set that acknowledged a write, and block every further
 * acknowledgement. Only promises at or below the candidate's own position count: one above it may hold a write that the
 * candidate lacks (F6). The recorded primary, sealed, holds all that was acknowledged (F11).
 */
export function judgeTakeover(view: ClusterView, candidate: InstanceName): Takeover {
  const sync = view.sync?.value;
  if (!sync) return { verdict: 'refused', reason: 'NoSyncState' };
  const promises = promisesFor(view, view.epoch + 1);
  const own = promises.find((promise) => promise.instance === candidate);
  if (!own) return { verdict: 'refused', reason: 'NotPromised' };

  // One of them has been written to past the primary. Which log holds what was acknowledged can't be told from here.
  const from = promises.filter(
    (promise) =>
      [sync.primary, ...sync.members].some((voter) => sameVoter(voter, promise)) &&
      comparePositions(promise.position, own.position) === 'incomparable',
  );
  if (from.length > 0) return { verdict: 'refused', reason: 'Diverged', from: from.map(({ instance }) => instance) };

  const counted = promises.filter((promise) => notAbove(promise.position, own.position));
  if (counted.some((promise) => sameVoter(promise, sync.primary)))
    return { verdict: 'allowed', because: 'RecordedPrimary' };

  if (sync.acknowledgements === 0) {
    // Nobody but the primary needs to have had a write. Async accepts that loss; otherwise only a person may (F5).
    return view.definition?.durability.mode === 'Async'
      ? { verdict: 'allowed', because: 'NothingAcknowledged' }
      : { verdict: 'refused', reason: 'OnlyRecordedPrimary' };
  }
  // Fewer members than acknowledgements: nothing can have been acknowledged through them, so they prove nothing either.
  if (sync.members.length < sync.acknowledgements) return { verdict: 'refused', reason: 'OnlyRecordedPrimary' };

  const needed = takeoverQuorum(sync);
  const voters = counted.filter((promise) => sync.members.some((member) => sameVoter(member, promise)));
  if (voters.length >= needed) return { verdict: 'allowed', because: 'Quorum' };
  const missing = sync.members.filter((member) => !voters.some((voter) => sameVoter(voter, member)));
  return { verdict: 'wait', needed: needed - voters.length, missing: missing.map((member) => member.instance) };
}

export const takeoverQuorum = (sync: SyncState): number => sync.members.length - sync.acknowledgements + 1;

export function promisesFor(view: ClusterView, epoch: Epoch): readonly PromiseRecord[] {
  return [...view.promises.values()].map(({ value }) => value).filter((promise) => promise.epoch === epoch);
}
