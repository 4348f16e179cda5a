import type { V1Secret } from '@kubernetes/client-node';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import { profileOf } from '../engines/profiles.ts';
import type { Wire } from '../platform/wire.ts';
import { secretNames, serviceNames } from './names.ts';
import { secret } from './secret.ts';

/** `-app`: what an application needs to connect. Made once: people may put another password into it. */
export function applicationSecret(cluster: DatabaseCluster, password: string): Wire<V1Secret> {
  return secret(cluster, secretNames.application(cluster.metadata.name), 'kubernetes.io/basic-auth', {
    stringData: { ...applicationContent(cluster, password) },
  });
}

/** All of it follows from the password. */
export function applicationContent(cluster: DatabaseCluster, password: string) {
  const { name, namespace } = cluster.metadata;
  const { database, owner } = cluster.spec.application;
  const profile = profileOf(cluster);
  const host = `${serviceNames.primary(name)}.${namespace}.svc`;
  const everyHost = `${serviceNames.pods(name)}.${namespace}.svc`;
  return {
    username: owner,
    password,
    host,
    port: String(profile.port),
    ...profile.addresses({ host, everyHost, database, user: owner, password }),
  };
}

/** `-system`: passwords among the instances, one for each of their roles. */
export function systemSecret(cluster: DatabaseCluster, newPassword: () => string): Wire<V1Secret> {
  const keys = Object.keys(profileOf(cluster).systemRoles).map(systemPasswordKey);
  return secret(cluster, secretNames.system(cluster.metadata.name), 'Opaque', {
    stringData: Object.fromEntries(keys.map((key) => [key, newPassword()])),
  });
}

export const systemPasswordKey = (role: string): string => `${role}-password`;
