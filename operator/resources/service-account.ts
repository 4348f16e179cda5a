import type { V1ServiceAccount } from '@kubernetes/client-node';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import type { Wire } from '../platform/wire.ts';
import { withIntent } from './intent.ts';
import { clusterLabels } from './labels.ts';
import { ownerReference } from './owner.ts';

/** The identity of the agents. */
export function serviceAccountFor(cluster: DatabaseCluster): Wire<V1ServiceAccount> {
  const { name, namespace } = cluster.metadata;
  return withIntent<Wire<V1ServiceAccount>>({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace, labels: clusterLabels(cluster), ownerReferences: [ownerReference(cluster)] },
  });
}
