/**
 * The next single change of the sync set (DESIGN §5, rule 6).
 *
 * Members: widened in etcd first, then in the database; narrowed in the database first (read back, then the barrier), then
 * in etcd. Acknowledgements the other way round: lowered in etcd first, raised in the database first. So at every moment
 * each acknowledged write satisfies what etcd says (findings.md, F3, F5).
 */
import type { Definition, Voter } from '../api/cluster-state.ts';
import { sameVoter } from './takeover.ts';

export interface SyncSet {
  readonly members: readonly Voter[];
  readonly acknowledgements: number;
}

/** How the primary sees one replica: as it streams now, or as it did at last. */
export interface ReplicaHealth {
  readonly voter: Voter;
  /** Streaming, and answering in time. */
  readonly streaming: boolean;
}

export type SyncSetChange =
  | { readonly where: 'nowhere' }
  /**
   * Apply to the database and read back; with `barrier`, also prove that `acknowledgements` of `members` hold all that the
   * primary has flushed.
   */
  | { readonly where: 'database'; readonly to: SyncSet; readonly barrier: boolean }
  | { readonly where: 'etcd'; readonly to: SyncSet };

const nowhere: SyncSetChange = { where: 'nowhere' };
const contains = (set: readonly Voter[], voter: Voter): boolean => set.some((member) => sameVoter(member, voter));
const without = (set: readonly Voter[], voter: Voter): readonly Voter[] =>
  set.filter((member) => !sameVoter(member, voter));
const same = (a: readonly Voter[], b: readonly Voter[]): boolean =>
  a.length === b.length && a.every((v) => contains(b, v));

/**
 * `recorded` is what etcd holds, `applied` what the database is known to do (undefined: not known). Members that have
 * `departed` for good (their data is lost, or must be replaced) leave even where too few remain: writes wait then, and
 * only the recorded primary may claim.
 */
export function planSyncSet(
  recorded: SyncSet,
  applied: SyncSet | undefined,
  replicas: readonly ReplicaHealth[],
  departed: readonly Voter[],
  wanted: { readonly durability: Definition['durability']; readonly instances: readonly string[] },
): SyncSetChange {
  const { members, acknowledgements } = recorded;
  const fit = replicas
    .filter((r) => r.streaming && !contains(departed, r.voter) && wanted.instances.includes(r.voter.instance))
    .map((r) => r.voter);
  // Too few to acknowledge anything: only the recorded primary may claim, and the database may be ahead of etcd.
  const beginning = members.length < acknowledgements;

  if (!applied || applied.acknowledgements < acknowledgements)
    return { where: 'database', to: recorded, barrier: false };
  const extra = applied.members.filter((m) => !contains(members, m));
  if (extra.length > 0 && !(beginning && extra.every((m) => contains(fit, m))))
    return { where: 'database', to: recorded, barrier: false };

  const goal = acknowledgementsWanted(wanted, fit.length);
  if (beginning) {
    const first = begin(recorded, applied, fit, goal);
    if (first) return first;
  }
  return (
    (beginning ? undefined : join(recorded, fit)) ??
    collapse(recorded, applied, fit, departed) ??
    takeIn(recorded, applied, fit) ??
    leave(recorded, applied, fit, departed) ??
    adjust(recorded, applied, fit.length, goal)
  );
}

/**
 * From too few members to enough: the database first, with a barrier by the k that etcd holds, so that nobody counts before
 * it is proven to hold what former members acknowledged (hack/model/findings.md, F21–F24).
 */
function begin(recorded: SyncSet, applied: SyncSet, fit: readonly Voter[], goal: number): SyncSetChange | undefined {
  const { members, acknowledgements } = recorded;
  // Lowering k would let those few count as they are.
  if (goal < acknowledgements)
    return { where: 'etcd', to: { members: [], acknowledgements: acknowledgements - (members.length > 0 ? 0 : 1) } };
  if (applied.acknowledgements > acknowledgements)
    return { where: 'database', to: { members: applied.members, acknowledgements }, barrier: true };
  if (applied.members.some((m) => !contains(members, m)))
    return { where: 'etcd', to: { members: applied.members, acknowledgements } };
  // All at once: a member that is gone stays counted meanwhile, and with one newcomer only the barrier might wait for it.
  const joiners = fit.filter((voter) => !contains(applied.members, voter));
  if (joiners.length === 0) return undefined;
  return { where: 'database', to: { ...applied, members: [...applied.members, ...joiners] }, barrier: true };
}

function join(recorded: SyncSet, fit: readonly Voter[]): SyncSetChange | undefined {
  const joiner = fit.find((voter) => !contains(recorded.members, voter));
  return joiner && { where: 'etcd', to: { ...recorded, members: [...recorded.members, joiner] } };
}

/**
 * With members that are gone for good and too few that answer, no barrier could ever be passed: nobody counts then, until
 * members join anew.
 */
function collapse(
  recorded: SyncSet,
  applied: SyncSet,
  fit: readonly Voter[],
  departed: readonly Voter[],
): SyncSetChange | undefined {
  if (!recorded.members.some((m) => contains(departed, m)) || enoughFit(recorded, fit)) return undefined;
  return applied.members.length > 0
    ? { where: 'database', to: { ...applied, members: [] }, barrier: false }
    : { where: 'etcd', to: { ...recorded, members: [] } };
}

/** A member that etcd counts already, or again: it may have been left out without a barrier, when too few counted (F21). */
function takeIn(recorded: SyncSet, applied: SyncSet, fit: readonly Voter[]): SyncSetChange | undefined {
  const member = recorded.members.find((m) => contains(fit, m) && !contains(applied.members, m));
  return member && { where: 'database', to: { ...applied, members: [...applied.members, member] }, barrier: true };
}

/** Members that are gone, or only don't answer, leave as long as enough that do answer remain. */
function leave(
  recorded: SyncSet,
  applied: SyncSet,
  fit: readonly Voter[],
  departed: readonly Voter[],
): SyncSetChange | undefined {
  const { members, acknowledgements } = recorded;
  if (!enoughFit(recorded, fit)) return undefined;
  const leaver =
    members.find((m) => contains(departed, m)) ??
    (members.length > acknowledgements ? members.find((m) => !contains(fit, m)) : undefined);
  if (!leaver) return undefined;
  return contains(applied.members, leaver)
    ? { where: 'database', to: { ...applied, members: without(applied.members, leaver) }, barrier: true }
    : { where: 'etcd', to: { ...recorded, members: without(members, leaver) } };
}

const enoughFit = ({ members, acknowledgements }: SyncSet, fit: readonly Voter[]): boolean =>
  members.filter((m) => contains(fit, m)).length >= acknowledgements;

function adjust(recorded: SyncSet, applied: SyncSet, fit: number, goal: number): SyncSetChange {
  const { members, acknowledgements } = recorded;
  if (goal < acknowledgements) return { where: 'etcd', to: { members, acknowledgements: acknowledgements - 1 } };
  if (applied.acknowledgements > acknowledgements)
    return goal >= applied.acknowledgements && same(applied.members, members)
      ? { where: 'etcd', to: { members, acknowledgements: applied.acknowledgements } }
      : { where: 'database', to: { ...applied, acknowledgements }, barrier: false };
  if (goal > acknowledgements && fit >= acknowledgements + 1)
    return { where: 'database', to: { ...applied, acknowledgements: acknowledgements + 1 }, barrier: true };
  return nowhere;
}

/** Strict never goes below what was asked for; Preferred follows the replicas that are fit; Async asks for none. */
function acknowledgementsWanted(
  wanted: { readonly durability: Definition['durability']; readonly instances: readonly string[] },
  fit: number,
): number {
  const asked = wanted.durability.acknowledgements;
  switch (wanted.durability.mode) {
    case 'Strict':
      return asked;
    case 'Preferred':
      return Math.min(asked, fit);
    case 'Async':
      return 0;
  }
}
