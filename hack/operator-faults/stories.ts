/** What a user does to a cluster, and when all of it is done. Each begins and ends with a healthy cluster, but for the last. */
import type { KubernetesClient } from '../../operator/kubernetes/client.ts';
import { clusterOperations, postgresClusters, type Observer, type Seen } from './observer.ts';

export interface Stage {
  readonly client: KubernetesClient;
  readonly observer: Observer;
  readonly namespace: string;
  /** Resolves when `problem` says undefined, and the operator has been quiet for a while; throws with the problem if that takes too long. */
  settled(what: string, problem: () => string | undefined): Promise<void>;
  /** Counts the runs on this cluster, so that each asks for something new. */
  readonly run: number;
}

export interface Story {
  readonly name: string;
  /** Uses up its cluster: each run needs a new one. */
  readonly consumes?: true;
  /**
   * Leaves objects to the garbage collector. What an operator that dies brings back of a cluster that is gone belongs to nobody,
   * and is collected once more.
   */
  readonly collects?: true;
  /** The cluster is made by the story itself. */
  readonly fromNothing?: true;
  readonly spec?: Readonly<Record<string, unknown>>;
  tell(stage: Stage): Promise<void>;
}

export const clusterName = 'orders';

const resources = (cpu: string) => ({ requests: { cpu, memory: '1Gi' }, limits: { memory: '1Gi' } });

export const stories: readonly Story[] = [
  // First, because it takes longest: databases are given seconds to come back.
  {
    name: 'restart (operation)',
    tell: (stage) => operation(stage, { type: 'Restart' }),
  },
  {
    name: 'create',
    consumes: true,
    fromNothing: true,
    async tell(stage) {
      await createCluster(stage, {});
      await stage.settled('the new cluster', () => unready(stage));
    },
  },
  {
    name: 'scale 3 → 5 → 3',
    async tell(stage) {
      await change(stage, { instances: 5 });
      await stage.settled('5 instances', () => unready(stage));
      await change(stage, { instances: 3 });
      await stage.settled('3 instances', () => unready(stage));
    },
  },
  {
    name: 'roll',
    async tell(stage) {
      const value = `run-${stage.run}`;
      await change(stage, { pod: { annotations: { 'example.org/run': value } } });
      await stage.settled('all Pods replaced', () => {
        const old = stage.observer
          .pods(stage.namespace)
          .find(({ metadata }) => metadata?.annotations?.['example.org/run'] !== value);
        return old ? `${old.metadata?.name ?? ''} is an old one` : unready(stage);
      });
    },
  },
  {
    name: 'resize',
    async tell(stage) {
      const size = `${stage.run + 1}Gi`;
      await change(stage, { storage: { size } });
      await stage.settled('larger volumes', () => {
        const small = volumes(stage).find(
          ({ spec, status }) =>
            !JSON.stringify(spec?.['resources']).includes(`"${size}"`) ||
            JSON.stringify(status?.['capacity']) !== JSON.stringify({ storage: size }),
        );
        return small ? `${small.metadata?.name ?? ''} is small` : unready(stage);
      });
    },
  },
  {
    name: 'another storage class',
    consumes: true,
    // Two, as each is one copy and one switchover more to die at.
    spec: { instances: 2, storage: { size: '1Gi', storageClassName: 'standard' } },
    async tell(stage) {
      await change(stage, { storage: { storageClassName: 'standard-2' } });
      await stage.settled('every instance on another volume', () => {
        const moved = volumes(stage).filter(({ spec }) => spec?.['storageClassName'] === 'standard-2');
        return moved.length === 2 ? unready(stage) : `${moved.length} volumes are of that class`;
      });
    },
  },
  {
    name: 'other resources, and back',
    spec: { instances: 2, resources: resources('1') },
    async tell(stage) {
      for (const cpu of ['2', '1']) {
        await change(stage, { resources: resources(cpu) });
        await stage.settled(`${cpu} CPU each`, () => {
          const other = stage.observer
            .pods(stage.namespace)
            .find(({ spec }) => !JSON.stringify(spec?.['containers']).includes(`"requests":{"cpu":"${cpu}"`));
          return other ? `${other.metadata?.name ?? ''} has others` : unready(stage);
        });
      }
    },
  },
  {
    name: 'broken image, then the old one',
    async tell(stage) {
      await change(stage, { image: 'example.org/broken:18' });
      await stage.settled('one Pod that does not start', () => {
        const broken = stage.observer
          .pods(stage.namespace)
          .filter((pod) => JSON.stringify(pod.spec).includes('/broken:'));
        return broken.length === 1 ? undefined : `${broken.length} Pods have the image`;
      });
      await change(stage, { image: null });
      await stage.settled('all well again', () => unready(stage));
    },
  },
  {
    name: 'no node, then any',
    async tell(stage) {
      await change(stage, { affinity: { nodeSelector: { 'example.org/nowhere': 'x' } } });
      await stage.settled('one Pod without a node', () => {
        const lost = stage.observer.pods(stage.namespace).filter(({ spec }) => spec?.['nodeName'] === undefined);
        return lost.length === 1 ? undefined : `${lost.length} Pods have no node`;
      });
      await change(stage, { affinity: { nodeSelector: null } });
      await stage.settled('all well again', () => unready(stage));
    },
  },
  {
    name: 'switchover (operation)',
    tell: (stage) => operation(stage, { type: 'Switchover' }),
  },
  {
    name: 'delete and apply again (Retain)',
    collects: true,
    async tell(stage) {
      const { client, observer, namespace } = stage;
      const uid = observer.cluster(namespace, clusterName)?.metadata?.uid;
      await client.delete(postgresClusters, { namespace, name: clusterName });
      await stage.settled('what it owned is gone', () => {
        const owned = observer
          .children(namespace)
          .filter(({ metadata }) =>
            (metadata?.ownerReferences ?? []).some((owner) => owner.kind === 'PostgresCluster'),
          );
        const left = owned.map(({ kind, metadata }) => `${kind ?? ''} ${metadata?.name ?? ''}`);
        return left.length === 0 ? undefined : `${left.join(', ')} are there`;
      });
      await createCluster(stage, {});
      await stage.settled('the cluster is back', () => {
        const stored = observer.cluster(namespace, clusterName);
        return stored === undefined || stored.metadata?.uid === uid ? 'the old one is there' : unready(stage);
      });
    },
  },
  {
    name: 'delete (Delete)',
    consumes: true,
    spec: { deletionPolicy: 'Delete' },
    async tell(stage) {
      const { client, observer, namespace } = stage;
      await client.delete(postgresClusters, { namespace, name: clusterName });
      await stage.settled('everything gone', () => {
        const left = observer.children(namespace).map(({ kind, metadata }) => `${kind ?? ''} ${metadata?.name ?? ''}`);
        if (observer.cluster(namespace, clusterName)) return 'the cluster is there';
        return left.length === 0 ? undefined : `${left.join(', ')} are there`;
      });
    },
  },
];

export async function createCluster(
  { client, namespace }: Pick<Stage, 'client' | 'namespace'>,
  spec: Readonly<Record<string, unknown>>,
): Promise<void> {
  await client.create(postgresClusters, {
    metadata: { name: clusterName, namespace },
    spec: { storage: { size: '1Gi' }, ...spec },
  });
}

async function change(stage: Stage, spec: Readonly<Record<string, unknown>>): Promise<void> {
  const ref = { namespace: stage.namespace, name: clusterName };
  await stage.client.patch(postgresClusters, ref, { spec }, { fieldManager: 'user' });
  const { metadata } = (await stage.client.get(postgresClusters, ref)) ?? {};
  await stage.settled('the change is seen', () => {
    const seen = stage.observer.cluster(stage.namespace, clusterName)?.metadata?.generation ?? 0;
    return seen >= (metadata?.generation ?? 0) ? undefined : 'the observer has not seen it';
  });
}

async function operation(stage: Stage, spec: Readonly<Record<string, unknown>>): Promise<void> {
  const { client, observer, namespace } = stage;
  const name = `run-${stage.run}`;
  await client.create(clusterOperations, {
    metadata: { name, namespace },
    spec: { clusterRef: { name: clusterName }, ...spec },
  });
  await stage.settled('the operation is complete', () => {
    const conditions = conditionsOf(observer.operation(namespace, name));
    const failed = conditions.find(({ type, status }) => type === 'Failed' && status === 'True');
    if (failed) return `it has failed: ${failed.message}`;
    return conditions.some(({ type, status }) => type === 'Complete' && status === 'True')
      ? unready(stage)
      : `it is not complete: ${conditions.map(({ message }) => message).join('; ')}`;
  });
}

/** Why the cluster isn't ready, as its status says and as one can see. */
export function unready({ observer, namespace }: Stage): string | undefined {
  const stored = observer.cluster(namespace, clusterName);
  if (!stored) return 'there is no cluster';
  const { status = {}, metadata } = stored;
  if (status['observedGeneration'] !== metadata?.generation) return 'the spec has not been looked at';
  const ready = conditionsOf(stored).find(({ type }) => type === 'Ready');
  if (ready?.status !== 'True') return `not ready: ${ready?.message ?? 'no status'}`;
  const wanted = (stored.spec?.['instances'] as number | undefined) ?? 0;
  const there = observer.pods(namespace);
  if (there.length !== wanted) return `${there.length} Pods instead of ${wanted}`;
  const primaries = there.filter(({ metadata: pod }) => pod?.labels?.['mainstay.dev/role'] === 'primary');
  const names = primaries.map(({ metadata: pod }) => pod?.name ?? '');
  return names.length === 1 && names[0] === status['primary'] ? undefined : `labelled as primary: ${names.join(', ')}`;
}

const volumes = ({ observer, namespace }: Stage): readonly Seen[] =>
  observer.children(namespace).filter(({ kind }) => kind === 'PersistentVolumeClaim');

interface SeenCondition {
  readonly type: string;
  readonly status: string;
  readonly message: string;
}

const conditionsOf = (object: Seen | undefined): readonly SeenCondition[] =>
  (object?.status?.['conditions'] as readonly SeenCondition[] | undefined) ?? [];
