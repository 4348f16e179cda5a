/** A cluster of any kind: what controllers and builders of objects work on. */
import type { PostgresCluster } from './postgres-cluster.ts';

export type DatabaseCluster = PostgresCluster;
export type ClusterSpec = DatabaseCluster['spec'];
export type ClusterStatus = DatabaseCluster['status'];

/** Reads a resource of any of our kinds. */
export { parsePostgresCluster as parseDatabaseCluster } from './postgres-cluster.ts';
