import type { V1Secret } from '@kubernetes/client-node';
import { clusterPrefix, type ClusterIdentity } from '../api/cluster-state.ts';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import type { Wire } from '../platform/wire.ts';
import type { Installation } from './installation.ts';
import { intentHash, withIntent } from './intent.ts';
import { annotations, clusterLabels } from './labels.ts';
import { secretNames } from './names.ts';
import { ownerReference } from './owner.ts';

type Files = Readonly<Record<string, string>>;

/** `-etcd`: the operator's own credentials of etcd, copied for the agents; they read it again when it changes. */
export const etcdSecret = (cluster: DatabaseCluster, files: Files): Wire<V1Secret> =>
  withIntent(secretWith(cluster, files));

/** Of a cluster with a login of its own, whose password is kept there and nowhere else. */
export function ownEtcdSecret(
  cluster: DatabaseCluster,
  files: Files,
  { username, password }: { readonly username: string; readonly password: string },
): Wire<V1Secret> {
  const secret = secretWith(cluster, { ...files, username, password });
  return {
    ...secret,
    metadata: { ...secret.metadata, annotations: { [annotations.intent]: ownEtcdIntent(files, username) } },
  };
}

/** Without the passwords: that of the operator is none of its business, and its own changes only when it is lost. */
export const ownEtcdIntent = (files: Files, username: string): string =>
  intentHash({ files: { ...files, username, password: undefined } });

/** Whether each cluster gets a login of its own: only somebody who logs in himself can give one. */
export const givesOwnLogins = ({ etcdUserPerCluster, etcdCredentials }: Installation): boolean =>
  etcdUserPerCluster === true && etcdCredentials?.['username'] !== undefined;

/** Of etcd, for one cluster; also its role's name. */
export const etcdUserOf = (identity: ClusterIdentity): string => clusterPrefix(identity).replace(/^\/|\/$/g, '');

function secretWith(cluster: DatabaseCluster, files: Files): Wire<V1Secret> {
  const { name, namespace } = cluster.metadata;
  return {
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
  };
}
