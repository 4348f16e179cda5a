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
  /** Apply to the database, read back, and prove that `acknowledgements` of `members` hold all that the primary has flushed. */
  | { readonly where: 'database'; readonly to: SyncSet }
  | { readonly where: 'etcd'; readonly to: SyncSet };

const nowhere: SyncSetChange = { where: 'nowhere' };
const contains = (set: readonly Voter[], voter: Voter): boolean => set.some((member) => sameVoter(member, voter));
const without = (set: readonly Voter[], voter: Voter): readonly Voter[] =>
  set.filter((member) => !sameVoter(member, voter));

/**
 * `recorded` is what etcd holds, `applied` what the database is known to do (undefined: not known). Members that have
 * `departed` for good leave even where too few remain: writes wait then, and only the recorded primary may claim.
 */
export function planSyncSet(
  recorded: SyncSet,
  applied: SyncSet | undefined,
  replicas: readonly ReplicaHealth[],
  departed: readonly Voter[],
  wanted: { readonly durability: Definition['durability']; readonly instances: readonly string[] },
): SyncSetChange {
  const { members, acknowledgements } = recorded;
  if (!applied || applied.acknowledgements < acknowledgements || applied.members.some((m) => !contains(members, m)))
    return { where: 'database', to: recorded };

  const fit = replicas
    .filter((r) => r.streaming && !contains(departed, r.voter) && wanted.instances.includes(r.voter.instance))
    .map((r) => r.voter);
  const goal = acknowledgementsWanted(wanted, fit.length);

  // Members that no longer answer leave, as long as enough that do answer remain to acknowledge.
  const canSpare =
    members.filter((m) => contains(fit, m)).length >= acknowledgements && members.length > acknowledgements;
  const leaver =
    members.find((m) => contains(departed, m)) ?? (canSpare ? members.find((m) => !contains(fit, m)) : undefined);
  if (leaver)
    return contains(applied.members, leaver)
      ? {
          where: 'database',
          to: { members: without(applied.members, leaver), acknowledgements: applied.acknowledgements },
        }
      : { where: 'etcd', to: { members: without(members, leaver), acknowledgements } };

  const joiner = fit.find((voter) => !contains(members, voter));
  if (joiner) return { where: 'etcd', to: { members: [...members, joiner], acknowledgements } };
  const pending = members.find((member) => contains(fit, member) && !contains(applied.members, member));
  if (pending)
    return {
      where: 'database',
      to: { members: [...applied.members, pending], acknowledgements: applied.acknowledgements },
    };

  if (goal < acknowledgements) return { where: 'etcd', to: { members, acknowledgements: acknowledgements - 1 } };
  if (applied.acknowledgements > acknowledgements)
    return goal >= applied.acknowledgements
      ? { where: 'etcd', to: { members, acknowledgements: applied.acknowledgements } }
      : { where: 'database', to: { members: applied.members, acknowledgements } };
  if (goal > acknowledgements && fit.length >= acknowledgements + 1)
    return { where: 'database', to: { members: applied.members, acknowledgements: acknowledgements + 1 } };
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
