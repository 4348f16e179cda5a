/** Clusters of every kind, in one place: a name belongs to one cluster of a namespace, whatever its kind. */
import { apiVersion } from '../../api/api-group.ts';
import { clusterKinds, type ClusterKind } from '../../api/database-cluster.ts';
import type { KubernetesClient } from '../../kubernetes/client.ts';
import { createInformer, keyOf, type InformerOptions } from '../../kubernetes/informer.ts';
import { defineKind, type ApiObject, type ApiObjectMeta, type ResourceKind } from '../../kubernetes/kinds.ts';

/** As the API server has it: checked by its schema, still to be parsed by ours. */
export interface StoredCluster extends ApiObject {
  readonly kind: ClusterKind;
  readonly metadata?:
    | (ApiObjectMeta & {
        readonly generation?: number | undefined;
        readonly creationTimestamp?: string | undefined;
      })
    | undefined;
  readonly status?: unknown;
}

export interface ClusterSource {
  start(signal: AbortSignal): Promise<void>;
  /** One kind is enough: where another is not installed, the clusters of this one are looked after all the same. */
  whenSynced(signal: AbortSignal): Promise<void>;
  /** By `namespace/name`. Of two kinds, the one that had the name first. */
  get(key: string): StoredCluster | undefined;
  /** Those that came too late for their name. */
  rivals(key: string): readonly StoredCluster[];
  list(): readonly StoredCluster[];
  withIndex(value: string): readonly StoredCluster[];
}

const kinds = Object.entries(clusterKinds).map(([kind, plural]) => defineKind<StoredCluster>(apiVersion, kind, plural));

export function clusterResource(kind: ClusterKind): ResourceKind<StoredCluster> {
  return defineKind<StoredCluster>(apiVersion, kind, clusterKinds[kind]);
}

export function createClusterSource(
  client: KubernetesClient,
  namespace: string | undefined,
  options: InformerOptions<StoredCluster>,
): ClusterSource {
  const informers = kinds.map((kind) =>
    createInformer(
      client,
      kind,
      { namespace },
      // Objects of a list needn't say what they are.
      { ...options, transform: (stored) => ({ ...stored, kind: kind.kind as ClusterKind }) },
    ),
  );
  const named = (key: string): readonly StoredCluster[] =>
    informers.flatMap((informer) => informer.get(key) ?? []).toSorted((a, b) => (madeAt(a) < madeAt(b) ? -1 : 1));
  return {
    start: async (signal) => {
      await Promise.all(informers.map((informer) => informer.start(signal)));
    },
    whenSynced: (signal) => Promise.any(informers.map((informer) => informer.whenSynced(signal))),
    get: (key) => named(key)[0],
    rivals: (key) => named(key).slice(1),
    list: () => informers.flatMap((informer) => informer.list()).filter((stored) => named(keyOf(stored))[0] === stored),
    withIndex: (value) => informers.flatMap((informer) => informer.withIndex(value)),
  };
}

/** Kinds made within the same second have an order too. */
const madeAt = ({ metadata, kind }: StoredCluster): string => `${metadata?.creationTimestamp ?? ''} ${kind}`;
