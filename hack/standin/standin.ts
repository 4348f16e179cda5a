/**
 * Scheduler, kubelets, volumes and agents, played by one process: it binds Pods, tells their statuses, fills volumes and writes
 * to etcd what healthy agents write, so that an operator can be tested against a real API server without any node.
 */
import type { V1PersistentVolumeClaim, V1Pod } from '@kubernetes/client-node';
import { clusterPrefix } from '../../operator/api/cluster-state.ts';
import { tlsFileNames, tlsFingerprint } from '../../operator/api/tls-files.ts';
import type { Dcs } from '../../operator/dcs/dcs.ts';
import { isConflict, isNotFound } from '../../operator/kubernetes/api-error.ts';
import type { KubernetesClient } from '../../operator/kubernetes/client.ts';
import { runController } from '../../operator/kubernetes/controller.ts';
import { createInformer } from '../../operator/kubernetes/informer.ts';
import { defineKind, persistentVolumeClaims, pods, secrets, type ApiObject } from '../../operator/kubernetes/kinds.ts';
import { createQueue } from '../../operator/kubernetes/queue.ts';
import { surroundingsFrom } from '../../operator/kubernetes/surroundings.ts';
import { createLogger } from '../../operator/platform/log.ts';
import type { Clock } from '../../operator/platform/clock.ts';
import type { Wire } from '../../operator/platform/wire.ts';
import { managedSelector } from '../../operator/resources/labels.ts';
import { secretNames } from '../../operator/resources/names.ts';
import { agentsTurn, type AgentPod, type Stored } from './agents.ts';

type Pod = Wire<V1Pod>;
type Volume = Wire<V1PersistentVolumeClaim>;

export interface StandInOptions {
  readonly client: KubernetesClient;
  readonly dcs: Dcs;
  /** Theirs need not be the operator's, but wall clocks must agree. */
  readonly clock: Clock;
  readonly workers?: number;
  /** So often agents write again what they have written; never if absent. */
  readonly repeatsEveryMs?: number;
}

export interface StandIn {
  whenSynced(): Promise<void>;
  /** Ends with the signal. */
  readonly ended: Promise<void>;
}

const root = '/mainstay/';
/** Longer than any test. */
const leaseSeconds = 36_000;
const callMs = 10_000;
const nodeNames = ['n1', 'n2', 'n3'] as const;
/** More than any node has. */
const memoryOfNode = 64 * 2 ** 30;

const bindings = (pod: string) =>
  defineKind<ApiObject & { readonly target: object }>('v1', 'Binding', `pods/${pod}/binding`);

export function startStandIn(options: StandInOptions, signal: AbortSignal): StandIn {
  const { client, dcs, clock, workers = 8 } = options;
  const log = createLogger('stand-in', 'error');
  const surroundings = { ...surroundingsFrom({}), log };
  const kubelet = createQueue({ name: 'pods', ...surroundings });
  const storage = createQueue({ name: 'volumes', ...surroundings });
  const agents = createQueue({ name: 'agents', ...surroundings });
  const clusters = new Map<string, Map<string, Stored>>();
  const managed = { labelSelector: managedSelector };
  const call = { signal, timeoutMs: callMs };
  let etcdClusterId = '';
  let lease = '0';
  let nextAddress = 1;

  const podInformer = createInformer<Pod>(client, pods, managed, {
    ...surroundings,
    transform: essential,
    indexBy: (pod) => [prefixOf(pod)],
    onChange: (key, pod, previous) => {
      kubelet.add(key);
      for (const one of [pod, previous]) if (one) agents.add(prefixOf(one));
    },
  });
  const volumeInformer = createInformer<Volume>(client, persistentVolumeClaims, managed, {
    ...surroundings,
    onChange: (key, volume) => {
      if (volume) storage.add(key);
    },
  });
  const secretInformer = createInformer<ApiObject & { readonly data?: Record<string, string> }>(
    client,
    secrets,
    managed,
    {
      ...surroundings,
      transform: ({ metadata, data }) => ({
        metadata: { name: metadata?.name, namespace: metadata?.namespace },
        ...(data && isCertificates(metadata?.name) && { data: { fingerprint: fingerprintOf(data) } }),
      }),
      onChange: (key) => {
        const suffix = secretNames.certificates('');
        if (!key.endsWith(suffix)) return;
        for (const prefix of clusters.keys())
          if (prefix.startsWith(`${root}${key.slice(0, -suffix.length)}-`)) agents.add(prefix);
      },
    },
  );

  async function reconcilePod(key: string): Promise<void> {
    const pod = podInformer.get(key);
    if (!pod) return;
    const { namespace, name = '', uid, deletionTimestamp } = pod.metadata ?? {};
    const ref = { namespace, name };
    if (deletionTimestamp !== undefined) {
      await client.delete(pods, ref, { uid, gracePeriodSeconds: 0 }, call);
      return;
    }
    if (pod.spec?.nodeName === undefined) {
      const problem = unschedulable(pod);
      if (problem === undefined) {
        const node = nodeNames[(Number(name.split('-').at(-1)) - 1) % nodeNames.length] ?? 'n1';
        await client.create(
          bindings(name),
          { metadata: { namespace, name }, target: { apiVersion: 'v1', kind: 'Node', name: node } },
          call,
        );
      } else if (!pod.status?.conditions?.length)
        await patchStatus(ref, uid, {
          phase: 'Pending',
          conditions: [
            {
              type: 'PodScheduled',
              status: 'False',
              reason: 'Unschedulable',
              message: problem,
              lastTransitionTime: stamp(),
            },
          ],
        });
      return;
    }
    if (pod.status?.podIP !== undefined || pod.status?.containerStatuses !== undefined) return;
    await patchStatus(ref, uid, isBroken(pod) ? imageMissing(pod) : running(pod));
  }

  function running(pod: Pod): object {
    const address = `10.${(nextAddress >> 16) & 255}.${(nextAddress >> 8) & 255}.${nextAddress & 255}`;
    nextAddress += 1;
    return {
      phase: 'Running',
      podIP: address,
      podIPs: [{ ip: address }],
      conditions: ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({
        type,
        status: 'True',
        lastTransitionTime: stamp(),
      })),
      containerStatuses: containersOf(pod).map(({ name, image }) => ({
        name,
        image,
        imageID: image,
        ready: true,
        started: true,
        restartCount: 0,
        state: { running: { startedAt: stamp() } },
      })),
    };
  }

  function imageMissing(pod: Pod): object {
    return {
      phase: 'Pending',
      conditions: [{ type: 'PodScheduled', status: 'True', lastTransitionTime: stamp() }],
      containerStatuses: containersOf(pod).map(({ name, image }) => ({
        name,
        image,
        imageID: '',
        ready: false,
        restartCount: 0,
        state: { waiting: { reason: 'ImagePullBackOff', message: `no ${image ?? ''}` } },
      })),
    };
  }

  async function patchStatus(ref: { namespace: string | undefined; name: string }, uid: unknown, status: object) {
    await client.patch(
      pods,
      ref,
      { metadata: { uid }, status },
      { fieldManager: 'kubelet', subresource: 'status' },
      call,
    );
  }

  async function reconcileVolume(key: string): Promise<void> {
    const volume = volumeInformer.get(key);
    const wanted = volume?.spec?.resources?.requests?.['storage'];
    if (!volume || volume.metadata?.deletionTimestamp !== undefined) return;
    if (volume.status?.phase === 'Bound' && volume.status.capacity?.['storage'] === wanted) return;
    const { namespace, name = '', uid } = volume.metadata ?? {};
    if (volume.spec?.volumeName === undefined)
      await client.patch(
        persistentVolumeClaims,
        { namespace, name },
        { metadata: { uid }, spec: { volumeName: `pv-${uid ?? ''}` } },
        { fieldManager: 'provisioner' },
        call,
      );
    await client.patch(
      persistentVolumeClaims,
      { namespace, name },
      { metadata: { uid }, status: { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: wanted } } },
      { fieldManager: 'provisioner', subresource: 'status' },
      call,
    );
  }

  async function reconcileAgents(prefix: string): Promise<void> {
    const running = podInformer.withIndex(prefix).flatMap((pod): AgentPod[] => {
      const { name = '', namespace = '', deletionTimestamp } = pod.metadata ?? {};
      const address = pod.status?.podIP;
      if (address === undefined || deletionTimestamp !== undefined) return [];
      const secret = secretInformer.get(`${namespace}/${secretNames.certificates(clusterOf(pod))}`);
      return [{ instance: name, node: pod.spec?.nodeName ?? '', address, certificates: secret?.data?.['fingerprint'] }];
    });
    const entries = clusters.get(prefix) ?? new Map<string, Stored>();
    const turn = agentsTurn({ entries, pods: running, now: clock.wall().toISOString(), etcdClusterId, lease });
    if (!turn) return;
    // Refused: what it was decided from has changed, and the watch will say so.
    const result = await dcs.txn(
      turn.compare.map((compare) => ({ ...compare, key: prefix + compare.key })),
      turn.writes.map((write) =>
        'put' in write ? { ...write, put: prefix + write.put } : { delete: prefix + write.delete },
      ),
      { milliseconds: callMs, signal },
    );
    if (result.outcome === 'unknown') throw result.cause;
  }

  async function followEtcd(): Promise<void> {
    lease = await dcs.grantLease(leaseSeconds, { milliseconds: callMs, signal });
    while (!signal.aborted) {
      try {
        const snapshot = await dcs.read(root, { milliseconds: callMs, signal });
        etcdClusterId = snapshot.clusterId;
        clusters.clear();
        for (const entry of snapshot.entries.values()) keep(entry.key, entry);
        for await (const { events } of dcs.watch(root, snapshot.revision + 1, signal))
          for (const event of events) {
            if (event.type === 'put') keep(event.entry.key, event.entry);
            else keep(event.key, undefined);
          }
      } catch (error) {
        log.error({ err: error }, 'the stand-in lost etcd; reading again');
      }
    }
  }

  function keep(wholeKey: string, entry: Stored | undefined): void {
    const prefix = wholeKey.split('/').slice(0, 4).join('/') + '/';
    const cluster = clusters.get(prefix) ?? new Map<string, Stored>();
    clusters.set(prefix, cluster);
    const key = wholeKey.slice(prefix.length);
    if (entry) cluster.set(key, { value: entry.value, modRevision: entry.modRevision });
    else cluster.delete(key);
    if (cluster.size === 0) clusters.delete(prefix);
    agents.add(prefix);
  }

  const stamp = (): string =>
    clock
      .wall()
      .toISOString()
      .replace(/\.\d+Z$/, 'Z');
  const play = (name: string, queue: typeof kubelet, reconcile: (key: string) => Promise<void>) =>
    runController({
      ...surroundings,
      name,
      queue,
      signal,
      workers,
      reconcile: async (key) => {
        try {
          await reconcile(key);
        } catch (error) {
          // Gone or changed meanwhile: the informer says so too.
          if (!isConflict(error) && !isNotFound(error)) throw error;
        }
        return {};
      },
    });
  const informers = [podInformer, volumeInformer, secretInformer];
  async function repeat(everyMs: number): Promise<void> {
    // Spread over the period, as agents that don't know each other are.
    while (!signal.aborted) {
      const prefixes = [...clusters.keys()];
      const began = performance.now();
      for (const [index, prefix] of prefixes.entries()) {
        const members = [...(clusters.get(prefix) ?? [])].filter(([key]) => key.startsWith('members/'));
        const writes = members.map(([key, { value }]) => ({ put: prefix + key, value, lease }));
        const unchanged = members.map(
          ([key, { modRevision }]) => ({ key: prefix + key, is: 'modRevision', modRevision }) as const,
        );
        if (writes.length > 0)
          await dcs.txn(unchanged, writes, { milliseconds: callMs, signal }).catch(() => undefined);
        const dueInMs = (everyMs * (index + 1)) / prefixes.length - (performance.now() - began);
        if (dueInMs > 0) await clock.sleep(dueInMs, signal).catch(() => undefined);
      }
      if (prefixes.length === 0) await clock.sleep(everyMs, signal).catch(() => undefined);
    }
  }

  const ended = Promise.all([
    ...(options.repeatsEveryMs === undefined ? [] : [repeat(options.repeatsEveryMs)]),
    ...informers.map((informer) => informer.start(signal)),
    followEtcd(),
    play('pods', kubelet, reconcilePod),
    play('volumes', storage, reconcileVolume),
    play('agents', agents, reconcileAgents),
  ]).then(() => undefined);
  return {
    ended,
    whenSynced: async () => {
      await Promise.all(informers.map((informer) => informer.whenSynced(signal)));
    },
  };
}

/** Images that nobody has. */
const isBroken = (pod: Pod): boolean => containersOf(pod).some(({ image }) => image?.includes('broken') === true);

/** No node has the labels or the memory asked for. */
function unschedulable(pod: Pod): string | undefined {
  const labels = Object.keys(pod.spec?.nodeSelector ?? {});
  const unknown = labels.filter((label) => label !== 'topology.kubernetes.io/zone');
  if (unknown.length > 0) return `no node has the label ${unknown.join(', ')}`;
  const memory = containersOf(pod).some(({ resources }) => bytes(resources?.requests?.['memory']) > memoryOfNode);
  return memory ? 'no node has so much memory' : undefined;
}

function bytes(quantity: string | undefined): number {
  const [, digits = '0', unit = ''] = /^(\d+)([KMGT]i)?$/.exec(quantity ?? '') ?? [];
  return Number(digits) * 1024 ** (['', 'Ki', 'Mi', 'Gi', 'Ti'].indexOf(unit) || 0);
}

const containersOf = (pod: Pod) => pod.spec?.containers ?? [];
const clusterOf = (pod: Pod): string => pod.metadata?.labels?.['mainstay.dev/cluster'] ?? '';

/** Where the agent of a Pod was told to write. */
function prefixOf(pod: Pod): string {
  const value = (name: string): string =>
    containersOf(pod)
      .flatMap(({ env = [] }) => env)
      .find((variable) => variable.name === name)?.value ?? '';
  return clusterPrefix({
    namespace: value('MAINSTAY_NAMESPACE'),
    name: value('MAINSTAY_CLUSTER'),
    uid: value('MAINSTAY_CLUSTER_UID'),
  });
}

/** A thousand clusters are three thousand Pods. */
function essential(pod: Pod): Pod {
  const { metadata, spec, status } = pod;
  const { name, namespace, uid, labels, deletionTimestamp } = metadata ?? {};
  return {
    metadata: {
      ...(name !== undefined && { name }),
      ...(namespace !== undefined && { namespace }),
      ...(uid !== undefined && { uid }),
      ...(labels && { labels }),
      ...(deletionTimestamp !== undefined && { deletionTimestamp }),
    },
    spec: {
      containers: (spec?.containers ?? []).map(({ name: container, image, env = [], resources }) => ({
        name: container,
        ...(image !== undefined && { image }),
        env: env.filter((variable) => variable.value !== undefined),
        ...(resources && { resources }),
      })),
      ...(spec?.nodeName !== undefined && { nodeName: spec.nodeName }),
      ...(spec?.nodeSelector && { nodeSelector: spec.nodeSelector }),
    },
    status: {
      ...(status?.podIP !== undefined && { podIP: status.podIP }),
      ...(status?.containerStatuses && { containerStatuses: [] }),
      ...(status?.conditions && { conditions: status.conditions }),
    },
  };
}

const isCertificates = (name: string | undefined): boolean => name?.endsWith(secretNames.certificates('')) === true;

function fingerprintOf(data: Readonly<Record<string, string>>): string {
  const text = (file: string): string => Buffer.from(data[file] ?? '', 'base64').toString('utf8');
  return tlsFingerprint({
    serverCertificate: text(tlsFileNames.serverCertificate),
    serverAuthorities: text(tlsFileNames.serverAuthorities),
    clientCertificate: text(tlsFileNames.clientCertificate),
    clientAuthorities: text(tlsFileNames.clientAuthorities),
  });
}
