/** What a reconcile knows: everything it decides from, and nothing it would have to ask for. */
import type { VolumeId } from '../../resources/names.ts';
import type { InstanceName } from '../../api/cluster-state.ts';
import type { DatabaseCluster } from '../../api/database-cluster.ts';
import type { Installation } from '../../resources/installation.ts';
import type { ClusterCertificates } from './certificates.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';
import type { ObservedPasswords } from './passwords.ts';
import type { NodeState } from '../node/node-state.ts';

export interface Facts {
  /** Wall-clock time in milliseconds, for what people wrote or will read. */
  readonly now: number;
  readonly cluster: DatabaseCluster;
  readonly installation: Installation;
  /** Identity of the data: of the first cluster that owned the volumes. */
  readonly dataUid: string;
  /** By `objectId`; absent means that no such object exists, whoever made it. */
  readonly objects: ReadonlyMap<string, ObservedObject>;
  readonly pods: readonly ObservedPod[];
  /** Of data: one of each instance, the newest. */
  readonly volumes: readonly ObservedVolume[];
  /** Of their write-ahead logs, where those have their own. */
  readonly walVolumes: readonly ObservedVolume[];
  /** In whose place there are others. */
  readonly formerVolumes: readonly ObservedVolume[];
  /** Instances that no node takes because their volume is tied to one that does not exist any more, with its name. */
  readonly stranded: ReadonlyMap<InstanceName, string>;
  /** Of the storage classes of volumes that shall grow: whether they can; absent: nobody knows. */
  readonly growable: ReadonlyMap<string, boolean>;
  /** By name; absent means that the Node object is gone. Undefined: nodes can't be seen. */
  readonly nodes: ReadonlyMap<string, NodeState> | undefined;
  readonly runtime: ObservedRuntime;
  readonly certificates: ClusterCertificates;
  readonly passwords: ObservedPasswords;
  /** Since our last request for a switchover of this cluster, so that a refusal isn't answered by the same at once. */
  readonly sinceSwitchoverRequestMs: number;
  /** For how long each replica has followed as a member of the sync set without a break, as far as we have watched. */
  readonly inSyncForMs: ReadonlyMap<InstanceName, number>;
}

/** `current`: as of now. `lost`: etcd does not answer; `last` is what it said before. */
export type ObservedRuntime =
  | { readonly status: 'current'; readonly state: ClusterRuntime }
  | { readonly status: 'lost'; readonly last: ClusterRuntime | undefined; readonly forMs: number };

export interface ObservedObject {
  readonly uid: string;
  readonly resourceVersion: string;
  /** Made by Mainstay for this cluster; otherwise its name is taken. */
  readonly ours: boolean;
  readonly intent: string | undefined;
  /** UIDs of its owners. */
  readonly owners: readonly string[];
  readonly deleting: boolean;
  /** Certificates that a Secret holds, as text by file name; its keys are not kept. */
  readonly certificates?: Readonly<Record<string, string>>;
}

export interface ObservedPod extends ObservedObject {
  /** As `podInputs` when it was made; undefined: an operator made it that did not say. */
  readonly inputs?: string | undefined;
  readonly instance: InstanceName;
  /** Generation of the spec that it was made from. */
  readonly generation: number;
  readonly phase: string;
  readonly ready: boolean;
  readonly createdAt: number;
  readonly node: string | undefined;
  /** The claim of its data. */
  readonly claim?: string | undefined;
  readonly address: string | undefined;
  readonly roleLabel: string | undefined;
  /** As `annotations.resources`; undefined: an operator made it that did not say. */
  readonly resources?: string | undefined;
  readonly resizeRefused?: string | undefined;
  /** Bytes that the kubelet says the database's container has. */
  readonly memory?: number | undefined;
  readonly resizing?: ObservedResize | undefined;
  /** Fingerprint of the certificates that it was told of last; undefined: of none since it was made. */
  readonly announced: string | undefined;
  /** The passwords among the instances that it was last told of. */
  readonly announcedPasswords?: string | undefined;
  /** The database's container runs now. */
  readonly running: boolean;
  readonly unschedulable: { readonly since: number; readonly message: string } | undefined;
  /** Why a container does not start, in the kubelet's one word; its message differs with every attempt. */
  readonly waiting: { readonly reason: string; readonly image: string } | undefined;
}

/** What the kubelet makes of other resources; absent: nothing is left to do. */
export interface ObservedResize {
  readonly state: 'InProgress' | 'Deferred' | 'Infeasible';
  readonly since: number;
  readonly message: string;
}

export interface ObservedVolume extends ObservedObject, VolumeId {
  readonly createdAt: number;
  readonly dataUid: string | undefined;
  /** As asked for. */
  readonly size: string;
  /** As there is. */
  readonly capacity: string | undefined;
  readonly storageClassName: string | undefined;
  /** The PersistentVolume that was found for it; until then nothing can have been written to it. */
  readonly persistentVolume: string | undefined;
  /** It stays although another has taken its place, and nobody uses it any more. */
  readonly superseded: boolean;
}

export const objectId = (kind: string, name: string): string => `${kind}/${name}`;

/** What etcd says, if that is what it says now. */
export const currentRuntime = (facts: Facts): ClusterRuntime | undefined =>
  facts.runtime.status === 'current' ? facts.runtime.state : undefined;
