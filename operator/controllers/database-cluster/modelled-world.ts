/** For tests: Kubernetes and the agents, as far as decisions touch them. Actions change it at once; `settle` lets the others work. */
import { declarationDigest, type Member } from '../../api/cluster-state.ts';
import { parseDatabaseCluster, type DatabaseCluster } from '../../api/database-cluster.ts';
import { memoryOf } from '../../api/quantity.ts';
import type { PublicTlsFiles } from '../../certificates/plan.ts';
import { annotations } from '../../resources/labels.ts';
import { intentHash } from '../../resources/intent.ts';
import { containerResources } from '../../resources/pod-resources.ts';
import { sampleInstallation } from '../../resources/sample-cluster.ts';
import { publishedDefinition, type ClusterRuntime } from '../cluster-runtime.ts';
import type { NodeState } from '../node/node-state.ts';
import { volumeName, type VolumeId } from '../../resources/names.ts';
import type { Action } from './actions.ts';
import type { ClusterCertificates } from './certificates.ts';
import { finalizer } from './decide.ts';
import { objectId, type Facts, type ObservedObject, type ObservedPod, type ObservedVolume } from './facts.ts';
import { identityOfData, sorted } from './observe.ts';
import type { ObservedPasswords } from './passwords.ts';

interface Manifest {
  readonly metadata: {
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly { readonly uid: string }[];
  };
  readonly spec?: {
    readonly resources?: { readonly requests?: { readonly storage?: string } };
    readonly storageClassName?: string;
    readonly volumes?: readonly {
      readonly name: string;
      readonly persistentVolumeClaim?: { readonly claimName: string };
    }[];
  };
}

export interface World {
  now: number;
  cluster: DatabaseCluster;
  readonly objects: Map<string, ObservedObject>;
  readonly pods: Map<string, ObservedPod>;
  readonly volumes: Map<string, ObservedVolume>;
  readonly nodes: Map<string, NodeState>;
  runtime: ClusterRuntime;
  passwords: ObservedPasswords;
  etcdAnswers: boolean;
  growable: ReadonlyMap<string, boolean>;
  /** What becomes of a change of resources while a Pod runs. */
  resize: 'done' | 'refused' | 'InProgress' | 'Deferred' | 'Infeasible';
  stranded: ReadonlyMap<string, string>;
  /** Storage classes of which no volume is ever found. */
  readonly emptyClasses: Set<string>;
  certificates: ClusterCertificates;
  sinceSwitchoverRequestMs: number;
  inSyncForMs: ReadonlyMap<string, number>;
  /** Instances whose Pods never become ready. */
  readonly sick: Set<string>;
  /** Counts up for uids and versions. */
  serial: number;
}

export const emptyRuntime: ClusterRuntime = {
  etcdClusterId: '7',
  definition: undefined,
  declaration: undefined,
  declared: undefined,
  initialized: false,
  version: undefined,
  epoch: 0,
  leader: undefined,
  sync: undefined,
  members: new Map(),
  history: [],
  switchover: undefined,
  restarts: new Map(),
  emergency: undefined,
  answer: undefined,
  requests: new Map(),
  fences: new Map(),
  operations: new Map(),
  explanation: undefined,
  empty: true,
};

export const settledFiles: PublicTlsFiles = {
  serverCertificate: 'server',
  serverAuthorities: 'ca',
  clientCertificate: 'client',
  clientAuthorities: 'ca',
};

export const settledCertificates: ClusterCertificates = {
  plan: { step: 'nothing', lookAgainAt: Infinity },
  files: settledFiles,
  problem: undefined,
  behind: [],
  lifetimes: [],
};

export function newWorld(cluster: DatabaseCluster): World {
  const node: NodeState = { ready: true, draining: false, outOfService: false, zone: undefined };
  return {
    now: Date.parse('2026-11-21T08:00:00Z'),
    cluster,
    objects: new Map(),
    pods: new Map(),
    volumes: new Map(),
    nodes: new Map(['n1', 'n2', 'n3'].map((name) => [name, node])),
    runtime: emptyRuntime,
    passwords: { known: new Map(), problems: new Map(), staleApplicationSecret: false },
    etcdAnswers: true,
    growable: new Map(),
    resize: 'done',
    stranded: new Map(),
    emptyClasses: new Set(),
    certificates: settledCertificates,
    sinceSwitchoverRequestMs: Infinity,
    inSyncForMs: new Map(),
    sick: new Set(),
    serial: 0,
  };
}

export function factsOf(world: World): Facts {
  const { now, cluster, objects, pods, volumes, nodes, runtime, etcdAnswers, passwords } = world;
  return {
    now,
    cluster,
    installation: sampleInstallation,
    dataUid: identityOfData(cluster, [...volumes.values()]),
    objects: new Map(objects),
    pods: [...pods.values()],
    ...sorted([...volumes.values()]),
    stranded: world.stranded,
    growable: world.growable,
    nodes: new Map(nodes),
    runtime: etcdAnswers ? { status: 'current', state: runtime } : { status: 'lost', last: runtime, forMs: 60_000 },
    certificates: world.certificates,
    passwords,
    sinceSwitchoverRequestMs: world.sinceSwitchoverRequestMs,
    inSyncForMs: world.inSyncForMs,
  };
}

/** Another spec, as a user would apply it: the next generation. */
export function respec(world: World, change: Readonly<Record<string, unknown>>): void {
  const { metadata, spec, status } = world.cluster;
  world.cluster = parseDatabaseCluster({
    ...world.cluster,
    metadata: { ...metadata, generation: metadata.generation + 1 },
    spec: { ...spec, ...change },
    status,
  });
}

export function carryOut(world: World, action: Action): void {
  switch (action.type) {
    case 'apply':
      world.objects.set(
        objectId(action.desired.kind, action.desired.name),
        seen(world, action.desired.object as Manifest),
      );
      return;
    case 'create-once': {
      const { kind, name, owners } = action.object;
      world.objects.set(objectId(kind, name), {
        ...seen(world, { metadata: { ownerReferences: owners as { uid: string }[] } }),
      });
      return;
    }
    case 'give-etcd-login': // etcd-login.test.ts
    case 'make-authority':
    case 'write-certificates':
      return; // operator/certificates has tests of its own
    case 'set-owners': {
      const owners = action.owners.map((owner) => (owner as { uid: string }).uid);
      const pod = world.pods.get(action.name);
      if (action.kind === 'Pod' && pod) world.pods.set(action.name, { ...pod, owners });
      const object = world.objects.get(objectId(action.kind, action.name));
      if (object) world.objects.set(objectId(action.kind, action.name), { ...object, owners });
      return;
    }
    case 'delete-object':
      world.objects.delete(objectId(action.kind, action.name));
      return;
    case 'apply-volume':
      setVolume(world, action, action.desired.object as Manifest);
      return;
    case 'replace-volume':
      if (world.volumes.has(volumeName(action))) throw new Error(`volume ${volumeName(action)} is there already`);
      setVolume(world, action, action.desired.object as Manifest);
      return;
    case 'keep-volume': {
      const volume = world.volumes.get(volumeName(action));
      if (volume?.uid !== action.seen.uid) throw new Error('another volume than the one that was seen');
      world.volumes.set(volumeName(action), { ...volume, superseded: true });
      return;
    }
    case 'create-pod':
      if (world.pods.has(action.instance)) throw new Error(`Pod ${action.instance} is there already`);
      world.pods.set(action.instance, newPod(world, action.instance, action.object as Manifest));
      return;
    case 'resize-pod': {
      const pod = world.pods.get(action.instance);
      if (pod?.uid !== action.uid) throw new Error('another Pod than the one that was seen');
      if (world.resize === 'refused') {
        world.pods.set(action.instance, { ...pod, resizeRefused: intentHash(action.resources) });
        return;
      }
      const {
        [annotations.intent]: intent,
        [annotations.inputs]: inputs,
        [annotations.resources]: resources,
      } = action.annotations;
      const isDone = world.resize === 'done';
      world.pods.set(action.instance, {
        ...pod,
        intent,
        inputs,
        resources,
        ...(isDone && { memory: memoryOf(action.resources) }),
        resizing: isDone ? undefined : { state: world.resize as 'InProgress', since: world.now, message: 'no room' },
      });
      return;
    }
    case 'announce-certificates': {
      const pod = world.pods.get(action.instance);
      if (pod) world.pods.set(action.instance, { ...pod, announced: action.fingerprint });
      return;
    }
    case 'announce-passwords': {
      const pod = world.pods.get(action.instance);
      if (pod) world.pods.set(action.instance, { ...pod, announcedPasswords: action.digest });
      return;
    }
    case 'label-role': {
      const pod = world.pods.get(action.instance);
      if (pod) world.pods.set(action.instance, { ...pod, roleLabel: action.role });
      return;
    }
    case 'publish-definition': {
      if (world.runtime.definition?.modRevision !== action.modRevision) throw new Error('definition: wrong revision');
      const definition = publishedDefinition({ value: action.text, modRevision: ++world.serial });
      world.runtime = { ...world.runtime, definition, empty: false };
      return;
    }
    case 'publish-declaration': {
      if (world.runtime.declaration?.modRevision !== action.modRevision) throw new Error('declaration: wrong revision');
      const declaration = { value: action.text, modRevision: ++world.serial };
      world.runtime = { ...world.runtime, declaration, empty: false };
      return;
    }
    case 'complete-application-secret':
      world.passwords = { ...world.passwords, staleApplicationSecret: false };
      return;
    case 'request-switchover': {
      if (world.runtime.switchover) throw new Error('a switchover is requested already');
      const { from, to, reason } = action;
      const deadline = new Date(world.now + 60_000).toISOString();
      world.runtime = {
        ...world.runtime,
        switchover: { id: 'x', from, to, reason, deadline, modRevision: ++world.serial },
      };
      return;
    }
    case 'request-restart': {
      const deadline = new Date(world.now + 60_000).toISOString();
      const request = { id: action.id, reason: action.reason, deadline, modRevision: ++world.serial };
      world.runtime = { ...world.runtime, restarts: new Map([[action.instance, request]]) };
      return;
    }
    case 'withdraw-restart':
      world.runtime = { ...world.runtime, restarts: new Map() };
      return;
    case 'withdraw-switchover':
      world.runtime = { ...world.runtime, switchover: undefined };
      return;
    case 'add-finalizer':
      setFinalizers(world, [finalizer]);
      return;
    case 'remove-finalizer':
      setFinalizers(world, []);
      return;
    case 'delete-state':
      world.runtime = emptyRuntime;
      return;
    case 'delete-pod': {
      const pod = world.pods.get(action.instance);
      if (pod?.uid !== action.seen.uid) throw new Error('another Pod than the one that was seen');
      if (action.why === 'node-lost') world.pods.delete(action.instance);
      else world.pods.set(action.instance, { ...pod, deleting: true, ready: false });
      return;
    }
    case 'delete-volume':
      world.volumes.delete(volumeName(action));
      return;
  }
}

/** What kubelets and agents do until nothing more happens by itself. */
export function settle(world: World): void {
  for (const [name, pod] of world.pods)
    if (pod.deleting && world.nodes.get(pod.node ?? '')?.ready !== false) world.pods.delete(name);
  for (const [name, pod] of world.pods) {
    const volume = world.volumes.get(pod.claim ?? '');
    const works = !world.sick.has(name) && !world.stranded.has(name) && volume?.persistentVolume !== undefined;
    world.pods.set(name, { ...pod, phase: works ? 'Running' : 'Pending', running: works, ready: works });
  }
  if (world.etcdAnswers && world.runtime.definition) world.runtime = elected(world, world.runtime.definition.instances);
  world.sinceSwitchoverRequestMs = Infinity;
}

function elected(world: World, defined: readonly string[]): ClusterRuntime {
  const { runtime } = world;
  const alive = [...world.pods.values()].filter((pod) => pod.ready).map((pod) => pod.instance);
  const former = runtime.leader?.instance;
  const wish = runtime.switchover?.to;
  const handsOver = wish !== undefined && runtime.switchover?.from === former && alive.includes(wish);
  const candidates = alive.filter((instance) => defined.includes(instance)).sort();
  const leader = handsOver ? wish : former !== undefined && alive.includes(former) ? former : candidates[0];
  if (leader === undefined) return { ...runtime, members: new Map(), leader: undefined };
  const stays = leader === former;
  const epoch = stays ? runtime.epoch : runtime.epoch + 1;
  const followers = alive.filter((instance) => instance !== leader && defined.includes(instance)).sort();
  return {
    ...runtime,
    ...(runtime.declaration && {
      declared: {
        declaration: declarationDigest(runtime.declaration.value),
        instance: leader,
        findings: [],
        at: new Date(world.now).toISOString(),
      },
    }),
    initialized: true,
    empty: false,
    epoch,
    leader: { instance: leader, incarnation: leader, epoch, lease: '1' },
    sync: { epoch, primary: voter(leader), members: followers.map(voter), acknowledgements: 1 },
    members: new Map(alive.map((instance) => [instance, member(instance, instance === leader, epoch)])),
    switchover: undefined,
    restarts: new Map(),
    history: [
      ...runtime.history,
      ...(stays
        ? []
        : [
            {
              epoch,
              winner: leader,
              reason: runtime.epoch === 0 ? 'Bootstrap' : handsOver ? 'Switchover' : 'LeaseExpired',
              timeline: epoch,
              at: new Date(world.now).toISOString(),
            },
          ]),
    ],
  };
}

const voter = (instance: string) => ({ instance, incarnation: instance });

export function member(instance: string, leads: boolean, epoch: number, change: Partial<Member> = {}): Member {
  return {
    instance,
    incarnation: instance,
    state: leads ? 'running' : 'streaming',
    role: leads ? 'primary' : 'replica',
    address: '10.0.0.1',
    databasePort: 5432,
    agentPort: 8008,
    node: 'n1',
    version: '18.1',
    position: { epoch, lsn: '0/5000060' },
    ...change,
  };
}

function seen(world: World, { metadata }: Manifest): ObservedObject {
  const serial = ++world.serial;
  return {
    uid: `uid-${serial}`,
    resourceVersion: String(serial),
    ours: true,
    intent: metadata.annotations?.[annotations.intent],
    owners: (metadata.ownerReferences ?? []).map((owner) => owner.uid),
    deleting: false,
  };
}

function setVolume(world: World, id: VolumeId, manifest: Manifest): void {
  const { instance, holds, serial } = id;
  const before = world.volumes.get(volumeName(id));
  const { resources, storageClassName = 'local' } = manifest.spec ?? {};
  const size = resources?.requests?.storage ?? '';
  const owned = seen(world, manifest);
  world.volumes.set(volumeName(id), {
    ...owned,
    uid: before?.uid ?? `volume-${++world.serial}`,
    instance,
    holds,
    serial,
    createdAt: before?.createdAt ?? world.now,
    dataUid: manifest.metadata.annotations?.[annotations.clusterUid],
    size,
    capacity: size,
    storageClassName: before?.storageClassName ?? storageClassName,
    persistentVolume: world.emptyClasses.has(storageClassName) ? undefined : `pv-${owned.uid}`,
    superseded: before?.superseded ?? false,
  });
}

function newPod(world: World, instance: string, manifest: Manifest): ObservedPod {
  const claim = manifest.spec?.volumes?.find(({ name }) => name === 'data')?.persistentVolumeClaim?.claimName ?? '';
  if (!world.volumes.has(claim)) throw new Error(`Pod ${instance} has no volume`);
  const used = new Set([...world.pods.values()].map((pod) => pod.node));
  const nodes = [...world.nodes.keys()];
  return {
    ...seen(world, manifest),
    instance,
    claim,
    generation: world.cluster.metadata.generation,
    phase: 'Pending',
    ready: false,
    createdAt: world.now,
    node: nodes.find((node) => !used.has(node)) ?? nodes[0],
    address: '10.0.0.1',
    roleLabel: undefined,
    inputs: manifest.metadata.annotations?.[annotations.inputs],
    resources: manifest.metadata.annotations?.[annotations.resources],
    memory: memoryOf(containerResources(world.cluster)),
    announced: undefined,
    running: false,
    unschedulable: undefined,
    waiting: undefined,
  };
}

function setFinalizers(world: World, finalizers: readonly string[]): void {
  world.cluster = { ...world.cluster, metadata: { ...world.cluster.metadata, finalizers } };
}
