import type { V1EndpointSlice } from '@kubernetes/client-node';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import { profileOf } from '../engines/profiles.ts';
import type { Wire } from '../platform/wire.ts';
import { clusterLabels } from './labels.ts';
import { serviceNames } from './names.ts';
import { ownerReference } from './owner.ts';

/** Endpoints of `-rw`, made empty once; from then on only the elected agent writes them. */
export function primaryEndpointSlice(cluster: DatabaseCluster): Wire<V1EndpointSlice> {
  const { name, namespace } = cluster.metadata;
  const { engine, port } = profileOf(cluster);
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: serviceNames.primary(name),
      namespace,
      labels: {
        ...clusterLabels(cluster),
        'kubernetes.io/service-name': serviceNames.primary(name),
        // Anything but the controllers of Kubernetes, which otherwise would take it for theirs.
        'endpointslice.kubernetes.io/managed-by': 'mainstay.dev',
      },
      ownerReferences: [ownerReference(cluster)],
    },
    addressType: 'IPv4',
    endpoints: [],
    ports: [{ name: engine, port, protocol: 'TCP' }],
  };
}
