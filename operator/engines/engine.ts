/** The seam between the protocol and a database: one folder beside this file per database, with the same files. */
import type {
  Definition,
  Epoch,
  Finding,
  HistoryEntry,
  InstanceName,
  Member,
  Position,
  Voter,
} from '../api/cluster-state.ts';
import type { DatabaseEffect, DatabaseState, Health } from '../ha/state.ts';
import type { Sight } from '../ha/group/sight.ts';
import type { ReplicaHealth } from '../ha/sync-set.ts';

export type EffectInContext = Exclude<DatabaseEffect, { readonly type: 'kill' }>;

/** What an effect may need to know of the cluster. */
export interface EngineContext {
  readonly definition: Definition;
  readonly history: ReadonlyMap<Epoch, HistoryEntry>;
  readonly incarnation: string;
  /** Where the logs of the instances that live end, by their own word. */
  readonly positions: ReadonlyMap<InstanceName, Position>;
  /** Whose acknowledgements count, by etcd; absent: not known. */
  readonly sync?: readonly Voter[];
  /** Those are too few to acknowledge anything: the primary takes in whom it finds before etcd counts them (rule 6). */
  readonly syncBegins?: boolean;
  /** What shall be inside the database, as the operator has written it. */
  readonly declaration?: string;
}

/** What can be measured of a living database, for peers and people. */
export interface Observation {
  readonly member: Pick<
    Member,
    | 'timeline'
    | 'position'
    | 'backlog'
    | 'pendingRestart'
    | 'restartInPlace'
    | 'settingsRefused'
    | 'effective'
    | 'certificates'
    | 'message'
    | 'credentials'
  >;
  /** Replica: receiving from its primary now. */
  readonly streaming: boolean;
  /** Primary: its replicas. */
  readonly replicas: readonly ReplicaHealth[];
}

/** How far a copy of data has come. */
export interface CopyProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** How a member comes into a group. */
export interface Joining {
  readonly number: number;
  /** Its own, as others reach it. */
  readonly address: string;
  /** Members that are there. */
  readonly seeds: readonly string[];
  /** Among members that could be elected, the highest is; 0 to 100. */
  readonly weight: number;
}

/** A database that elects its primary itself: what its agent can tell it. */
export interface GroupServer {
  look(signal: AbortSignal): Promise<Sight>;
  /** With `bootstrap` as the first member: to be done once for each number. A server of which it isn't known whether it did is ended. */
  join(joining: Joining, bootstrap: boolean, context: EngineContext, signal: AbortSignal): Promise<void>;
  /** Resolves when it is out, read-only, and its log final. */
  leave(context: EngineContext, signal: AbortSignal): Promise<void>;
  /** Lets clients in, or shuts them out and ends their sessions. */
  setOpen(open: boolean, context: EngineContext, signal: AbortSignal): Promise<void>;
  /** Another member becomes primary. */
  handOver(incarnation: string, signal: AbortSignal): Promise<void>;
}

export interface Engine {
  /** Where the database can elect by itself. */
  readonly group?: GroupServer;
  /** Looks at the data directory; no process may be running on it. */
  inspect(): Promise<DatabaseState>;
  /**
   * Carries out one effect and resolves with the state after it. Rejects when it could not; the state is then what
   * `state()` says. After an abort no further step is taken.
   */
  run(effect: EffectInContext, context: EngineContext, signal: AbortSignal): Promise<DatabaseState>;
  /** SIGKILL of the whole process tree, verified gone: needs to know nothing, and goes ahead of whatever `run` is busy with. */
  kill(signal: AbortSignal): Promise<DatabaseState>;
  state(): DatabaseState;
  /** Of the rewind or the clone under way, once it is known. */
  copyProgress(): CopyProgress | undefined;
  /** What is to be told of the instance whether a server runs or not. */
  standing(): Pick<Member, 'disks' | 'corruption' | 'cutTail'>;
  observe(context: EngineContext, signal: AbortSignal): Promise<Observation>;
  /** Brings the settings of a running database to the definition; does nothing where they are. */
  configure(definition: Definition, signal: AbortSignal): Promise<void>;
  /**
   * Primary: brings about what the declaration asks for inside the database, and tells what is not, or no longer, so.
   * `lacking`: which instances don't hold the credentials of this digest yet.
   */
  declare(
    declaration: string,
    lacking: (credentials: string) => readonly InstanceName[],
    signal: AbortSignal,
  ): Promise<readonly Finding[]>;
  /** Called when the state changed by itself: the process has ended, all its children gone, or it cannot follow any more. */
  onChange(listener: (state: DatabaseState) => void): void;
  /** Called when the replica's stream from its primary has broken, as soon as it says so. */
  onStreamLost(listener: () => void): void;
  /**
   * Called whenever the health of the running database changes; `well` whenever none runs. It is probed on deadlines of its
   * own while a server runs, whatever `run` is busy with.
   */
  onHealth(listener: (health: Health) => void): void;
  /** Called before the data directory is replaced: from then on its word counts anew. */
  onNewIncarnation(listener: () => Promise<void>): void;
  version(): Promise<string>;
  /** Major versions that it could run. */
  versions(): Promise<readonly string[]>;
  readonly databasePort: number;
}
