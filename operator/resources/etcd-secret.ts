import type { V1Secret } from '@kubernetes/client-node';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import type { Wire } from '../platform/wire.ts';
import { withIntent } from './intent.ts';
import { clusterLabels } from './labels.ts';
import { secretNames } from './names.ts';
import { ownerReference } from './owner.ts';

/** `-etcd`: the operator's own credentials of etcd, copied for the agents; they read it again when it changes. */
export function etcdSecret(cluster: DatabaseCluster, files: Readonly<Record<string, string>>): Wire<V1Secret> {
  const { name, namespace } = cluster.metadata;
  return withIntent<Wire<V1Secret>>({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: secretNames.etcd(name),
      namespace,
      labels: clusterLabels(cluster),
      ownerReferences: [ownerReference(cluster)],
    },
    type: 'Opaque',
    // Not `stringData`: applied, that leaves keys in place which are no longer wanted.
    data: Object.fromEntries(Object.entries(files).map(([file, text]) => [file, Buffer.from(text).toString('base64')])),
  });
}
