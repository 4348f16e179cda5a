import type { V1PodDisruptionBudget } from '@kubernetes/client-node';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import type { Wire } from '../platform/wire.ts';
import { withIntent } from './intent.ts';
import { clusterLabels, podSelector } from './labels.ts';
import { ownerReference } from './owner.ts';

/**
 * One instance at a time may be evicted, an unhealthy one always: a crash loop must not block a drain. Undefined for a
 * single instance, whose budget would block every drain for ever, unless that is what is wanted. `allowed`: 0 amid risky work.
 */
export function podDisruptionBudgetFor(cluster: DatabaseCluster, allowed = 1): Wire<V1PodDisruptionBudget> | undefined {
  const isSingle = cluster.spec.instances < 2;
  if (isSingle && cluster.spec.disruption.singleInstance === 'Allow') return undefined;
  const { name, namespace } = cluster.metadata;
  return withIntent<Wire<V1PodDisruptionBudget>>({
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name, namespace, labels: clusterLabels(cluster), ownerReferences: [ownerReference(cluster)] },
    spec: {
      maxUnavailable: isSingle ? 0 : allowed,
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: { matchLabels: podSelector(name) },
    },
  });
}
