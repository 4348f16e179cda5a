/** What the controller watches in Kubernetes: local copies, stripped to what decisions need. */
import type { V1Node, V1PersistentVolumeClaim, V1Pod } from '@kubernetes/client-node';
import { parseDatabaseCluster } from '../../api/database-cluster.ts';
import type { KubernetesClient } from '../../kubernetes/client.ts';
import { createInformer, keyOf, type Informer } from '../../kubernetes/informer.ts';
import {
  endpointSlices,
  metadataOf,
  networkPolicies,
  nodes,
  persistentVolumeClaims,
  podDisruptionBudgets,
  pods,
  roleBindings,
  roles,
  secrets,
  serviceAccounts,
  services,
  type ApiObject,
  type ApiObjectMeta,
  type ResourceKind,
  type Wire,
} from '../../kubernetes/kinds.ts';
import type { Surroundings } from '../../kubernetes/surroundings.ts';
import { passwordPlaces } from '../../resources/declaration.ts';
import { labels, managedSelector } from '../../resources/labels.ts';
import { fencedAnnotation, zoneLabel } from '../node/node-state.ts';
import { createClusterSource, type ClusterSource, type StoredCluster } from './cluster-sources.ts';

export type Pod = Wire<V1Pod>;
export type Volume = Wire<V1PersistentVolumeClaim>;
export type Node = Wire<V1Node>;

export interface LabelledObject extends ApiObject {
  /** Of a Secret: Base64 by file name. */
  readonly data?: Readonly<Record<string, string>> | undefined;
  readonly metadata?:
    | (ApiObjectMeta & {
        readonly labels?: Readonly<Record<string, string>> | undefined;
        readonly annotations?: Readonly<Record<string, string>> | undefined;
        readonly ownerReferences?: readonly { readonly uid: string }[] | undefined;
        readonly deletionTimestamp?: string | undefined;
      })
    | undefined;
}

/** Kinds of which only metadata matter here, by name. */
export const plainKinds: ReadonlyMap<string, ResourceKind<LabelledObject>> = new Map(
  [services, secrets, serviceAccounts, roles, roleBindings, podDisruptionBudgets, networkPolicies, endpointSlices].map(
    (kind) => [kind.kind, kind as ResourceKind<LabelledObject>],
  ),
);

export interface Sources {
  readonly clusters: ClusterSource;
  readonly pods: Informer<Pod>;
  readonly volumes: Informer<Volume>;
  readonly nodes: Informer<Node>;
  readonly plain: ReadonlyMap<string, Informer<LabelledObject>>;
  /** Which version every Secret has, anybody's: clusters name some of them. Never what is in them. */
  readonly secretVersions: Informer<ApiObject>;
  /** Follows the API server until the signal aborts. */
  start(signal: AbortSignal): Promise<void>;
  whenSynced(signal: AbortSignal): Promise<void>;
}

export interface SourceOptions extends Partial<Surroundings> {
  readonly client: KubernetesClient;
  /** All namespaces if undefined. */
  readonly namespace: string | undefined;
  /** Whether nodes may be read; false: `nodes` never syncs, and stays empty. Default: true. */
  readonly watchNodes?: boolean;
  readonly onCluster: (key: string) => void;
  readonly onNode: (name: string) => void;
}

export function createSources(options: SourceOptions): Sources {
  const { client, namespace, onCluster, onNode } = options;
  const managed = { namespace, labelSelector: managedSelector };
  const ofCluster = <T extends LabelledObject>(transform: (object: T) => T) => ({
    ...options,
    transform,
    indexBy: (object: T) => clusterKeys(object),
    onChange: (_key: string, object: T | undefined, previous: T | undefined) => {
      for (const key of clusterKeys(object ?? previous)) onCluster(key);
    },
  });

  const clusters = createClusterSource(client, namespace, {
    ...options,
    onChange: onCluster,
    indexBy: namedSecrets,
  });
  const secretVersions = createInformer<ApiObject>(
    client,
    metadataOf(secrets),
    // Releases of Helm: large, many, and nobody's password.
    { namespace, fieldSelector: 'type!=helm.sh/release.v1' },
    {
      ...options,
      transform: ({ metadata }) => ({
        metadata: {
          name: metadata?.name,
          namespace: metadata?.namespace,
          uid: metadata?.uid,
          resourceVersion: metadata?.resourceVersion,
        },
      }),
      onChange: (key) => {
        for (const cluster of clusters.withIndex(key)) onCluster(keyOf(cluster));
      },
    },
  );
  const podInformer = createInformer(client, pods, managed, ofCluster(stripPod));
  const volumeInformer = createInformer(
    client,
    persistentVolumeClaims,
    managed,
    ofCluster<Volume>((volume) => volume),
  );
  const plain = new Map(
    [...plainKinds].map(([name, kind]) => {
      const followed: ResourceKind<LabelledObject> = kind === secrets ? kind : metadataOf(kind);
      return [name, createInformer(client, followed, managed, ofCluster(stripped))];
    }),
  );
  const nodeInformer = createInformer(
    client,
    nodes,
    {},
    {
      ...options,
      transform: stripNode,
      onChange: (name, node, previous) => {
        if (JSON.stringify(withoutVersion(node)) === JSON.stringify(withoutVersion(previous))) return;
        onNode(name);
        const affected = podInformer.list().filter((pod) => pod.spec?.nodeName === name);
        for (const key of new Set(affected.flatMap(clusterKeys))) onCluster(key);
      },
    },
  );
  const nodesWatched = (options.watchNodes ?? true) ? [nodeInformer] : [];
  const all = [clusters, podInformer, volumeInformer, ...nodesWatched, secretVersions, ...plain.values()];
  return {
    clusters,
    pods: podInformer,
    volumes: volumeInformer,
    nodes: nodeInformer,
    plain,
    secretVersions,
    start: async (signal) => {
      await Promise.all(all.map((informer) => informer.start(signal)));
    },
    whenSynced: async (signal) => {
      await Promise.all(all.map((informer) => informer.whenSynced(signal)));
    },
  };
}

/** Secrets on whose content a cluster depends, as `namespace/name`; of one that can't be understood, none. */
function namedSecrets(stored: StoredCluster): readonly string[] {
  try {
    const cluster = parseDatabaseCluster(stored);
    return passwordPlaces(cluster).map(({ secret }) => `${cluster.metadata.namespace}/${secret}`);
  } catch {
    return [];
  }
}

/** The cluster that an object's labels name, as `namespace/name`. */
export function clusterKeys(object: LabelledObject | undefined): readonly string[] {
  const { namespace, labels: own } = object?.metadata ?? {};
  const name = own?.[labels.cluster];
  return namespace === undefined || name === undefined ? [] : [`${namespace}/${name}`];
}

/** Of a Secret, its certificates too: they are public, and say when they must be renewed. */
function stripped({ apiVersion: version, kind, metadata, data }: LabelledObject): LabelledObject {
  const certificates = Object.entries(data ?? {}).filter(([file]) => file.endsWith('.crt'));
  return {
    apiVersion: version,
    kind,
    metadata,
    ...(certificates.length > 0 && { data: Object.fromEntries(certificates) }),
  };
}

function stripPod(pod: Pod): Pod {
  const { metadata, spec, status } = pod;
  return {
    ...(metadata && { metadata }),
    spec: {
      containers: [],
      ...(spec?.nodeName !== undefined && { nodeName: spec.nodeName }),
      volumes: (spec?.volumes ?? []).filter((volume) => volume.persistentVolumeClaim !== undefined),
    },
    ...(status && { status }),
  };
}

function stripNode({ metadata, spec, status }: Node): Node {
  const ready = status?.conditions?.filter((condition) => condition.type === 'Ready') ?? [];
  const zone = metadata?.labels?.[zoneLabel];
  const fenced = metadata?.annotations?.[fencedAnnotation];
  return {
    metadata: {
      ...(metadata?.name !== undefined && { name: metadata.name }),
      ...(metadata?.uid !== undefined && { uid: metadata.uid }),
      ...(fenced !== undefined && { annotations: { [fencedAnnotation]: fenced } }),
      ...(zone !== undefined && { labels: { [zoneLabel]: zone } }),
    },
    spec: {
      ...(spec?.taints && { taints: spec.taints }),
      ...(spec?.unschedulable !== undefined && { unschedulable: spec.unschedulable }),
    },
    status: {
      conditions: ready.map(({ type, status: is, lastTransitionTime }) => ({
        type,
        status: is,
        ...(lastTransitionTime !== undefined && { lastTransitionTime }),
      })),
    },
  };
}

const withoutVersion = (node: Node | undefined) =>
  node && { ...node, metadata: { ...node.metadata, resourceVersion: undefined } };
