/** observe(key) → facts: from local copies, or, before something risky, from the API server and etcd as of now. */
import { clusterPrefix, type ClusterIdentity, type InstanceName } from '../../api/cluster-state.ts';
import { parseDatabaseCluster, type DatabaseCluster } from '../../api/database-cluster.ts';
import { memoryOf } from '../../api/quantity.ts';
import { readAuthoritySecret, readServerSecret } from '../../certificates/own-secret.ts';
import { profileOf } from '../../engines/profiles.ts';
import type { KubernetesClient } from '../../kubernetes/client.ts';
import { nodes, persistentVolumeClaims, persistentVolumes, pods, storageClasses } from '../../kubernetes/kinds.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/log.ts';
import type { Installation } from '../../resources/installation.ts';
import { annotations, labels, manager } from '../../resources/labels.ts';
import { instanceNames, instanceNumber, secretNames, volumeName, volumeOfName } from '../../resources/names.ts';
import { nodeState } from '../node/node-state.ts';
import { goneNodeOf } from '../node/tied-volume.ts';
import type { RuntimeView } from '../runtime-view.ts';
import type { SwitchoverRequests } from '../switchover-requests.ts';
import type { SyncStreaks } from '../sync-streaks.ts';
import { judgeCertificates, type BroughtSecrets } from './certificates.ts';
import { desiredObjects, onceObjects, optionalKinds } from './desired-objects.ts';
import {
  objectId,
  type Facts,
  type ObservedObject,
  type ObservedPod,
  type ObservedRuntime,
  type ObservedVolume,
} from './facts.ts';
import { secretTexts, textsOf } from './write-certificates.ts';
import { observePasswords } from './passwords.ts';
import { shallGrow } from './volume-growth.ts';
import { clusterResource } from './cluster-sources.ts';
import { plainKinds, type LabelledObject, type Pod, type Sources, type Volume } from './sources.ts';

export interface Observer {
  readonly client: KubernetesClient;
  readonly sources: Sources;
  readonly view: RuntimeView;
  readonly requests: SwitchoverRequests;
  readonly streaks: SyncStreaks;
  readonly installation: Installation;
  readonly clock: Clock;
  readonly log: Logger;
}

export type Freshness = 'cached' | 'now';

const callTimeoutMs = 10_000;

/** Undefined when the cluster does not exist (any more). Throws ResourceInvalid when its spec can't be understood. */
export async function observe(
  observer: Observer,
  key: string,
  freshness: Freshness,
  signal: AbortSignal,
): Promise<Facts | undefined> {
  const { client, sources, requests, streaks, installation, clock } = observer;
  const options = { signal, timeoutMs: callTimeoutMs };
  const [namespace = '', name = ''] = key.split('/');
  const known = sources.clusters.get(key);
  const stored =
    known && freshness === 'now' ? await client.get(clusterResource(known.kind), { namespace, name }, options) : known;
  if (!known || !stored) return undefined;
  const cluster = parseDatabaseCluster({ ...stored, kind: known.kind });

  const where = { namespace, labelSelector: `${labels.cluster}=${name}` };
  const [podList, volumeList] =
    freshness === 'now'
      ? await Promise.all([
          client.list(pods, where, options).then(({ items }) => items),
          client.list(persistentVolumeClaims, where, options).then(({ items }) => items),
        ])
      : [sources.pods.withIndex(key), sources.volumes.withIndex(key)];

  const wanted = instanceNames(name, cluster.spec.instances);
  const listed = volumeList.flatMap((volume) => observedVolume(volume, cluster) ?? []);
  const contents = profileOf(cluster).logVolume(cluster) ? (['data', 'wal'] as const) : (['data'] as const);
  const unlisted = contents.flatMap((holds) =>
    wanted
      .filter((instance) => !listed.some((volume) => volume.instance === instance && volume.holds === holds))
      .map((instance) => volumeName({ instance, holds, serial: 1 })),
  );
  const [foundPods, foundVolumes, objects] = await Promise.all([
    withMissing(podList, wanted, (instance) => client.get(pods, { namespace, name: instance }, options)),
    withMissing(volumeList, unlisted, (volume) =>
      client.get(persistentVolumeClaims, { namespace, name: volume }, options),
    ),
    observeObjects(observer, cluster, options),
  ]);
  const allVolumes = foundVolumes.flatMap((volume) => observedVolume(volume, cluster) ?? []);
  const { volumes, walVolumes, formerVolumes } = sorted(allVolumes);
  const dataUid = identityOfData(cluster, allVolumes);
  const identity = { namespace, name, uid: dataUid };
  const runtime = await observeRuntime(observer, identity, freshness, signal);
  const now = clock.wall().getTime();
  const ourPods = foundPods
    .filter((pod) => instanceNumber(name, pod.metadata?.name ?? '') !== undefined)
    .map((pod) => observedPod(pod, cluster));
  const passwords = await observePasswords(
    observer,
    cluster,
    runtime.status === 'current' ? runtime.state : runtime.last,
    options,
  );
  return {
    now,
    cluster,
    installation,
    dataUid,
    objects,
    pods: ourPods,
    volumes,
    walVolumes,
    formerVolumes,
    stranded: await strandedInstances(observer, ourPods, [...volumes, ...walVolumes], options),
    growable: await growableClasses(observer, cluster, [...volumes, ...walVolumes], options),
    nodes: sources.nodes.hasSynced()
      ? new Map(sources.nodes.list().map((node) => [node.metadata?.name ?? '', nodeState(node)]))
      : undefined,
    runtime,
    certificates: judgeCertificates({
      now,
      cluster,
      dataUid,
      objects,
      pods: ourPods,
      runtime: runtime.status === 'current' ? runtime.state : undefined,
      brought: await broughtSecrets(observer, cluster, now, options),
    }),
    passwords,
    sinceSwitchoverRequestMs: requests.sinceLastMs(identity),
    inSyncForMs: streaks.see(key, runtime.status === 'current' ? runtime.state : undefined),
  };
}

/** What the local copy lacks may be new, or may belong to somebody else and so not be selected: one look tells. */
async function withMissing<T extends { metadata?: { name?: string } }>(
  found: readonly T[],
  names: readonly string[],
  get: (name: string) => Promise<T | undefined>,
): Promise<readonly T[]> {
  const missing = names.filter((name) => !found.some((object) => object.metadata?.name === name));
  const more = await Promise.all(missing.map(get));
  return [...found, ...more.filter((object) => object !== undefined)];
}

async function observeObjects(
  { client, sources, installation }: Observer,
  cluster: DatabaseCluster,
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<ReadonlyMap<string, ObservedObject>> {
  const { namespace, name: clusterName } = cluster.metadata;
  const desired = desiredObjects(cluster, installation);
  const optional = optionalKinds.map((kind) => ({ kind, name: clusterName }));
  const certificates = [secretNames.authorityKey, secretNames.authorities, secretNames.certificates].map((nameOf) => ({
    kind: 'Secret',
    name: nameOf(clusterName),
  }));
  // Not among the desired where it holds a login of the cluster's own.
  const login = installation.etcdCredentials ? [{ kind: 'Secret', name: secretNames.etcd(clusterName) }] : [];
  const identities = [...desired, ...login, ...onceObjects(cluster), ...optional, ...certificates];
  const objects = new Map<string, ObservedObject>();
  await Promise.all(
    identities.map(async ({ kind, name }) => {
      const plain = plainKinds.get(kind);
      const cached = sources.plain.get(kind)?.get(`${namespace}/${name}`);
      // What nobody wants needs no second look.
      const lookAgain =
        !optional.some((one) => one.kind === kind) || desired.some((one) => one.kind === kind && one.name === name);
      const object = cached ?? (plain && lookAgain ? await client.get(plain, { namespace, name }, options) : undefined);
      if (object) objects.set(objectId(kind, name), observedObject(object, cluster));
    }),
  );
  return objects;
}

/** Asked only while a volume shall grow, which is seldom. */
async function growableClasses(
  { client, log }: Observer,
  cluster: DatabaseCluster,
  volumes: readonly ObservedVolume[],
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<Facts['growable']> {
  const names = new Set(
    volumes.filter((volume) => shallGrow(cluster, volume)).flatMap(({ storageClassName }) => storageClassName ?? []),
  );
  const asked = await Promise.all(
    [...names].map(async (name): Promise<readonly (readonly [string, boolean])[]> => {
      try {
        const found = await client.get(storageClasses, { name }, options);
        return found ? [[name, found.allowVolumeExpansion === true]] : [];
      } catch (error) {
        options.signal.throwIfAborted();
        log.debug({ err: error, storageClass: name }, 'a storage class can’t be read');
        return [];
      }
    }),
  );
  return new Map(asked.flat());
}

/** Asked only while no node takes an instance. What can't be read is not known to be lost. */
async function strandedInstances(
  { client, log }: Observer,
  waiting: readonly ObservedPod[],
  volumes: readonly ObservedVolume[],
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<Facts['stranded']> {
  const unscheduled = waiting.filter(({ ours, deleting, unschedulable }) => ours && !deleting && unschedulable);
  const suspects = volumes.filter(({ instance }) => unscheduled.some((pod) => pod.instance === instance));
  const names = new Map(
    suspects.flatMap((one) => (one.persistentVolume ? [[one.persistentVolume, one.instance]] : [])),
  );
  if (names.size === 0) return new Map();
  try {
    const { items } = await client.list(nodes, {}, options);
    const found = await Promise.all(
      [...names].map(async ([name, instance]): Promise<readonly (readonly [InstanceName, string])[]> => {
        const volume = await client.get(persistentVolumes, { name }, options);
        const node = volume && goneNodeOf(volume, items);
        return node === undefined ? [] : [[instance, node]];
      }),
    );
    return new Map(found.flat());
  } catch (error) {
    options.signal.throwIfAborted();
    log.debug({ err: error }, 'what volumes are tied to can’t be read');
    return new Map();
  }
}

/** They are not ours, so that no watch covers them. */
async function broughtSecrets(
  { client }: Observer,
  { metadata, spec: { tls } }: DatabaseCluster,
  now: number,
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<BroughtSecrets> {
  const texts = (name: string) => secretTexts(client, metadata.namespace, name, options);
  const { serverSecret: server, authoritySecret: authority } = tls;
  return {
    server: server === undefined ? undefined : readServerSecret(server, await texts(server), now),
    authority: authority === undefined ? undefined : readAuthoritySecret(authority, await texts(authority), now),
  };
}

async function observeRuntime(
  { view, log }: Observer,
  identity: ClusterIdentity,
  freshness: Freshness,
  signal: AbortSignal,
): Promise<ObservedRuntime> {
  try {
    if (freshness === 'now') return { status: 'current', state: await view.readNow(identity, signal) };
    const state = view.of(identity);
    const forMs = view.silentForMs();
    return state && forMs === 0 ? { status: 'current', state } : { status: 'lost', last: state, forMs };
  } catch (error) {
    signal.throwIfAborted();
    log.error({ err: error, prefix: clusterPrefix(identity) }, 'what etcd holds about a cluster can’t be read');
    return { status: 'lost', last: undefined, forMs: Infinity };
  }
}

/** Data keep the identity of the first cluster that owned them, because the history in etcd belongs to them. */
export function identityOfData(cluster: DatabaseCluster, volumes: readonly ObservedVolume[]): string {
  if (cluster.status.dataUid !== undefined) return cluster.status.dataUid;
  const { name, uid } = cluster.metadata;
  const number = (volume: ObservedVolume) => instanceNumber(name, volume.instance) ?? 0;
  const first = volumes
    .filter(({ ours, deleting, holds, dataUid }) => ours && !deleting && holds === 'data' && dataUid !== undefined)
    .sort((a, b) => number(a) - number(b))
    .at(0);
  return first?.dataUid ?? uid;
}

function observedObject(object: LabelledObject, cluster: DatabaseCluster): ObservedObject {
  const certificates = Object.entries(textsOf(object.data) ?? {}).filter(([file]) => file.endsWith('.crt'));
  const { uid = '', resourceVersion = '', labels: own, annotations: notes, ...metadata } = object.metadata ?? {};
  return {
    uid,
    resourceVersion,
    ours:
      own?.[labels.managedBy] === manager &&
      own[labels.cluster] === cluster.metadata.name &&
      own[labels.engine] === profileOf(cluster).engine,
    intent: notes?.[annotations.intent],
    owners: (metadata.ownerReferences ?? []).map((owner) => owner.uid),
    deleting: metadata.deletionTimestamp !== undefined,
    ...(certificates.length > 0 && { certificates: Object.fromEntries(certificates) }),
  };
}

export function observedPod(pod: Pod, cluster: DatabaseCluster): ObservedPod {
  const { metadata, spec, status } = pod;
  const condition = (type: string) => status?.conditions?.find((candidate) => candidate.type === type);
  const scheduled = condition('PodScheduled');
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const waiting = containers.find(({ state }) => state?.waiting && !ordinaryWaits.has(state.waiting.reason ?? ''));
  return {
    ...observedObject(pod, cluster),
    instance: metadata?.name ?? '',
    generation: Number(metadata?.annotations?.[annotations.generation] ?? '0'),
    phase: status?.phase ?? 'Unknown',
    ready: condition('Ready')?.status === 'True',
    createdAt: Date.parse(metadata?.creationTimestamp ?? '') || 0,
    node: spec?.nodeName,
    claim: spec?.volumes?.find((volume) => volume.name === 'data')?.persistentVolumeClaim?.claimName,
    address: status?.podIP,
    inputs: metadata?.annotations?.[annotations.inputs],
    resources: metadata?.annotations?.[annotations.resources],
    resizeRefused: metadata?.annotations?.[annotations.resizeRefused],
    memory: memoryOf(
      status?.containerStatuses?.find((container) => container.name === profileOf(cluster).engine)?.resources ?? {},
    ),
    resizing: observedResize(condition('PodResizePending'), condition('PodResizeInProgress')),
    announced: metadata?.annotations?.[annotations.certificates],
    announcedPasswords: metadata?.annotations?.[annotations.passwords],
    roleLabel: metadata?.labels?.[labels.role],
    running: (status?.containerStatuses ?? []).some(
      (container) => container.name === profileOf(cluster).engine && container.state?.running !== undefined,
    ),
    unschedulable:
      scheduled?.status === 'False' && scheduled.reason === 'Unschedulable'
        ? { since: Date.parse(scheduled.lastTransitionTime ?? '') || 0, message: scheduled.message ?? '' }
        : undefined,
    waiting: waiting && { reason: waiting.state?.waiting?.reason ?? '', image: waiting.image },
  };
}

type PodCondition = NonNullable<NonNullable<Pod['status']>['conditions']>[number];

function observedResize(
  pending: PodCondition | undefined,
  inProgress: PodCondition | undefined,
): ObservedPod['resizing'] {
  const condition = pending?.status === 'True' ? pending : inProgress?.status === 'True' ? inProgress : undefined;
  if (!condition) return undefined;
  const state = condition !== pending ? 'InProgress' : pending.reason === 'Infeasible' ? 'Infeasible' : 'Deferred';
  return { state, since: Date.parse(condition.lastTransitionTime ?? '') || 0, message: condition.message ?? '' };
}

const ordinaryWaits = new Set(['PodInitializing', 'ContainerCreating']);

/** Undefined for a name that no volume of the cluster has. */
export function observedVolume(volume: Volume, cluster: DatabaseCluster): ObservedVolume | undefined {
  const id = volumeOfName(cluster.metadata.name, volume.metadata?.name ?? '');
  if (!id) return undefined;
  return {
    ...observedObject(volume, cluster),
    ...id,
    createdAt: Date.parse(volume.metadata?.creationTimestamp ?? '') || 0,
    dataUid: volume.metadata?.annotations?.[annotations.clusterUid],
    size: volume.spec?.resources?.requests?.['storage'] ?? '0',
    capacity: volume.status?.capacity?.['storage'],
    storageClassName: volume.spec?.storageClassName,
    persistentVolume: volume.spec?.volumeName,
    superseded: volume.metadata?.annotations?.[annotations.supersededBy] !== undefined,
  };
}

/** The newest volume of each instance is the one in use, with the log that belongs to it. */
export function sorted(all: readonly ObservedVolume[]): Pick<Facts, 'volumes' | 'walVolumes' | 'formerVolumes'> {
  const newest = (candidates: readonly ObservedVolume[]) =>
    candidates.filter(
      (volume) =>
        !volume.superseded &&
        candidates.every(
          (other) => other.superseded || other.instance !== volume.instance || other.serial <= volume.serial,
        ),
    );
  const volumes = newest(all.filter(({ holds }) => holds === 'data'));
  const walVolumes = newest(
    all.filter(({ holds, instance, serial }) => {
      const data = volumes.find((volume) => volume.instance === instance);
      return holds === 'wal' && (data === undefined || data.serial === serial);
    }),
  );
  return {
    volumes,
    walVolumes,
    formerVolumes: all.filter((one) => !volumes.includes(one) && !walVolumes.includes(one)),
  };
}
