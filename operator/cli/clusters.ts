/** Clusters and what belongs to them, as the API server shows them to the user. */
import type { ClusterSpec, ClusterStatus } from '../api/database-cluster.ts';
import { apiVersion } from '../api/api-group.ts';
import type { ClusterOperationSpec, ClusterOperationStatus } from '../api/cluster-operation.ts';
import { defineKind, type ApiObject, type ApiObjectMeta } from '../kubernetes/kinds.ts';
import { MainstayError } from '../platform/errors.ts';
import type { Session } from './command.ts';

interface Meta extends ApiObjectMeta {
  readonly generation?: number | undefined;
  readonly creationTimestamp?: string | undefined;
}

/** As stored; fields that a newer operator has are simply not looked at. */
export interface Cluster extends ApiObject {
  readonly metadata?: Meta | undefined;
  readonly spec: ClusterSpec;
  readonly status: ClusterStatus;
}

export interface Operation extends ApiObject {
  readonly metadata?: Meta | undefined;
  readonly spec: Partial<ClusterOperationSpec> & Pick<ClusterOperationSpec, 'type' | 'clusterRef'>;
  readonly status?: ClusterOperationStatus | undefined;
}

export const postgresClusters = defineKind<Cluster>(apiVersion, 'PostgresCluster', 'postgresclusters');
export const clusterOperations = defineKind<Operation>(apiVersion, 'ClusterOperation', 'clusteroperations');

export async function clusterNamed(session: Session, name: string, signal: AbortSignal): Promise<Cluster> {
  const { client, namespace } = session;
  const cluster = await client.get(postgresClusters, { namespace, name }, { signal });
  if (cluster) return cluster;
  const { items } = await client.list(postgresClusters, { namespace }, { signal });
  const others = items.map(({ metadata }) => metadata?.name ?? '').join(', ');
  throw new MainstayError(
    'ResourceInvalid',
    `There is no PostgresCluster ${name} in namespace ${namespace}${others === '' ? '' : `; there are: ${others}`}.`,
  );
}

/** The newest first. */
export async function operationsOf(session: Session, name: string, signal: AbortSignal): Promise<readonly Operation[]> {
  const { client, namespace } = session;
  const { items } = await client.list(clusterOperations, { namespace }, { signal });
  return items
    .filter(({ spec }) => spec.clusterRef.name === name)
    .toSorted((a, b) => ((a.metadata?.creationTimestamp ?? '') < (b.metadata?.creationTimestamp ?? '') ? 1 : -1));
}

export const conditionOf = (
  { status }: { readonly status?: { readonly conditions?: ClusterStatus['conditions'] } | undefined },
  type: string,
) => status?.conditions?.find((condition) => condition.type === type);
