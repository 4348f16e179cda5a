/** A cluster as the API server would store it, for tests. */
import { parseDatabaseCluster, type ClusterKind, type DatabaseCluster } from '../api/database-cluster.ts';

export function sampleCluster(
  spec: Readonly<Record<string, unknown>> = {},
  metadata: Readonly<Record<string, unknown>> = {},
  status: Readonly<Record<string, unknown>> = {},
  kind: ClusterKind = 'PostgresCluster',
): DatabaseCluster {
  return parseDatabaseCluster({
    apiVersion: 'mainstay.dev/v1alpha1',
    kind,
    metadata: { name: 'orders', namespace: 'shop', uid: sampleUid, generation: 4, resourceVersion: '10', ...metadata },
    spec: { storage: { size: '1Gi' }, ...spec },
    status,
  });
}

export const sampleUid = '5a0f3c0e-6f9d-4b7e-9a53-0d9c3f1f2b11';

export const sampleInstallation = {
  mainstayImage: 'mainstay.dev/mainstay:dev',
  images: { postgres: { '18': 'mainstay.dev/postgres:18' } },
  etcdEndpoints: ['http://etcd-0:2379', 'http://etcd-1:2379'],
} as const;
