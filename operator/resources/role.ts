import type { V1Role, V1RoleBinding } from '@kubernetes/client-node';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import type { Wire } from '../platform/wire.ts';
import { withIntent } from './intent.ts';
import { clusterLabels } from './labels.ts';
import { serviceNames } from './names.ts';
import { ownerReference } from './owner.ts';

/** All that an agent may do in Kubernetes: point `-rw` at itself. */
export function roleFor(cluster: DatabaseCluster): Wire<V1Role> {
  return withIntent<Wire<V1Role>>({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: metadata(cluster),
    rules: [
      {
        apiGroups: ['discovery.k8s.io'],
        resources: ['endpointslices'],
        resourceNames: [serviceNames.primary(cluster.metadata.name)],
        verbs: ['get', 'update', 'patch'],
      },
    ],
  });
}

export function roleBindingFor(cluster: DatabaseCluster): Wire<V1RoleBinding> {
  const { name, namespace } = cluster.metadata;
  return withIntent<Wire<V1RoleBinding>>({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: metadata(cluster),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace }],
  });
}

function metadata(cluster: DatabaseCluster) {
  const { name, namespace } = cluster.metadata;
  return { name, namespace, labels: clusterLabels(cluster), ownerReferences: [ownerReference(cluster)] };
}
