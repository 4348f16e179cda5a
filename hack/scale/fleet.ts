/** Many clusters on one API server, and when they are as they should be. */
import type { KubernetesClient } from '../../operator/kubernetes/client.ts';
import { createInformer } from '../../operator/kubernetes/informer.ts';
import { defineKind, namespaces, type ApiObject } from '../../operator/kubernetes/kinds.ts';
import { createLogger } from '../../operator/platform/log.ts';
import { notYet, until, yes } from '../testbed/until.ts';

interface Cluster extends ApiObject {
  readonly metadata?: { readonly name?: string; readonly namespace?: string; readonly generation?: number };
  readonly spec?: object;
  readonly status?: {
    readonly observedGeneration?: number;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

const clusters = defineKind<Cluster>('mainstay.dev/v1alpha1', 'PostgresCluster', 'postgresclusters');

export interface Fleet {
  readonly size: number;
  readonly ready: number;
  grow(to: number): Promise<void>;
  whenReady(within: number): Promise<void>;
  /** Changes so many clusters, so many a second; how long each took until its status spoke of it, in milliseconds. */
  change(count: number, perSecond: number): Promise<readonly number[]>;
}

const perNamespace = 10;
const creators = 4;
const patienceMs = 120_000;

export async function gatherFleet(client: KubernetesClient, signal: AbortSignal): Promise<Fleet> {
  const waiting = new Map<string, { readonly generation: number; readonly done: () => void }>();
  const informer = createInformer(
    client,
    clusters,
    {},
    {
      log: createLogger('fleet', 'error'),
      transform: ({ metadata, status }) => ({
        metadata: { ...metadata },
        status: {
          ...(status?.observedGeneration !== undefined && { observedGeneration: status.observedGeneration }),
          conditions: (status?.conditions ?? []).filter(({ type }) => type === 'Ready'),
        },
      }),
      onChange: (key, cluster) => {
        const one = waiting.get(key);
        if (one && (cluster?.status?.observedGeneration ?? -1) >= one.generation) one.done();
      },
    },
  );
  void informer.start(signal);
  await informer.whenSynced(signal);
  let size = 0;
  let changes = 0;
  const isReady = ({ metadata, status }: Cluster): boolean =>
    status?.observedGeneration === metadata?.generation &&
    status?.conditions?.some(({ status: is }) => is === 'True') === true;
  const ready = (): number => informer.list().filter(isReady).length;
  const refOf = (number: number) => ({
    namespace: `team-${Math.floor(number / perNamespace)}`,
    name: `db-${number % perNamespace}`,
  });

  async function changeOne(number: number): Promise<number> {
    const ref = refOf(number);
    const key = `${ref.namespace}/${ref.name}`;
    changes += 1;
    const level = changes % 2 === 0 ? 'info' : 'debug';
    const spec = { logLevel: level, replication: { cloneRate: `${changes}Mi` } };
    const from = performance.now();
    const { metadata } = await client.patch(clusters, ref, { spec }, { fieldManager: 'user' });
    const generation = metadata?.generation ?? 0;
    if ((informer.get(key)?.status?.observedGeneration ?? -1) < generation)
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${key}: nobody has looked at its change`)), patienceMs);
        const done = (): void => {
          clearTimeout(timer);
          resolve();
        };
        waiting.set(key, { generation, done });
      }).finally(() => waiting.delete(key));
    return performance.now() - from;
  }

  return {
    get size() {
      return size;
    },
    get ready() {
      return ready();
    },
    async grow(to) {
      const numbers = Array.from({ length: to - size }, (_, index) => size + index);
      for (const number of numbers.filter((one) => one % perNamespace === 0))
        await client.create(namespaces, { metadata: { name: refOf(number).namespace } });
      await Promise.all(
        Array.from({ length: creators }, async () => {
          for (let number = numbers.shift(); number !== undefined; number = numbers.shift())
            await client.create(clusters, { metadata: refOf(number), spec: { storage: { size: '10Gi' } } });
        }),
      );
      size = to;
    },
    async whenReady(within) {
      await until(
        `${size} clusters ready`,
        () => Promise.resolve(ready() === size ? yes(true) : notYet(`${ready()} are`)),
        { within, signal },
      );
    },
    async change(count, perSecond) {
      const step = Math.max(Math.floor(size / count), 1);
      return Promise.all(
        Array.from({ length: Math.min(count, size) }, async (_, index) => {
          const dueInMs = (index * 1000) / perSecond;
          if (dueInMs > 0) await new Promise((resolve) => setTimeout(resolve, dueInMs));
          return changeOne((index * step) % size);
        }),
      );
    },
  };
}
