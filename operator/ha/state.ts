/** What one instance's agent knows, what can happen to it, and what it can ask for. */
import type { Epoch, HistoryEntry, InstanceName, Member, Position, Voter } from '../api/cluster-state.ts';
import type { ReplicaHealth, SyncSet } from './sync-set.ts';
import type { ClusterView } from './view.ts';

/** Milliseconds on the agent's monotonic clock. */
export type Milliseconds = number;

export interface Settings {
  /** Lease in etcd. */
  readonly ttl: Milliseconds;
  /** Subtracted from the lease for the time that killing the database takes and for clock rate drift. */
  readonly margin: Milliseconds;
  /** How long to wait for promises of others once enough have been given. */
  readonly electionGrace: Milliseconds;
  /** How long to leave the claim to a better candidate before claiming all the same. */
  readonly candidateGrace: Milliseconds;
}

export const defaultSettings: Settings = { ttl: 5000, margin: 1000, electionGrace: 250, candidateGrace: 1000 };

/** The database beside the agent, as the engine last reported it. */
export type DatabaseState =
  | { readonly status: 'unknown' }
  /** No data directory. */
  | { readonly status: 'absent' }
  /** A data directory that an interrupted copy or rewind left behind: only a clone helps. */
  | { readonly status: 'broken'; readonly reason: string }
  | {
      readonly status: 'stopped';
      readonly systemIdentifier: string;
      readonly highestTimeline: number;
      /** Its log ends before its data does (it was rewound): it cannot start without WAL from a primary. */
      readonly needsPrimary: boolean;
    }
  | {
      readonly status: 'replica';
      readonly systemIdentifier: string;
      readonly following:
        { readonly epoch: Epoch; readonly instance: InstanceName; readonly address: string } | undefined;
      /** Final: nothing is being received, and nothing will be without a `follow`. */
      readonly sealed: Position | undefined;
      /** It cannot follow the primary of this epoch: its log left that history, or WAL that it needs is gone. */
      readonly diverged: { readonly epoch: Epoch; readonly remedy: 'rewind' | 'clone' } | undefined;
      /** Highest timeline number seen on disk, used or not. */
      readonly highestTimeline: number;
    }
  | {
      readonly status: 'primary';
      readonly systemIdentifier: string;
      readonly epoch: Epoch;
      readonly timeline: number;
      /** Clients are let in. */
      readonly open: boolean;
      /** The sync set that the database is known to keep to; undefined while that is not known. */
      readonly applied: SyncSet | undefined;
      readonly lineage: NonNullable<HistoryEntry['lineage']>;
    };

/** Signs of life of the running database, and of the disk below it (DESIGN §5, rule 10). */
export type Health =
  | { readonly status: 'well' }
  | {
      readonly status: 'failing';
      readonly reason: 'DatabaseHung' | 'DiskStalled' | 'DiskFull' | 'DiskReadOnly';
      /** Since when nothing has succeeded and nothing has moved. */
      readonly since: Milliseconds;
      /** For people: what was tried, and how long. */
      readonly detail: string;
    };

export interface HaState {
  readonly self: Voter & { readonly address: string };
  readonly settings: Settings;
  readonly now: Milliseconds;
  /** Wall-clock time in ISO 8601, for records that people read. */
  readonly wall: string;
  readonly view: ClusterView | undefined;
  /** Own lease; undefined before the first grant and after its loss. */
  readonly lease: string | undefined;
  /** Leadership of `epoch` is proven until then; past it the database must not be alive as primary. */
  readonly proven: { readonly epoch: Epoch; readonly until: Milliseconds } | undefined;
  /** Highest epoch promised or followed, as written on the instance's own disk. */
  readonly vow: Epoch;
  readonly database: DatabaseState;
  /** Epoch whose primary doesn't answer this instance any more. */
  readonly lostPrimaryOf: Epoch | undefined;
  /** As the running primary sees its replicas; undefined before it has looked, which says nothing about any of them. */
  readonly replicas: readonly ReplicaHealth[] | undefined;
  /** The process was told to end. */
  readonly ending: boolean;
  /** Since when enough promises for the next epoch stand, and when the leader key was first seen gone. */
  readonly quorumSince: { readonly epoch: Epoch; readonly at: Milliseconds } | undefined;
  readonly leaderGoneSince: { readonly epoch: Epoch; readonly at: Milliseconds } | undefined;
  /** Effects that have not reported back, at most one of each channel. */
  readonly inFlight: {
    readonly database: EffectType | undefined;
    readonly dcs: TxnPurpose | 'revoke-lease' | undefined;
    readonly disk: boolean;
  };
  /** A write of the sync set whose outcome is unknown: it may still land until the key has been rewritten (F4). */
  readonly syncUnsettled: boolean;
  /** Epoch in which this instance has told that its data will be replaced, so that the primary won't count it any more. */
  readonly retired: { readonly epoch: Epoch; readonly settled: boolean } | undefined;
  /** Effects that failed last time, not to be tried again before the moment given. */
  readonly backOff: ReadonlyMap<EffectType | TxnPurpose, Milliseconds>;
}

export type Event =
  | { readonly type: 'tick' }
  | { readonly type: 'view'; readonly view: ClusterView }
  | { readonly type: 'lease'; readonly lease: string | undefined }
  /** A keepalive sent at `sentAt` succeeded, and a read after it showed leader = me, epoch = mine. */
  | { readonly type: 'leadership-proven'; readonly sentAt: Milliseconds; readonly epoch: Epoch }
  | { readonly type: 'database'; readonly database: DatabaseState }
  /** The data directory was replaced: its word counts anew. */
  | { readonly type: 'incarnation'; readonly incarnation: string }
  | { readonly type: 'replicas'; readonly replicas: readonly ReplicaHealth[] }
  | { readonly type: 'primary-lost'; readonly epoch: Epoch | undefined }
  | { readonly type: 'vow-written'; readonly epoch: Epoch }
  | { readonly type: 'database-effect-ended'; readonly effect: EffectType; readonly ok: boolean }
  | { readonly type: 'txn-ended'; readonly purpose: TxnPurpose; readonly outcome: 'applied' | 'refused' | 'unknown' }
  | { readonly type: 'lease-revoked' }
  | { readonly type: 'ending' };

export type TxnPurpose =
  | 'bootstrap'
  | 'initialize'
  | 'promise'
  | 'claim'
  | 'reclaim'
  | 'sync'
  | 'release'
  | 'history'
  | 'retire'
  | 'refuse-switchover';

/** Comparisons and writes of one transaction, by key relative to the cluster's prefix. */
export interface Txn {
  readonly compare: readonly (
    | { readonly key: string; readonly is: 'absent' }
    | { readonly key: string; readonly is: 'value'; readonly value: string }
    | { readonly key: string; readonly is: 'modRevision'; readonly modRevision: number }
  )[];
  readonly writes: readonly (
    { readonly put: string; readonly value: unknown; readonly leased?: boolean } | { readonly delete: string }
  )[];
}

export type DatabaseEffect =
  /** SIGKILL of the whole process tree, verified gone. Goes ahead of whatever else is under way. */
  | { readonly type: 'kill'; readonly reason: string }
  | { readonly type: 'initialize' }
  /** Boots as a replica that follows nobody, or the primary without whose WAL it cannot start. */
  | { readonly type: 'start'; readonly from?: { readonly epoch: Epoch; readonly primary: Member } }
  | { readonly type: 'seal' }
  | {
      readonly type: 'follow';
      readonly epoch: Epoch;
      readonly primary: Member;
      readonly history: HistoryEntry | undefined;
    }
  | { readonly type: 'rewind'; readonly epoch: Epoch; readonly primary: Member }
  | { readonly type: 'clone'; readonly primary: Member }
  | { readonly type: 'promote'; readonly epoch: Epoch; readonly timeline: number; readonly sync: SyncSet }
  /** Lets clients in, once the members of the sync set that must have it hold the whole log (rule 8). */
  | { readonly type: 'open' }
  | { readonly type: 'configure-sync'; readonly to: SyncSet; readonly barrier: boolean }
  /** Clean stop for a planned hand-over: checkpoint while serving, then clients out, then the shutdown checkpoint. */
  | { readonly type: 'stop' };

export type Effect =
  | DatabaseEffect
  | { readonly type: 'write-vow'; readonly epoch: Epoch }
  | { readonly type: 'txn'; readonly purpose: TxnPurpose; readonly txn: Txn }
  /** The lease of this volume's former life, whose processes are known to be gone. */
  | { readonly type: 'revoke-lease'; readonly lease: string };

export type EffectType = DatabaseEffect['type'];

export interface Decision {
  readonly effects: readonly Effect[];
  /** In words, for people: what this instance waits for or is doing. */
  readonly because: string;
}
