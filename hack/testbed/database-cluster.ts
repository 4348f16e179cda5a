/** A cluster as its users see it: the resource, its Pods, who leads. Nothing here relies on what the operator says alone. */
import type { V1EndpointSlice, V1PersistentVolumeClaim, V1Pod } from '@kubernetes/client-node';
import { clusterKinds, type ClusterKind, type ClusterStatus } from '../../operator/api/database-cluster.ts';
import type { ApiServer } from './api-server.ts';
import type { ClusterAccess } from './cluster-access.ts';
import { notYet, until, yes, type Seen } from './until.ts';

export interface ClusterObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly generation: number;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly instances: number };
  readonly status?: ClusterStatus;
}

export interface Primary {
  readonly instance: string;
  readonly node: string;
  readonly podUid: string;
}

export interface InstancePod {
  readonly name: string;
  readonly uid: string;
  readonly node: string;
  readonly ip: string;
  /** Of the database’s container. */
  readonly image: string;
  readonly ready: boolean;
  readonly restarts: number;
}

export interface Patience {
  readonly within: number;
}

export interface ClusterUnderTest {
  readonly namespace: string;
  readonly name: string;
  readonly resource: () => Promise<ClusterObject | undefined>;
  readonly pods: () => Promise<readonly InstancePod[]>;
  readonly volumes: () => Promise<readonly V1PersistentVolumeClaim[]>;
  /** Whom the Service -rw leads to now; undefined = nobody. */
  readonly currentPrimary: () => Promise<Primary | undefined>;
  readonly primary: () => Promise<Primary>;
  /** Resolves with the new primary once -rw leads to another instance, or to another Pod of the same. */
  readonly primaryOtherThan: (old: Primary, patience: Patience) => Promise<Primary>;
  /** Condition Ready of the current generation. */
  readonly ready: (patience: Patience) => Promise<void>;
  /** Every instance runs, one of them as primary, the others following it, by their own word and (if it runs) the operator's. */
  readonly fullyRedundant: (patience: Patience & { readonly withoutOperator?: boolean }) => Promise<void>;
  readonly scaleTo: (instances: number) => Promise<void>;
  /** Deletes the resource and waits until its Pods are gone; volumes stay or go by its deletionPolicy. */
  readonly delete: (patience: Patience) => Promise<void>;
}

const agentPort = 8008;

export function databaseCluster(
  {
    access,
    api,
    signal,
  }: { readonly access: ClusterAccess; readonly api: ApiServer; readonly signal?: AbortSignal | undefined },
  {
    namespace,
    name,
    kind = 'PostgresCluster',
  }: { readonly namespace: string; readonly name: string; readonly kind?: ClusterKind },
): ClusterUnderTest {
  const plural = clusterKinds[kind];
  const resourcePlural = `${plural}.mainstay.dev`;
  const core = `/api/v1/namespaces/${namespace}`;
  const ofCluster = `?labelSelector=${encodeURIComponent(`mainstay.dev/cluster=${name},mainstay.dev/instance`)}`;
  const waitFor = <T>(what: string, probe: () => Promise<Seen<T>>, patience: Patience): Promise<T> =>
    until(`${namespace}/${name}: ${what}`, probe, { within: patience.within, signal });

  const resource = (): Promise<ClusterObject | undefined> =>
    api.get(`/apis/mainstay.dev/v1alpha1/namespaces/${namespace}/${plural}/${name}`);

  const pods = async (): Promise<readonly InstancePod[]> => {
    const list = await api.get<{ readonly items: readonly V1Pod[] }>(`${core}/pods${ofCluster}`);
    return (list?.items ?? []).map(instancePod);
  };

  const currentPrimary = async (): Promise<Primary | undefined> => {
    const slice = await api.get<V1EndpointSlice>(
      `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices/${name}-rw`,
    );
    const address = slice?.endpoints?.find((endpoint) => endpoint.conditions?.ready !== false)?.addresses[0];
    if (address === undefined) return undefined;
    const pod = (await pods()).find(({ ip }) => ip === address);
    return pod && { instance: pod.name, node: pod.node, podUid: pod.uid };
  };

  const agentSays = async (pod: InstancePod, path: string): Promise<boolean> =>
    (await api.statusOf(`${core}/pods/${pod.name}:${agentPort}/proxy/${path}`)) === 200;

  const redundancy = async (withoutOperator: boolean): Promise<Seen<undefined>> => {
    const object = await resource();
    if (object === undefined) return notYet('no such resource');
    const wanted = object.spec.instances;
    if (!withoutOperator) {
      const problem = statusProblem(object);
      if (problem !== undefined) return notYet(problem);
    }
    const running = await pods();
    const unready = running.filter((pod) => !pod.ready).map((pod) => pod.name);
    if (running.length !== wanted) return notYet(`${running.length} Pods instead of ${wanted}`);
    if (unready.length > 0) return notYet(`not ready: ${unready.join(', ')}`);
    const leader = await currentPrimary();
    if (leader === undefined) return notYet('-rw leads nowhere');
    for (const pod of running) {
      const role = pod.name === leader.instance ? 'primary' : 'replica';
      if (!(await agentSays(pod, role))) return notYet(`${pod.name} does not answer as ${role}`);
    }
    return yes(undefined);
  };

  return {
    namespace,
    name,
    resource,
    pods,
    currentPrimary,
    volumes: async () => {
      const list = await api.get<{ readonly items: readonly V1PersistentVolumeClaim[] }>(
        `${core}/persistentvolumeclaims${ofCluster}`,
      );
      return list?.items ?? [];
    },
    primary: async () => {
      const primary = await currentPrimary();
      if (primary === undefined) throw new Error(`${namespace}/${name} has no primary: -rw leads nowhere`);
      return primary;
    },
    primaryOtherThan: (old, patience) =>
      waitFor(
        `a primary other than ${old.instance}`,
        async () => {
          const now = await currentPrimary();
          if (now === undefined) return notYet('-rw leads nowhere');
          return now.podUid === old.podUid ? notYet(`still ${now.instance}`) : yes(now);
        },
        patience,
      ),
    ready: (patience) =>
      waitFor(
        'Ready',
        async () => {
          const object = await resource();
          if (object === undefined) return notYet('no such resource');
          const problem = conditionProblem(object, 'Ready', 'True');
          return problem === undefined ? yes(undefined) : notYet(problem);
        },
        patience,
      ),
    fullyRedundant: (patience) =>
      waitFor('all instances there', () => redundancy(patience.withoutOperator ?? false), patience),
    scaleTo: async (instances) => {
      await access.kubectl(
        ['scale', '--namespace', namespace, `${resourcePlural}/${name}`, `--replicas=${instances}`],
        {
          signal,
        },
      );
    },
    delete: async (patience) => {
      await access.kubectl(
        ['delete', '--namespace', namespace, `${resourcePlural}/${name}`, '--ignore-not-found', '--wait=true'],
        { signal, timeoutMs: patience.within },
      );
      await waitFor(
        'Pods gone',
        async () => {
          const left = await pods();
          return left.length === 0 ? yes(undefined) : notYet(left.map((pod) => pod.name).join(', '));
        },
        patience,
      );
    },
  };
}

function instancePod(pod: V1Pod): InstancePod {
  const conditions = pod.status?.conditions ?? [];
  return {
    name: pod.metadata?.name ?? '',
    uid: pod.metadata?.uid ?? '',
    node: pod.spec?.nodeName ?? '',
    ip: pod.status?.podIP ?? '',
    image: pod.spec?.containers.at(0)?.image ?? '',
    ready:
      pod.metadata?.deletionTimestamp === undefined &&
      conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True'),
    restarts: (pod.status?.containerStatuses ?? []).reduce((sum, container) => sum + container.restartCount, 0),
  };
}

function statusProblem(object: ClusterObject): string | undefined {
  const { instances } = object.spec;
  const ready = object.status?.readyInstances ?? 0;
  if (ready !== instances) return `status says ${ready} of ${instances} instances`;
  // Not Degraded: more instances than nodes always share some.
  return conditionProblem(object, 'Ready', 'True');
}

function conditionProblem(object: ClusterObject, type: string, wanted: string): string | undefined {
  const condition = object.status?.conditions?.find((candidate) => candidate.type === type);
  if (condition === undefined) return `no condition ${type}`;
  if (condition.observedGeneration !== undefined && condition.observedGeneration !== object.metadata.generation) {
    return `condition ${type} is of generation ${condition.observedGeneration}, not ${object.metadata.generation}`;
  }
  return condition.status === wanted
    ? undefined
    : `${type} is ${condition.status}: ${condition.reason}, ${condition.message}`;
}
