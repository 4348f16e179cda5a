/** Which instances can be removed, with their data (DESIGN §5, rule 11). */
import type { Definition, InstanceName, Leader, SyncState } from '../api/cluster-state.ts';

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
