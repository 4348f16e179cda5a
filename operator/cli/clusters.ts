/** Clusters and what belongs to them, as the API server shows them to the user. */
import { clusterKinds, type ClusterKind, type ClusterSpec, type ClusterStatus } from '../api/database-cluster.ts';
import { apiVersion } from '../api/api-group.ts';
import type { ClusterOperationSpec, ClusterOperationStatus } from '../api/cluster-operation.ts';
import { isNotFound } from '../kubernetes/api-error.ts';
import { defineKind, type ApiObject, type ApiObjectMeta } from '../kubernetes/kinds.ts';
import { MainstayError } from '../platform/errors.ts';
import type { Session } from './command.ts';

interface Meta extends ApiObjectMeta {
  readonly generation?: number | undefined;
  readonly creationTimestamp?: string | undefined;
}

/** As stored; fields that a newer operator has are simply not looked at. */
export interface Cluster extends ApiObject {
  readonly kind: ClusterKind;
  readonly metadata?: Meta | undefined;
  readonly spec: ClusterSpec;
  readonly status: ClusterStatus;
}

export interface Operation extends ApiObject {
  readonly metadata?: Meta | undefined;
  readonly spec: Partial<ClusterOperationSpec> & Pick<ClusterOperationSpec, 'type' | 'clusterRef'>;
  readonly status?: ClusterOperationStatus | undefined;
}

const kinds = Object.entries(clusterKinds).map(([kind, plural]) => defineKind<Cluster>(apiVersion, kind, plural));
export const clusterOperations = defineKind<Operation>(apiVersion, 'ClusterOperation', 'clusteroperations');

export async function clusterNamed(session: Session, name: string, signal: AbortSignal): Promise<Cluster> {
  const { client, namespace } = session;
  for (const kind of kinds) {
    const cluster = await orNothing(client.get(kind, { namespace, name }, { signal }));
    if (cluster) return { ...cluster, kind: kind.kind as ClusterKind };
  }
  const others = (await clustersIn(session, { namespace }, signal))
    .map(({ metadata }) => metadata?.name ?? '')
    .join(', ');
  throw new MainstayError(
    'ResourceInvalid',
    `There is no cluster ${name} in namespace ${namespace}${others === '' ? '' : `; there are: ${others}`}.`,
  );
}

/** Of every kind that is installed. */
export async function clustersIn(
  { client }: Pick<Session, 'client'>,
  where: { readonly namespace?: string },
  signal: AbortSignal,
): Promise<readonly Cluster[]> {
  const lists = await Promise.all(
    kinds.map(async (kind) => {
      const list = await orNothing(client.list(kind, where, { signal }));
      return (list?.items ?? []).map((cluster) => ({ ...cluster, kind: kind.kind as ClusterKind }));
    }),
  );
  return lists.flat();
}

/** A kind that is not installed has no objects. */
async function orNothing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
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
