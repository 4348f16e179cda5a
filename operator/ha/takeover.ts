/** Who may become primary, and who of those should (DESIGN §5, rule 5). */
import type { Epoch, InstanceName, PromiseRecord, SyncState, Voter } from '../api/cluster-state.ts';
import { comparePositions, notAbove } from './position.ts';
import type { ClusterView } from './view.ts';

/** What the promises seen so far allow one candidate. */
export type Takeover =
  | { readonly verdict: 'allowed'; readonly because: 'Quorum' | 'RecordedPrimary' | 'NothingAcknowledged' }
  | { readonly verdict: 'wait'; readonly needed: number; readonly missing: readonly InstanceName[] }
  | { readonly verdict: 'refused'; readonly reason: 'NotPromised' | 'NoSyncState' | 'OnlyRecordedPrimary' };

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

/**
 * The best of those who may claim: the successor named by a planned release, then not the one who released, then the
 * longest log, then the name. Every instance computes the same from the same view; a disagreement costs a moment, since
 * the claim itself is one transaction.
 */
export function bestCandidate(view: ClusterView): InstanceName | undefined {
  const release = view.release?.epoch === view.epoch ? view.release : undefined;
  const rank = (promise: PromiseRecord): number =>
    promise.instance === release?.candidate ? 0 : promise.instance === release?.instance ? 2 : 1;
  const able = promisesFor(view, view.epoch + 1).filter(
    (promise) => judgeTakeover(view, promise.instance).verdict === 'allowed',
  );
  // One that is being removed leads only if nobody else may: it may be all that is left of a write.
  const staying = able.filter((promise) => view.definition?.instances.includes(promise.instance));
  return (staying.length > 0 ? staying : able).toSorted(
    (a, b) =>
      rank(a) - rank(b) || comparePositions(b.position, a.position) || a.instance.localeCompare(b.instance, 'en'),
  )[0]?.instance;
}

/** Members that are alive, as far as etcd knows, and have not promised yet; the lost primary aside. */
export function awaitedVoters(view: ClusterView): readonly InstanceName[] {
  const promised = new Set(promisesFor(view, view.epoch + 1).map((promise) => promise.instance));
  const lost = view.leader?.value.instance ?? view.sync?.value.primary.instance;
  const able = new Set(['starting', 'streaming', 'sealed', 'stopped']);
  return [...view.members.values()]
    .filter(({ instance, state }) => instance !== lost && able.has(state) && !promised.has(instance))
    .map(({ instance }) => instance);
}
