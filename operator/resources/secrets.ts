import type { V1Secret } from '@kubernetes/client-node';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import type { Wire } from '../platform/wire.ts';
import { ports, secretNames, serviceNames } from './names.ts';
import { secret } from './secret.ts';

/** `-app`: what an application needs to connect. Made once: people may put another password into it. */
export function applicationSecret(cluster: DatabaseCluster, password: string): Wire<V1Secret> {
  return secret(cluster, secretNames.application(cluster.metadata.name), 'kubernetes.io/basic-auth', {
    stringData: { ...applicationContent(cluster, password) },
  });
}

/** All of it follows from the password. */
export function applicationContent(cluster: DatabaseCluster, password: string): Readonly<Record<string, string>> {
  const { name, namespace } = cluster.metadata;
  const { database, owner } = cluster.spec.application;
  const host = `${serviceNames.primary(name)}.${namespace}.svc`;
  // libpq tries every address of the headless Service in turn, so that the primary is found even before -rw follows it.
  const fallback = `${serviceNames.pods(name)}.${namespace}.svc`;
  const login = `${encodeURIComponent(owner)}:${encodeURIComponent(password)}`;
  return {
    username: owner,
    password,
    host,
    port: String(ports.postgres),
    dbname: database,
    uri:
      `postgresql://${login}@${host}:${ports.postgres},${fallback}:${ports.postgres}/${encodeURIComponent(database)}` +
      '?target_session_attrs=read-write&connect_timeout=2',
    'jdbc-uri':
      `jdbc:postgresql://${host}:${ports.postgres}/${encodeURIComponent(database)}` +
      `?user=${encodeURIComponent(owner)}&password=${encodeURIComponent(password)}&targetServerType=primary`,
  };
}

/** `-system`: passwords among the instances. */
export function systemSecret(
  cluster: DatabaseCluster,
  passwords: { readonly replication: string; readonly rewind: string },
): Wire<V1Secret> {
  return secret(cluster, secretNames.system(cluster.metadata.name), 'Opaque', {
    stringData: { 'replication-password': passwords.replication, 'rewind-password': passwords.rewind },
  });
}
