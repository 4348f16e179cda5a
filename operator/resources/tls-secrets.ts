import type { V1Secret } from '@kubernetes/client-node';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import { tlsFileNames, type TlsFiles } from '../api/tls-files.ts';
import type { Wire } from '../platform/wire.ts';
import { withIntent } from './intent.ts';
import { secretNames, serviceNames } from './names.ts';
import { secret } from './secret.ts';

/** Every name by which a server of the cluster is called within Kubernetes, and those that the user adds. */
export function serverNames({ metadata: { name, namespace }, spec }: DatabaseCluster): readonly string[] {
  const services = [serviceNames.primary, serviceNames.replicas, serviceNames.any, serviceNames.pods].map((of) =>
    of(name),
  );
  return [...services, `*.${serviceNames.pods(name)}`]
    .flatMap((host) => [host, ...['', '.svc', '.svc.cluster.local'].map((end) => `${host}.${namespace}${end}`)])
    .concat(spec.tls.names);
}

/** `-ca-key`: in the shape of cert-manager. Whoever reads it can become any instance. */
export const authorityKeySecret = (
  cluster: DatabaseCluster,
  { certificate, key }: { readonly certificate: string; readonly key: string },
): Wire<V1Secret> =>
  secret(
    cluster,
    secretNames.authorityKey(cluster.metadata.name),
    'kubernetes.io/tls',
    encoded({ 'tls.crt': certificate, 'tls.key': key }),
  );

/** `-ca`: safe to hand on. */
export const authoritiesSecret = (cluster: DatabaseCluster, authorities: string): Wire<V1Secret> =>
  withIntent(
    secret(cluster, secretNames.authorities(cluster.metadata.name), 'Opaque', encoded({ 'ca.crt': authorities })),
  );

/** `-certificates`: what Pods mount. */
export const certificatesSecret = (cluster: DatabaseCluster, files: TlsFiles): Wire<V1Secret> =>
  secret(
    cluster,
    secretNames.certificates(cluster.metadata.name),
    'Opaque',
    encoded(
      Object.fromEntries(Object.entries(tlsFileNames).map(([key, name]) => [name, files[key as keyof TlsFiles]])),
    ),
  );

const encoded = (files: Readonly<Record<string, string>>): Pick<Wire<V1Secret>, 'data'> => ({
  data: Object.fromEntries(Object.entries(files).map(([file, text]) => [file, Buffer.from(text).toString('base64')])),
});
