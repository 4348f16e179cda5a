import type { Condition } from '../../api/cluster-status.ts';
import type { ClusterStatus } from '../../api/database-cluster.ts';
import type { StoredCluster } from './cluster-sources.ts';

/** Status of a cluster whose spec this operator can't read (stored by another version): all else stays as it was. */
export function invalidSpecStatus(
  stored: StoredCluster,
  message: string,
  now: Date,
): { readonly before: ClusterStatus; readonly after: ClusterStatus } {
  const before: ClusterStatus = {
    observedGeneration: -1,
    ...(stored.status as Partial<ClusterStatus> | undefined),
  };
  const generation = stored.metadata?.generation ?? 0;
  const condition = (type: string, status: Condition['status'], reason: string): Condition => {
    const old = before.conditions?.find((candidate) => candidate.type === type);
    return {
      type,
      status,
      observedGeneration: generation,
      lastTransitionTime: old?.status === status ? old.lastTransitionTime : now.toISOString().replace(/\.\d+Z/, 'Z'),
      reason,
      message: message.slice(0, 2048),
    };
  };
  const mine = [condition('Ready', 'False', 'Stalled'), condition('Stalled', 'True', 'SpecInvalid')];
  const others = (before.conditions ?? []).filter(({ type }) => !mine.some((own) => own.type === type));
  return { before, after: { ...before, observedGeneration: generation, conditions: [...mine, ...others] } };
}
