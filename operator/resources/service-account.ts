import type { V1ServiceAccount } from '@kubernetes/client-node';
import type { PostgresCluster } from '../api/postgres-cluster.ts';
import { withIntent } from './intent.ts';
import { clusterLabels } from './labels.ts';
import type { Manifest } from './manifest.ts';
import { ownerReference } from './owner.ts';

/** The identity of the agents. */
export function serviceAccountFor(cluster: PostgresCluster): Manifest<V1ServiceAccount> {
  const { name, namespace } = cluster.metadata;
  return withIntent<Manifest<V1ServiceAccount>>({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace, labels: clusterLabels(name), ownerReferences: [ownerReference(cluster)] },
  });
}
