import type { V1OwnerReference } from '@kubernetes/client-node';
import { apiVersion } from '../api/api-group.ts';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import type { Wire } from '../platform/wire.ts';

/** Makes the garbage collector remove an object with its cluster. */
export function ownerReference(cluster: DatabaseCluster): Wire<V1OwnerReference> {
  return {
    apiVersion,
    kind: cluster.kind,
    name: cluster.metadata.name,
    uid: cluster.metadata.uid,
    controller: true,
  };
}

/** Owners of what carries data or opens it: none while it is to outlive the cluster. */
export function dataOwners(cluster: DatabaseCluster): Wire<V1OwnerReference[]> {
  return cluster.spec.deletionPolicy === 'Delete' ? [ownerReference(cluster)] : [];
}
