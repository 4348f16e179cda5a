/**
 * What a cluster keeps in etcd: the keys under its prefix and the shapes of their values (JSON).
 * The operator writes `definition`, `declaration`, `requests/*`, `fences/*` and `operations/*`; everything else is written by the agents.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';

export type InstanceName = string;
/** Counter bumped with every change of primary: the fencing token. 0 = no primary has ever been. */
export type Epoch = number;

export interface ClusterIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export function clusterPrefix(cluster: ClusterIdentity): string {
  return `/mainstay/${cluster.namespace}/${cluster.name}-${cluster.uid}/`;
}

/** Keys relative to the cluster's prefix. */
export const keys = {
  definition: 'definition',
  declaration: 'declaration',
  declared: 'declared',
  bootstrap: 'bootstrap',
  initialize: 'initialize',
  epoch: 'epoch',
  group: 'group',
  leader: 'leader',
  release: 'release',
  sync: 'sync',
  member: (instance: InstanceName) => `members/${instance}`,
  promise: (instance: InstanceName) => `promises/${instance}`,
  history: (epoch: Epoch) => `history/${String(epoch).padStart(10, '0')}`,
  switchover: 'requests/switchover',
  failover: 'requests/failover',
  adopt: 'requests/adopt',
  restart: (instance: InstanceName) => `requests/restart/${instance}`,
  upgrade: 'requests/upgrade',
  reinitialize: (instance: InstanceName) => `requests/reinitialize/${instance}`,
  fence: (instance: InstanceName) => `fences/${instance}`,
  answer: 'answer',
  operation: (name: string) => `operations/${name}`,
  rewound: 'rewound',
  adoption: (instance: InstanceName) => `adoptions/${instance}`,
} as const;

const instance = z.string().min(1);
const epoch = z.int().nonnegative();

/** An instance and the life of its data: a new or re-cloned volume is another incarnation, whose word counts anew. */
export const Voter = z.object({ instance, incarnation: z.string().min(1) }).readonly();
export type Voter = z.output<typeof Voter>;

/** Where a log ends: the epoch of its last record first, then the byte position, as in "0/3000060". */
const LsnPosition = z.object({ epoch, lsn: z.string() }).readonly();
export type LsnPosition = z.output<typeof LsnPosition>;

/** The same where a log is known by the transactions in it (operator/ha/gtid-set.ts): received, applied or not. */
const GtidPosition = z.object({ epoch, gtids: z.string() }).readonly();
export type GtidPosition = z.output<typeof GtidPosition>;

export const Position = z.union([LsnPosition, GtidPosition]);
export type Position = z.output<typeof Position>;

/** What sets one instance apart from the others, as Patroni's tags do. */
export const Tags = z
  .object({
    /** Among instances that may lead, the highest is preferred. */
    priority: z.int().default(0),
    /** Never becomes primary by itself; its promise counts all the same. */
    noFailover: z.boolean().default(false),
    /** Never a member of the sync set. */
    noSync: z.boolean().default(false),
    /** Seconds that it stays behind on purpose. */
    replayDelay: z.number().positive().optional(),
  })
  .readonly();
export type Tags = z.output<typeof Tags>;

export const TlsRules = z
  .object({
    /** Clients from the network are let in only over TLS. */
    required: z.boolean(),
    minVersion: z.enum(['TLSv1.2', 'TLSv1.3']),
    /** Of TLS 1.2, as OpenSSL lists them; absent: the database's own default. */
    ciphers: z.string().optional(),
    /** Every instance has a certificate, so that none needs a password to follow another. */
    certificatesOnly: z.boolean(),
  })
  .readonly();
export type TlsRules = z.output<typeof TlsRules>;

/** Settings of PostgreSQL that are no parameters. */
export const PostgresSettings = z
  .object({
    libraries: z.array(z.string()).readonly(),
    /** Lines of pg_hba.conf and pg_ident.conf. */
    hba: z.array(z.string()).readonly(),
    ident: z.array(z.string()).readonly(),
  })
  .readonly();
export type PostgresSettings = z.output<typeof PostgresSettings>;

const BootstrapDefinition = z
  .object({
    encoding: z.string(),
    localeProvider: z.enum(['builtin', 'icu', 'libc']),
    locale: z.string(),
    icuLocale: z.string().optional(),
    dataChecksums: z.boolean(),
    walSegmentMegabytes: z.int().positive(),
    /** In order; `file` is its name in the agent's folder for them, `source` what people call it. */
    postInitSql: z
      .array(
        z
          .object({
            database: z.enum(['application', 'postgres']),
            file: z.string(),
            source: z.string(),
            /** Its text must not be shown. */
            secret: z.boolean(),
          })
          .readonly(),
      )
      .readonly(),
  })
  .readonly();
export type BootstrapDefinition = z.output<typeof BootstrapDefinition>;

export const logLevels = ['error', 'warn', 'info', 'debug', 'trace'] as const;

export const engineNames = ['postgres', 'mysql'] as const;
export type EngineName = (typeof engineNames)[number];

/** Cluster definition, published by the operator, cached by the agents on their volumes. */
export const Definition = z
  .object({
    /** metadata.generation of the custom resource it was made from. */
    generation: z.int(),
    engine: z.enum(engineNames),
    version: z.string(),
    /** Instances that should exist. */
    instances: z.array(instance).readonly(),
    durability: z
      .object({ mode: z.enum(['Strict', 'Preferred', 'Async']), acknowledgements: z.int().min(0) })
      .readonly(),
    /** Database parameters of the user. */
    parameters: z.record(z.string(), z.string()).readonly(),
    /** The same by what an instance may use; the user's win. */
    defaults: z.record(z.string(), z.string()).readonly().optional(),
    postgres: PostgresSettings.optional(),
    /** Database and owner made at bootstrap. */
    application: z.object({ database: z.string(), owner: z.string() }).readonly(),
    /** How the first data are made. */
    bootstrap: BootstrapDefinition.optional(),
    paused: z.boolean().default(false),
    /** Of the agents' own lines; absent: as they were started. */
    logLevel: z.enum(logLevels).optional(),
    /** The cluster has had data: an etcd that knows nothing of it must not make it found itself anew. */
    founded: z.boolean().optional(),
    /** Bytes a second that a clone takes from its source at most; absent: as many as it can. */
    copyRate: z.number().positive().optional(),
    /** Of instances that have any. */
    tags: z.record(instance, Tags).readonly().optional(),
    tls: TlsRules.optional(),
    /** MySQL's Group Replication elects, not the agents; absent: they do. */
    group: z
      .object({ mode: z.enum(['SinglePrimary', 'MultiPrimary']) })
      .readonly()
      .optional(),
  })
  .readonly();
export type Definition = z.output<typeof Definition>;

/** `declared`: what the primary has made of `declaration`, whose text only the engine and who wrote it understand. */
export const Declared = z
  .object({
    /** Digest of the text it is about. */
    declaration: z.string(),
    instance,
    /** One for each object that is not, or no longer, as it was asked for. */
    findings: z
      .array(
        z
          .object({
            kind: z.enum(['role', 'database']),
            name: z.string(),
            /** failed: could not be brought about. waiting: will be, by itself. drifted: was, and somebody has changed it. */
            state: z.enum(['failed', 'waiting', 'drifted']),
            /** What is so, and what to do. */
            text: z.string(),
          })
          .readonly(),
      )
      .readonly(),
    at: z.string(),
  })
  .readonly();
export type Declared = z.output<typeof Declared>;
export type Finding = Declared['findings'][number];

export const declarationDigest = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

/** `initialize`: this cluster has data, and which. */
export const Initialize = z
  .object({
    systemIdentifier: z.string(),
    etcdClusterId: z.string(),
    /** How often another etcd, or one that went back in time, was adopted; absent: never. */
    adoptions: z.int().nonnegative().optional(),
    /** Major version, once there has been an upgrade; before, that of the definition. */
    version: z.string().optional(),
    /** System identifiers of the data before each upgrade. */
    outgrown: z.array(z.string()).readonly().optional(),
    at: z.string(),
  })
  .readonly();
export type Initialize = z.output<typeof Initialize>;

/** `leader`, attached to the holder's lease. */
export const Leader = z.object({ instance, incarnation: z.string(), epoch, lease: z.string() }).readonly();
export type Leader = z.output<typeof Leader>;

/**
 * `group`: the last replication group that somebody was allowed to bootstrap. Its number is the epoch with which it began, part
 * of the group's name, and so of every GTID given in it: no member of another group can join it, and no number comes twice.
 */
export const GroupRecord = z
  .object({
    number: epoch,
    instance,
    incarnation: z.string(),
    /** Of the one process that may bootstrap it, and only once: whoever comes later can but join. */
    right: z.string(),
    at: z.string(),
  })
  .readonly();
export type GroupRecord = z.output<typeof GroupRecord>;

/** `release`: the holder of `epoch` gave up leadership after its database had ended; no write of that epoch can follow. */
export const Release = z
  .object({
    epoch,
    instance,
    reason: z.string(),
    /** Successor that was asked for. */
    candidate: instance.optional(),
    /** Milliseconds in which the holder expects to be back, its log whole; absent: it doesn't want to lead again. */
    restart: z.number().nonnegative().optional(),
  })
  .readonly();
export type Release = z.output<typeof Release>;

/** `sync`: the members whose acknowledgement counts, and how many of them each write needs before it is acknowledged. */
export const SyncState = z
  .object({ epoch, primary: Voter, members: z.array(Voter).readonly(), acknowledgements: z.int().min(0) })
  .readonly();
export type SyncState = z.output<typeof SyncState>;

/** `promises/<instance>`: never again to receive from an epoch older than `epoch`; `position` is final. */
export const PromiseRecord = z
  .object({
    instance,
    incarnation: z.string(),
    epoch,
    position: Position,
    /** Bytes of the log that are still to be replayed before it could serve. */
    backlog: z.number().nonnegative().optional(),
  })
  .readonly();
export type PromiseRecord = z.output<typeof PromiseRecord>;

export const memberStates = [
  'waiting', // no data yet, and no primary to clone from
  'initializing', // first bootstrap
  'cloning',
  'rewinding',
  'starting',
  'diverged', // its log left the primary's history; waits to be rewound or cloned
  'streaming', // replica that follows the primary
  'sealed', // replica that has stopped receiving, during an election
  'promoting',
  'running', // primary, open to clients
  'stopped',
] as const;

/** One file system of an instance. */
export const DiskUse = z
  .object({
    name: z.enum(['data', 'wal']),
    /** Bytes. */
    size: z.number(),
    usedPercent: z.number(),
    /** It has been so full that the database needed the agent's reserve, and is still. */
    reserveLent: z.boolean().optional(),
  })
  .readonly();
export type DiskUse = z.output<typeof DiskUse>;

/** What the database has found damaged in its own files. */
export const Corruption = z
  .object({
    databases: z.array(z.string()).readonly(),
    /** When it was first seen, ISO 8601. */
    since: z.string(),
    /** The first complaint, or how many pages have failed their checksum. */
    detail: z.string(),
    /** Its own pages or files are damaged, so that a copy from another instance is whole; absent: nobody knows, or it didn't help. */
    copyHelps: z.boolean().optional(),
  })
  .readonly();
export type Corruption = z.output<typeof Corruption>;

/** The end of a former primary's log that nobody was told of, and that the cluster went on without. */
export const CutTail = z
  .object({
    /** Of users. */
    transactions: z.int(),
    gtids: z.string(),
    /** When it was cut off, ISO 8601. */
    at: z.string(),
    /** Where it is kept, on the instance's volume. */
    file: z.string(),
  })
  .readonly();
export type CutTail = z.output<typeof CutTail>;

/** `members/<instance>`, attached to the instance's lease; refreshed about once a second. */
export const Member = z
  .object({
    instance,
    incarnation: z.string(),
    state: z.enum(memberStates),
    role: z.enum(['primary', 'replica']),
    /** Address and ports that peers and clients use. */
    address: z.string(),
    databasePort: z.int(),
    agentPort: z.int(),
    /** Its agent hears peers by TLS at that port, and knows them by their certificate; absent: it doesn't. */
    agentTls: z.boolean().optional(),
    node: z.string(),
    version: z.string(),
    /** Major versions in its image. */
    versions: z.array(z.string()).readonly().optional(),
    timeline: z.int().optional(),
    /** Last flushed position; absent while unknown. */
    position: Position.optional(),
    /** Bytes of the log, or what amounts to them, that are there and not replayed yet. */
    backlog: z.number().nonnegative().optional(),
    /** Highest epoch that it has promised or followed. */
    vow: epoch.optional(),
    /** Epoch whose primary this instance can't reach any more; absent while all is well. */
    lostPrimaryOf: epoch.optional(),
    /** Why its database or disk is not well; absent: it is. */
    failing: z.string().optional(),
    disks: z.array(DiskUse).readonly().optional(),
    /** Clients write nothing by default, as the disk is full. */
    keepsClientsFromWriting: z.boolean().optional(),
    corruption: Corruption.optional(),
    cutTail: CutTail.optional(),
    /** Fingerprint of the TLS files that its database uses (operator/api/tls-files.ts); absent: none. */
    certificates: z.string().optional(),
    /** Generation of the definition whose settings its database has been given. */
    generation: z.int().optional(),
    /** Why its database does not take those settings, and keeps the former ones. */
    settingsRefused: z.string().optional(),
    /** How far its clone or rewind has come. */
    copy: z.object({ doneBytes: z.number(), totalBytes: z.number() }).readonly().optional(),
    /** Names of parameters that wait for a restart. */
    pendingRestart: z.array(z.string()).readonly().optional(),
    /** Where its database takes part in a replication group: as it sees that. */
    group: z
      .object({
        number: epoch,
        /** ONLINE or RECOVERING, and in touch with a majority. */
        taking: z.boolean(),
        /** And up to date. */
        online: z.boolean(),
        /** Counts the changes of the group's membership. */
        view: z.int().nonnegative(),
      })
      .readonly()
      .optional(),
    /** Primary: values in force of the parameters that Mainstay has defaults for. */
    effective: z.record(z.string(), z.string()).readonly().optional(),
    /** A successor could not bring them about: this primary has to come back with them itself. */
    restartInPlace: z.boolean().optional(),
    /** Which passwords of `declaration` for connections among the instances it holds, as a digest of their verifiers. */
    credentials: z.string().optional(),
    /** Why its first data could not be made. */
    bootstrapFailure: z.string().optional(),
    /** What the instance is waiting for or failing at, for people. */
    message: z.string().optional(),
  })
  .readonly();
export type Member = z.output<typeof Member>;

/** `history/<epoch>`: who became primary, on which timeline, from which position, and why. */
export const HistoryEntry = z
  .object({
    epoch,
    winner: instance,
    reason: z.string(),
    timeline: z.int().optional(),
    /** The winner's final position when it claimed. */
    position: Position.optional(),
    /** The first record of its timeline: another timeline may have been given the same number by an etcd that was lost. */
    marker: z.string().optional(),
    /** Ancestry of the new timeline, known once the promotion is over: each earlier timeline and where it was left. */
    lineage: z
      .array(z.object({ timeline: z.int(), end: z.string() }).readonly())
      .readonly()
      .optional(),
    /** Claimed without proof that nothing was lost, because a person accepted that; who and why. */
    forced: z
      .object({ request: z.string(), reason: z.string(), missing: z.array(instance).readonly() })
      .readonly()
      .optional(),
    at: z.string(),
  })
  .readonly();
export type HistoryEntry = z.output<typeof HistoryEntry>;

/** `requests/switchover`, written by the operator or the CLI; removed by the agent that carried it out or refused it. */
export const SwitchoverRequest = z
  .object({
    id: z.string(),
    /** Only if this instance is still primary. */
    from: instance,
    /** Preferred successor; the best one if absent. */
    to: instance.optional(),
    reason: z.string(),
    /** Wall-clock time, ISO 8601, after which the request is void. */
    deadline: z.string(),
  })
  .readonly();
export type SwitchoverRequest = z.output<typeof SwitchoverRequest>;

/** `requests/failover`, written by a person through the CLI or the operator: somebody must lead, although nobody can prove to hold all. */
export const FailoverRequest = z
  .object({
    id: z.string(),
    /** Who shall lead. */
    to: instance,
    /** Acknowledged writes that only the missing instances hold may be lost. Without it an unsafe request is refused. */
    acceptDataLoss: z.boolean().default(false),
    /** The missing instances are known to be off: none of them serves on in a partition. */
    fenced: z.boolean().default(false),
    /** Kept in history. */
    reason: z.string(),
    /** Wall-clock time, ISO 8601, after which the request is void. */
    deadline: z.string(),
  })
  .readonly();
export type FailoverRequest = z.output<typeof FailoverRequest>;

/**
 * `requests/restart/<instance>`, written by the operator or the CLI: its database shall end cleanly and start anew in place,
 * for settings that need that. A replica just does; a primary gives up its epoch and claims the next one, unless it takes so
 * long that another does. Removed by its agent when the database has ended, or refused; `answer` says which.
 */
export const RestartRequest = z
  .object({
    id: z.string(),
    reason: z.string(),
    /** Wall-clock time, ISO 8601, after which the request is void. */
    deadline: z.string(),
  })
  .readonly();
export type RestartRequest = z.output<typeof RestartRequest>;

/**
 * `requests/reinitialize/<instance>`: the data of this incarnation shall be replaced by a clone. A replica leaves the sync set,
 * clones and follows again; a primary refuses. Removed by its agent, with an answer.
 */
export const ReinitializeRequest = z
  .object({
    id: z.string(),
    /** One that has another by now has been cloned since. */
    incarnation: z.string(),
    reason: z.string(),
    /** Wall-clock time, ISO 8601, after which it is not begun any more. */
    deadline: z.string(),
  })
  .readonly();
export type ReinitializeRequest = z.output<typeof ReinitializeRequest>;

/** `fences/<instance>`: as long as it is there, the database of this incarnation stays stopped; a primary hands over first. */
export const Fence = z.object({ id: z.string(), incarnation: z.string(), reason: z.string() }).readonly();
export type Fence = z.output<typeof Fence>;

/** `requests/adopt`: etcd was restored or replaced; the cluster shall go on with this one. */
export const AdoptRequest = z
  .object({
    id: z.string(),
    /** The etcd that is meant, as it calls itself. */
    etcdClusterId: z.string(),
    /** Instances that may be missing although they may hold acknowledged writes that the others lack. */
    without: z.array(instance).readonly().default([]),
    reason: z.string(),
  })
  .readonly();
export type AdoptRequest = z.output<typeof AdoptRequest>;

/** `requests/upgrade`, written by the operator: the primary makes the next major version's data, and the cluster goes on with them. */
export const UpgradeRequest = z
  .object({
    id: z.string(),
    /** Only if this instance is still primary. */
    from: instance,
    /** Major version. */
    to: z.string(),
    /** How data files get into the new directory. After Link, the old version is no way back once the new one has served. */
    transfer: z.enum(['Copy', 'Clone', 'Link']).default('Copy'),
    /** Wall-clock time, ISO 8601, after which it is not begun. */
    deadline: z.string(),
  })
  .readonly();
export type UpgradeRequest = z.output<typeof UpgradeRequest>;

/** `rewound`: this instance has seen etcd at a later revision than it shows now; until an adoption nobody elects. */
export const Rewound = z.object({ instance, revision: z.int(), at: z.string() }).readonly();
export type Rewound = z.output<typeof Rewound>;

/** `adoptions/<instance>`: it is sealed for the adoption asked for, with its log ending there. */
export const AdoptionRecord = z
  .object({
    request: z.string(),
    instance,
    incarnation: z.string(),
    vow: epoch,
    position: Position,
    timeline: z.int(),
    highestTimeline: z.int(),
    adoptions: z.int().nonnegative(),
    systemIdentifier: z.string(),
  })
  .readonly();
export type AdoptionRecord = z.output<typeof AdoptionRecord>;

/** `answer`: what became of the last request. */
export const Answer = z
  .object({ id: z.string(), instance, outcome: z.enum(['done', 'refused']), reason: z.string(), at: z.string() })
  .readonly();
export type Answer = z.output<typeof Answer>;

/**
 * `operations/<name of the ClusterOperation>`: it was begun, or has ended otherwise. Written by the operator alone, and what keeps
 * an operation from being carried out twice, whatever becomes of its object or its status.
 */
export const OperationRecord = z
  .object({
    /** Of the object. */
    uid: z.string(),
    type: z.string(),
    state: z.enum(['running', 'complete', 'failed']),
    /** Reason of the condition Complete or Failed. */
    reason: z.string(),
    message: z.string(),
    /** Wall-clock times, ISO 8601. `startedAt` is absent if it never was begun. */
    startedAt: z.string().optional(),
    finishedAt: z.string().optional(),
    deadline: z.string(),
    /** When it was begun: the epoch, and who led. */
    epoch,
    primary: instance.optional(),
    /** Who shall lead, if somebody in particular was asked for. */
    to: instance.optional(),
    /** What it asked of the agents last, and whom it is about. */
    request: z.object({ key: z.string(), id: z.string(), instance: instance.optional() }).readonly().optional(),
    /** Instances to work on, one after the other, and those that are done. */
    targets: z.array(instance).readonly().default([]),
    done: z.array(instance).readonly().default([]),
  })
  .readonly();
export type OperationRecord = z.output<typeof OperationRecord>;
