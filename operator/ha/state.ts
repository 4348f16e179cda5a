/** What one instance's agent knows, what can happen to it, and what it can ask for. */
import type {
  Epoch,
  HistoryEntry,
  InstanceName,
  Member,
  Position,
  UpgradeRequest,
  Voter,
} from '../api/cluster-state.ts';
import type { Phase } from './phases.ts';
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
  /** For how long a replica gives its word not to promise, while etcd is silent (rule 9). */
  readonly pledge: Milliseconds;
  /** How long etcd must have been silent for a replica before it gives its word. */
  readonly dcsSilence: Milliseconds;
}

export const defaultSettings: Settings = {
  ttl: 5000,
  margin: 1000,
  electionGrace: 250,
  candidateGrace: 1000,
  pledge: 6000,
  dcsSilence: 1500,
};

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
      /**
       * Made by `initialize` on this very volume, and neither copied nor brought (as a file there tells, beside the data); whether
       * they have served since, the vow tells. Without it nobody founds a cluster upon them, and nobody replaces them.
       */
      readonly initializedHere: boolean;
      /** It was stopped in order, as a primary; absent: not, or that can't be told. */
      readonly clean?: true;
      /** Milliseconds until it could let sessions in again, as far as can be told. */
      readonly recovery?: Milliseconds;
      /** It must not start as it is: its log ends with what the primary of this epoch lacks, and a start would make that permanent. */
      readonly diverged?: { readonly epoch: Epoch; readonly remedy: 'rewind' | 'clone' } | undefined;
      /** Beside its data are those of the next version, made from them, complete. */
      readonly upgraded?: { readonly request: string; readonly version: string; readonly systemIdentifier: string };
      /** Why they could not be made. */
      readonly upgradeRefusal?: { readonly request: string; readonly reason: string };
    }
  | {
      readonly status: 'replica';
      readonly systemIdentifier: string;
      readonly following:
        { readonly epoch: Epoch; readonly instance: InstanceName; readonly address: string } | undefined;
      /** Final: nothing is being received, and nothing will be without a `follow`. */
      readonly sealed: Position | undefined;
      /** Bytes that were received and not yet replayed when it was sealed. */
      readonly backlog?: number;
      /** It cannot follow the primary of this epoch: its log left that history, or WAL that it needs is gone. */
      readonly diverged: { readonly epoch: Epoch; readonly remedy: 'rewind' | 'clone' } | undefined;
      /** Whether its log is part of this epoch's history can't be told before the primary has written that down. */
      readonly unjudged?: { readonly epoch: Epoch };
      /** Timeline that the sealed log ends on. */
      readonly timeline?: number;
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
      readonly marker?: string | undefined;
      /** Whether it could be upgraded as asked for. */
      readonly upgradeCheck?: {
        readonly request: string;
        readonly outcome: 'running' | 'passed' | 'refused';
        readonly reason?: string;
      };
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
  /** When the newest view came. */
  readonly viewAt: Milliseconds;
  readonly seen: Seen;
  /** Own lease; undefined before the first grant and after its loss. */
  readonly lease: string | undefined;
  /** Leadership of `epoch` is proven until then; past it the database must not be alive as primary. */
  readonly proven: { readonly epoch: Epoch; readonly until: Milliseconds } | undefined;
  /** Highest epoch promised or followed, as written on the instance's own disk. */
  readonly vow: Epoch;
  readonly database: DatabaseState;
  readonly health: Health;
  /** When this process began. */
  readonly startedAt: Milliseconds;
  /** Its former life may have given its word shortly before it ended. */
  readonly mayHavePledged: boolean;
  /** When the last call that etcd answered was sent. */
  readonly dcsHeardAt: Milliseconds | undefined;
  /** This replica's word to the primary of `epoch`: no promise before `until`. */
  readonly pledged: { readonly epoch: Epoch; readonly until: Milliseconds } | undefined;
  /** The word of its replicas to this primary, good until then by its own clock. */
  readonly pledges: ReadonlyMap<InstanceName, Pledge>;
  /** When the database ended by itself while it was primary, lately. */
  readonly crashes: readonly Milliseconds[];
  /** This instance has given up leadership of `epoch` then, with nothing to gain from coming back soon. */
  readonly released: { readonly epoch: Epoch; readonly at: Milliseconds } | undefined;
  /** Leadership of this epoch is being given up because the database fails: the lease is not renewed any more. */
  readonly givingUp: { readonly epoch: Epoch; readonly reason: string } | undefined;
  /** Where each instance's log was when it last said so: what may be lost with those that are missing. */
  readonly lastPositions: ReadonlyMap<InstanceName, Position>;
  /** Epoch whose primary doesn't answer this instance any more. */
  readonly lostPrimaryOf: Epoch | undefined;
  /** When the primary of that epoch last answered this instance, or told etcd of itself, as far as could be seen. */
  readonly primaryHeard: { readonly epoch: Epoch; readonly at: Milliseconds } | undefined;
  readonly lostSince: Milliseconds | undefined;
  /** When the primary answered an alarm of this instance's by claiming again, lately. */
  readonly falseAlarms: readonly Milliseconds[];
  /** The newest epoch in which enough members of the sync set to acknowledge said that they stream. */
  readonly followedIn: Epoch | undefined;
  /** Epoch whose primary a start under way depends on. */
  readonly startingFrom: Epoch | undefined;
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
  /** What writes of unknown outcome, or under way, may yet make the sync set; empty once the key has been rewritten (F4). */
  readonly syncUnsettled: readonly SyncSet[];
  /** Epoch in which this instance has told that its data will be replaced, so that the primary won't count it any more. */
  readonly retired:
    | {
        readonly epoch: Epoch;
        readonly settled: boolean;
        /** When it was told last, and since when nothing else has been. */
        readonly at: Milliseconds;
        readonly since: Milliseconds;
      }
    | undefined;
  /** Effects that failed last time, not to be tried again before the moment given. */
  readonly backOff: ReadonlyMap<Pausable, Milliseconds>;
  /** Rewinds and clones that ended lately, well or not. */
  readonly copies: readonly Copy[];
  /** Starts in a row that failed while another instance served as primary. */
  readonly startFailures: { readonly count: number; readonly since: Milliseconds } | undefined;
}

export interface Copy {
  readonly effect: 'rewind' | 'clone';
  readonly ok: boolean;
  readonly at: Milliseconds;
  /** Clients could not write then for lack of replicas. */
  readonly awaited: boolean;
}

/** What this instance remembers of etcd, on its own disk: an etcd restored from a snapshot may look like itself (F9). */
export interface Seen {
  readonly adoptions: number;
  readonly revision: number;
  /** It has gone back since; only an adoption ends that, since its revisions grow past what they were. */
  readonly rewound: boolean;
}

export const nothingSeen: Seen = { adoptions: 0, revision: 0, rewound: false };

/** What is not tried again at once after it has failed. */
export type Pausable = EffectType | TxnPurpose | 'write-vow' | 'revoke-lease';

/** A replica of `epoch` has said: no promise of the next epoch before `until`. */
export interface Pledge {
  readonly voter: Voter;
  readonly epoch: Epoch;
  readonly until: Milliseconds;
}

export type Event =
  | { readonly type: 'tick' }
  /** `askedAt`: of the answer to a linearizable read, when it was asked. */
  | { readonly type: 'view'; readonly view: ClusterView; readonly askedAt?: Milliseconds }
  | { readonly type: 'lease'; readonly lease: string | undefined }
  /** etcd has answered a call that was sent then. */
  | { readonly type: 'dcs-heard'; readonly sentAt: Milliseconds }
  /** A keepalive sent at `sentAt` succeeded, and a read after it showed leader = me, epoch = mine. */
  | { readonly type: 'leadership-proven'; readonly sentAt: Milliseconds; readonly epoch: Epoch }
  | { readonly type: 'database'; readonly database: DatabaseState }
  /** The data directory was replaced: its word counts anew. */
  | { readonly type: 'incarnation'; readonly incarnation: string }
  | { readonly type: 'replicas'; readonly replicas: readonly ReplicaHealth[] }
  | { readonly type: 'health'; readonly health: Health }
  | { readonly type: 'primary-heard'; readonly epoch: Epoch }
  | { readonly type: 'primary-lost'; readonly epoch: Epoch | undefined }
  /** This replica is about to give its word, counted from now. */
  | { readonly type: 'pledged'; readonly epoch: Epoch }
  /** A replica has given its word, after this primary sent the question at `askedAt`. */
  | { readonly type: 'pledge-received'; readonly voter: Voter; readonly epoch: Epoch; readonly askedAt: Milliseconds }
  | { readonly type: 'vow-written'; readonly epoch: Epoch }
  | { readonly type: 'vow-failed' }
  | { readonly type: 'database-effect-ended'; readonly effect: EffectType; readonly ok: boolean }
  | { readonly type: 'txn-ended'; readonly purpose: TxnPurpose; readonly outcome: 'applied' | 'refused' | 'unknown' }
  | { readonly type: 'lease-revoked'; readonly ok: boolean }
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
  | 'refuse-switchover'
  | 'refuse-failover'
  | 'answer-restart'
  | 'refuse-upgrade'
  | 'upgrade'
  | 'answer-reinitialize'
  | 'warn-of-rewind'
  | 'offer-adoption'
  | 'adopt';

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
  | { readonly type: 'kill'; readonly reason: string; readonly givesUp?: string }
  | { readonly type: 'initialize' }
  /** Boots as a replica that follows nobody, or the primary without whose WAL it cannot start. */
  | { readonly type: 'start'; readonly from?: { readonly epoch: Epoch; readonly primary: Member } }
  /** `adopting`: the log may end on a timeline of an epoch that etcd has forgotten. */
  | { readonly type: 'seal'; readonly adopting?: true }
  | {
      readonly type: 'follow';
      readonly epoch: Epoch;
      readonly primary: Member;
      readonly history: HistoryEntry | undefined;
    }
  | { readonly type: 'rewind'; readonly epoch: Epoch; readonly primary: Member }
  /** `mayDiscardOld`: should there be no room beside it, because at least two others hold all that it could. */
  | { readonly type: 'clone'; readonly source: Member; readonly mayDiscardOld: boolean }
  | { readonly type: 'promote'; readonly epoch: Epoch; readonly timeline: number; readonly sync: SyncSet }
  /** Lets clients in, once the members of the sync set that must have it hold the whole log (rule 8). */
  | { readonly type: 'open' }
  | { readonly type: 'configure-sync'; readonly to: SyncSet; readonly barrier: boolean }
  /** Clean stop for a planned hand-over: checkpoint while serving, then clients out, then the shutdown checkpoint. */
  | {
      readonly type: 'stop';
      /** It shall come back as what it is: nobody else is waiting for its log. */
      readonly inPlace?: true;
    }
  /** Begins to look whether the upgrade is possible, while the database serves. */
  | { readonly type: 'check-upgrade'; readonly request: UpgradeRequest }
  /** Makes the next version's data beside those of the stopped database. */
  | { readonly type: 'upgrade'; readonly request: UpgradeRequest }
  /** The new data take the place of the old, which are kept. */
  | { readonly type: 'take-upgraded' };

export type Effect =
  | DatabaseEffect
  | { readonly type: 'write-vow'; readonly epoch: Epoch }
  | { readonly type: 'remember'; readonly seen: Seen }
  | { readonly type: 'txn'; readonly purpose: TxnPurpose; readonly txn: Txn }
  /** The lease of this volume's former life, whose processes are known to be gone. */
  | { readonly type: 'revoke-lease'; readonly lease: string };

export type EffectType = DatabaseEffect['type'];

export interface Decision {
  readonly phase: Phase;
  readonly effects: readonly Effect[];
  /** In words, for people: what this instance waits for or is doing. */
  readonly because: string;
}
