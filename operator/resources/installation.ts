import type { EngineName } from '../api/cluster-state.ts';
import { dataVersion, type DatabaseCluster } from '../api/database-cluster.ts';
import { profileOf } from '../engines/profiles.ts';

/** What the operator's own configuration adds to a spec. */
export interface Installation {
  /** Holds Node and the agent, for the init container. */
  readonly mainstayImage: string;
  /** Default image by engine and major version. */
  readonly images: Readonly<Partial<Record<EngineName, Readonly<Partial<Record<string, string>>>>>>;
  readonly etcdEndpoints: readonly string[];
  /** Each cluster has a login of its own, confined to its prefix, if `etcdCredentials` has one at all. */
  readonly etcdUserPerCluster?: boolean;
  /** What etcd asks of clients, by file name (operator/dcs/etcd-credentials.ts); undefined: nothing. */
  readonly etcdCredentials?: Readonly<Record<string, string>>;
}

/** The image that a cluster's instances run; undefined when nobody knows one for its version. */
export function databaseImage(cluster: DatabaseCluster, installation: Installation): string | undefined {
  return cluster.spec.image ?? installation.images[profileOf(cluster).engine]?.[dataVersion(cluster)];
}
