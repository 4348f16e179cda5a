/** A cluster of any kind: what controllers and builders of objects work on. */
import { MainstayError } from '../platform/errors.ts';
import { parseMySQLCluster, type MySQLCluster } from './mysql-cluster.ts';
import { parsePostgresCluster, type PostgresCluster } from './postgres-cluster.ts';

export type DatabaseCluster = PostgresCluster | MySQLCluster;
export type ClusterKind = DatabaseCluster['kind'];
export type ClusterSpec = DatabaseCluster['spec'];
export type ClusterStatus = DatabaseCluster['status'];

/** Each kind with its name in the API's paths. */
export const clusterKinds = {
  PostgresCluster: 'postgresclusters',
  MySQLCluster: 'mysqlclusters',
} as const satisfies Readonly<Record<ClusterKind, string>>;

export const isClusterKind = (kind: unknown): kind is ClusterKind =>
  typeof kind === 'string' && Object.hasOwn(clusterKinds, kind);

const parsers: { readonly [Kind in ClusterKind]: (value: unknown) => DatabaseCluster } = {
  PostgresCluster: parsePostgresCluster,
  MySQLCluster: parseMySQLCluster,
};

/** Reads a resource of one of our kinds as the API server or a file has it; throws ResourceInvalid with every problem found. */
export const parseDatabaseCluster = (value: object): DatabaseCluster => {
  const kind = 'kind' in value ? value.kind : undefined;
  if (!isClusterKind(kind)) throw new MainstayError('ResourceInvalid', `No kind of cluster is called ${String(kind)}.`);
  return parsers[kind](value);
};

/** Major version of the data: what the spec says, but for an upgrade that it doesn't know of yet. */
export const dataVersion = ({ spec, status }: DatabaseCluster): string => status.version ?? spec.version;
