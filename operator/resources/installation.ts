import type { DatabaseCluster } from '../api/database-cluster.ts';

/** What the operator's own configuration adds to a spec. */
export interface Installation {
  /** Holds Node and the agent, for the init container. */
  readonly mainstayImage: string;
  /** Default image by major version of PostgreSQL. */
  readonly postgresImages: Readonly<Partial<Record<string, string>>>;
  readonly etcdEndpoints: readonly string[];
  /** What etcd asks of clients, by file name (operator/dcs/etcd-credentials.ts); undefined: nothing. */
  readonly etcdCredentials?: Readonly<Record<string, string>>;
}

/** Major version of the data: what the spec says, but for an upgrade that it doesn't know of yet. */
export const dataVersion = ({ spec, status }: DatabaseCluster): DatabaseCluster['spec']['version'] =>
  status.version ?? spec.version;

/** The image that a cluster's instances run; undefined when nobody knows one for its version. */
export function databaseImage(cluster: DatabaseCluster, installation: Installation): string | undefined {
  return cluster.spec.image ?? installation.postgresImages[dataVersion(cluster)];
}
