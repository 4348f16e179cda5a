import type { V1Secret } from '@kubernetes/client-node';
import type { PostgresCluster } from '../api/postgres-cluster.ts';
import { tlsFileNames, type TlsFiles } from '../api/tls-files.ts';
import type { Wire } from '../platform/wire.ts';
import { withIntent } from './intent.ts';
import { clusterLabels } from './labels.ts';
import { secretNames, serviceNames } from './names.ts';
import { dataOwners } from './owner.ts';

/** Every name by which a server of the cluster is called within Kubernetes, and those that the user adds. */
export function serverNames({ metadata: { name, namespace }, spec }: PostgresCluster): readonly string[] {
  const services = [serviceNames.primary, serviceNames.replicas, serviceNames.any, serviceNames.pods].map((of) =>
    of(name),
  );
  return [...services, `*.${serviceNames.pods(name)}`]
    .flatMap((host) => [host, ...['', '.svc', '.svc.cluster.local'].map((end) => `${host}.${namespace}${end}`)])
    .concat(spec.tls.names);
}

/** `-ca-key`: in the shape of cert-manager. Whoever reads it can become any instance. */
export const authorityKeySecret = (
  cluster: PostgresCluster,
  { certificate, key }: { readonly certificate: string; readonly key: string },
): Wire<V1Secret> =>
  secret(cluster, secretNames.authorityKey(cluster.metadata.name), 'kubernetes.io/tls', {
    'tls.crt': certificate,
    'tls.key': key,
  });

/** `-ca`: safe to hand on. */
export const authoritiesSecret = (cluster: PostgresCluster, authorities: string): Wire<V1Secret> =>
  withIntent(secret(cluster, secretNames.authorities(cluster.metadata.name), 'Opaque', { 'ca.crt': authorities }));

/** `-certificates`: what Pods mount. */
export const certificatesSecret = (cluster: PostgresCluster, files: TlsFiles): Wire<V1Secret> =>
  secret(
    cluster,
    secretNames.certificates(cluster.metadata.name),
    'Opaque',
    Object.fromEntries(Object.entries(tlsFileNames).map(([key, name]) => [name, files[key as keyof TlsFiles]])),
  );

/** It outlives the cluster where data do: clients have copies of the authority. */
function secret(
  cluster: PostgresCluster,
  name: string,
  type: string,
  files: Readonly<Record<string, string>>,
): Wire<V1Secret> {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      namespace: cluster.metadata.namespace,
      labels: clusterLabels(cluster.metadata.name),
      ownerReferences: dataOwners(cluster),
    },
    type,
    data: Object.fromEntries(Object.entries(files).map(([file, text]) => [file, Buffer.from(text).toString('base64')])),
  };
}
