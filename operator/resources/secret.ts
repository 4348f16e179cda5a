import type { V1Secret } from '@kubernetes/client-node';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import type { Wire } from '../platform/wire.ts';
import { clusterLabels } from './labels.ts';
import { dataOwners } from './owner.ts';

/** It outlives the cluster where data do: they are opened with its passwords, and clients have copies of its authority. */
export const secret = (
  cluster: DatabaseCluster,
  name: string,
  type: string,
  content: Pick<Wire<V1Secret>, 'data' | 'stringData'>,
): Wire<V1Secret> => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: {
    name,
    namespace: cluster.metadata.namespace,
    labels: clusterLabels(cluster),
    ownerReferences: dataOwners(cluster),
  },
  type,
  ...content,
});
