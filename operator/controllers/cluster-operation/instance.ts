import type { InstanceName } from '../../api/cluster-state.ts';
import { wantedInstances } from '../database-cluster/instances.ts';
import type { ClusterNow } from './facts.ts';

/** Why an operation can't be about this instance; undefined if it can. */
export function unknownInstance({ facts }: Pick<ClusterNow, 'facts'>, instance: InstanceName): string | undefined {
  const wanted = wantedInstances(facts);
  if (wanted.includes(instance)) return undefined;
  return `${instance} is no instance of ${facts.cluster.metadata.name}: choose one of ${wanted.join(', ')}`;
}
