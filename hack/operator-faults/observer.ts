/** What an outsider sees of Kubernetes: how things are, and what was deleted meanwhile. */
import type { Dcs } from '../../operator/dcs/dcs.ts';
import type { KubernetesClient } from '../../operator/kubernetes/client.ts';
import { createInformer, type Informer } from '../../operator/kubernetes/informer.ts';
import {
  defineKind,
  endpointSlices,
  networkPolicies,
  persistentVolumeClaims,
  podDisruptionBudgets,
  pods,
  roleBindings,
  roles,
  secrets,
  serviceAccounts,
  services,
  type ApiObject,
  type ResourceKind,
} from '../../operator/kubernetes/kinds.ts';
import { createLogger } from '../../operator/platform/log.ts';
import { managedSelector } from '../../operator/resources/labels.ts';

/** Any object, as far as one can look into it. */
export interface Seen extends ApiObject {
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly generation?: number;
    readonly resourceVersion?: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[];
  };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
  readonly data?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

export const postgresClusters = defineKind<Seen>('mainstay.dev/v1alpha1', 'PostgresCluster', 'postgresclusters');
export const clusterOperations = defineKind<Seen>('mainstay.dev/v1alpha1', 'ClusterOperation', 'clusteroperations');

const children = [
  pods,
  persistentVolumeClaims,
  services,
  secrets,
  serviceAccounts,
  roles,
  roleBindings,
  podDisruptionBudgets,
  endpointSlices,
  networkPolicies,
] as readonly ResourceKind<ApiObject>[] as readonly ResourceKind<Seen>[];

export interface Observer {
  whenSynced(): Promise<void>;
  cluster(namespace: string, name: string): Seen | undefined;
  operation(namespace: string, name: string): Seen | undefined;
  children(namespace: string): readonly Seen[];
  pods(namespace: string): readonly Seen[];
  /** How often each object (`Pod orders-1`) was deleted since the last call for this namespace. */
  takeDeletions(namespace: string): ReadonlyMap<string, number>;
  /** The same for changes of PodDisruptionBudgets, other than their making. */
  takeBudgetChanges(namespace: string): number;
}

export function startObserver(client: KubernetesClient, signal: AbortSignal): Observer {
  const log = createLogger('observer', 'error');
  const deletions = new Map<string, Map<string, number>>();
  const budgets = new Map<string, number>();
  const note = (kind: string, object: Seen | undefined, previous: Seen | undefined): void => {
    const { namespace = '', name = '' } = (object ?? previous)?.metadata ?? {};
    // A new uid: deleted and made anew between two looks.
    const isNew = object !== undefined && previous !== undefined && object.metadata?.uid !== previous.metadata?.uid;
    if (object === undefined || isNew) {
      const counts = deletions.get(namespace) ?? new Map<string, number>();
      deletions.set(namespace, counts.set(`${kind} ${name}`, (counts.get(`${kind} ${name}`) ?? 0) + 1));
    }
    if (kind === 'PodDisruptionBudget' && previous !== undefined)
      budgets.set(namespace, (budgets.get(namespace) ?? 0) + 1);
  };
  const follow = (kind: ResourceKind<Seen>, labelSelector?: string): Informer<Seen> =>
    createInformer(
      client,
      kind,
      { labelSelector },
      {
        log,
        indexBy: ({ metadata }) => [metadata?.namespace ?? ''],
        onChange: (_key, object, previous) => note(kind.kind, object, previous),
      },
    );
  const clusters = follow(postgresClusters);
  const operations = follow(clusterOperations);
  const others = children.map((kind) => follow(kind, managedSelector));
  const all = [clusters, operations, ...others];
  for (const informer of all) void informer.start(signal);
  return {
    whenSynced: async () => {
      await Promise.all(all.map((informer) => informer.whenSynced(signal)));
    },
    cluster: (namespace, name) => clusters.get(`${namespace}/${name}`),
    operation: (namespace, name) => operations.get(`${namespace}/${name}`),
    children: (namespace) => others.flatMap((informer) => informer.withIndex(namespace)),
    pods: (namespace) => others[0]?.withIndex(namespace) ?? [],
    takeDeletions(namespace) {
      const counts = deletions.get(namespace) ?? new Map<string, number>();
      deletions.delete(namespace);
      return counts;
    },
    takeBudgetChanges(namespace) {
      const count = budgets.get(namespace) ?? 0;
      budgets.delete(namespace);
      return count;
    },
  };
}

/** How a namespace is in the end, without what legitimately differs from run to run; one line an object. */
export async function endState(observer: Observer, dcs: Dcs, namespace: string): Promise<readonly string[]> {
  const { entries } = await dcs.read(`/mainstay/${namespace}/`, { milliseconds: 10_000 });
  const stored = [...entries.values()].map(({ key, value }) => {
    const own = key.split('/').slice(4).join('/');
    return `etcd ${own} ${value.startsWith('{') ? canonical(JSON.parse(value) as object) : value}`;
  });
  const objects = observer
    .children(namespace)
    .map((object) => `${object.kind ?? ''} ${object.metadata?.name ?? ''} ${canonical(essence(object))}`);
  return [
    ...objects,
    ...stored.filter((line) => !/^etcd (history|members|answer|operations|leader|sync|epoch|declared)/.test(line)),
  ]
    .map((line) => line.replaceAll(namespace, 'NAMESPACE'))
    .sort();
}

/** What we own of an object: neither what the server adds nor whose turn it was to lead. */
function essence(object: Seen): object {
  const { kind, metadata, spec, data } = object;
  const { labels = {}, annotations = {}, ownerReferences = [] } = metadata ?? {};
  const volatile = ['mainstay.dev/role', 'mainstay.dev/intent', 'mainstay.dev/generation'];
  const stable = (map: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(map).filter(([key]) => !volatile.includes(key)));
  const content = ['rules', 'roleRef', 'subjects', 'endpoints', 'ports', 'addressType', 'type'];
  return {
    labels: stable(labels),
    annotations: stable(annotations),
    owners: ownerReferences.map((owner) => `${owner.kind} ${owner.name}`),
    keys: Object.keys(data ?? {}).sort(),
    content: content.map((field) => object[field] ?? null),
    spec,
    kind,
  };
}

/** Of values that differ from run to run, only that they are there. */
function canonical(value: object): string {
  return JSON.stringify(value, (key, field: unknown) => {
    if (['clusterIP', 'clusterIPs', 'nodePort', 'volumeName', 'nodeName', 'generation'].includes(key)) return undefined;
    if (typeof field === 'string') return plain(key, field);
    if (typeof field === 'object' && field !== null && !Array.isArray(field))
      return Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)));
    return field;
  });
}

function plain(key: string, text: string): string {
  if (['verifier', 'revision', 'systemIdentifier'].includes(key)) return key.toUpperCase();
  return text
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UID')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/^[0-9a-f]{16}$/g, 'DIGEST')
    .replaceAll(/-[a-z0-9]{5}$/g, (end) => (key === 'name' && text.startsWith('kube-api-access') ? '-SUFFIX' : end));
}
