import type { V1Service } from '@kubernetes/client-node';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import { profileOf } from '../engines/profiles.ts';
import type { Wire } from '../platform/wire.ts';
import { withIntent } from './intent.ts';
import { clusterLabels, labels, podSelector } from './labels.ts';
import { serviceNames } from './names.ts';
import { ownerReference } from './owner.ts';

/** `-rw`: the primary. No selector: the elected agent writes its endpoints, so that failover needs neither us nor labels. */
export const primaryService = (cluster: DatabaseCluster): Wire<V1Service> =>
  service(cluster, serviceNames.primary(cluster.metadata.name), {});

/** `-ro`: replicas that are ready. */
export const replicasService = (cluster: DatabaseCluster): Wire<V1Service> =>
  service(cluster, serviceNames.replicas(cluster.metadata.name), {
    selector: { ...podSelector(cluster.metadata.name), [labels.role]: 'replica' },
  });

/** `-r`: any instance that is ready. */
export const anyService = (cluster: DatabaseCluster): Wire<V1Service> =>
  service(cluster, serviceNames.any(cluster.metadata.name), { selector: podSelector(cluster.metadata.name) });

/** `-pods`: a DNS name for each Pod, ready or not. */
export const podsService = (cluster: DatabaseCluster): Wire<V1Service> =>
  service(cluster, serviceNames.pods(cluster.metadata.name), {
    selector: podSelector(cluster.metadata.name),
    clusterIP: 'None',
    publishNotReadyAddresses: true,
  });

function service(
  cluster: DatabaseCluster,
  name: string,
  spec: Pick<NonNullable<Wire<V1Service>['spec']>, 'selector' | 'clusterIP' | 'publishNotReadyAddresses'>,
): Wire<V1Service> {
  const { engine, port } = profileOf(cluster);
  return withIntent<Wire<V1Service>>({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name,
      namespace: cluster.metadata.namespace,
      labels: clusterLabels(cluster),
      ownerReferences: [ownerReference(cluster)],
    },
    spec: {
      type: 'ClusterIP',
      ...spec,
      ports: [{ name: engine, port, targetPort: port, protocol: 'TCP' }],
    },
  });
}
