/** Which instances can be removed with their data, or go on without them (DESIGN §5, rule 11). */
import type { Definition, Epoch, InstanceName, Leader, Member, SyncState } from '../api/cluster-state.ts';
import { sameVoter } from './takeover.ts';

/** Of what etcd holds. */
export interface Dependents {
  readonly definition: Pick<Definition, 'instances'> | undefined;
  readonly leader: Leader | undefined;
  readonly sync: SyncState | undefined;
}

/**
 * Nothing depends on the instance any more: not the agents' definition, not the election, no acknowledged write. An etcd that
 * knows of no sync set, new or emptied, doesn't tell: the instance may hold the only data.
 */
export const mayLeave = ({ definition, leader, sync }: Dependents, instance: InstanceName): boolean =>
  sync !== undefined &&
  definition?.instances.includes(instance) === false &&
  leader?.instance !== instance &&
  sync.primary.instance !== instance &&
  !sync.members.some((voter) => voter.instance === instance);

/**
 * An instance whose volume is gone may begin anew with an empty one: the recorded primary serves, and has every acknowledged
 * write (I1), whoever else is counted. While nobody does, the volume that is gone may hold what nobody else has.
 */
export function mayBeginAnew(
  {
    epoch,
    leader,
    sync,
    members,
  }: Pick<Dependents, 'leader' | 'sync'> & {
    readonly epoch: Epoch;
    readonly members: ReadonlyMap<InstanceName, Pick<Member, 'state' | 'incarnation'>>;
  },
  instance: InstanceName,
): boolean {
  const primary = leader && members.get(leader.instance);
  return (
    leader !== undefined &&
    sync !== undefined &&
    leader.instance !== instance &&
    leader.epoch === epoch &&
    sync.epoch === epoch &&
    sameVoter(leader, sync.primary) &&
    primary?.state === 'running' &&
    primary.incarnation === leader.incarnation
  );
}
