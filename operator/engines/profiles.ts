import type { ClusterKind } from '../api/database-cluster.ts';
import { mysqlProfile } from './mysql/profile.ts';
import { postgresProfile } from './postgres/profile.ts';
import type { EngineProfile } from './profile.ts';

const profiles: { readonly [Kind in ClusterKind]: EngineProfile } = {
  PostgresCluster: postgresProfile,
  MySQLCluster: mysqlProfile,
};

/** The table of a cluster's engine. */
export const profileOf = ({ kind }: { readonly kind: ClusterKind }): EngineProfile => profiles[kind];
