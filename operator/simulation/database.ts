/**
 * A database server as the protocol meets PostgreSQL: a log of records, walsenders which each read the sync set for
 * themselves, acknowledgements under way, a receiver that follows one primary. Data outlives the server.
 */
import type { InstanceName, Voter } from '../api/cluster-state.ts';
import type { Seen } from '../ha/state.ts';
import type { SyncSet } from '../ha/sync-set.ts';
import { sameVoter } from '../ha/takeover.ts';
import type { Cluster } from './cluster.ts';
import type { Disk } from './disk.ts';
import type { Host } from './host.ts';
import type { Connection } from './network.ts';

/** Its place in the log is its LSN. Positive ids are writes of clients. */
export interface LogRecord {
  readonly timeline: number;
  readonly id: number;
}

export interface DataDirectory {
  readonly systemIdentifier: string;
  readonly log: LogRecord[];
  /** Highest number of any file, used or not. */
  highestTimeline: number;
  /** After a rewind: it can start only once its log reaches this. */
  consistentAt?: number | undefined;
  /** It was stopped in order as a primary, and not started since. */
  clean?: boolean;
}

/** What survives the death of everything else. */
export interface Volume {
  data: DataDirectory | undefined;
  /** The next version's, complete, beside the data. */
  upgraded?: { readonly request: string; readonly version: string; readonly data: DataDirectory } | undefined;
  /** Of the data that were made here. */
  initialized?: string;
  /** An interrupted rewind. */
  broken: boolean;
  vow: number;
  /** What etcd has been. */
  seen: Seen;
  incarnation: string;
}

export const lastTimeline = (log: readonly LogRecord[]): number => log.at(-1)?.timeline ?? 1;

/** Blocks every acknowledgement. */
export const nobodySuffices: SyncSet = { members: [], acknowledgements: 1 };

interface Sender {
  readonly connection: number;
  readonly voter: Voter;
  readonly way: Connection;
  flushed: number;
  repliedAt: number;
  /** Waits for more than it has been sent. */
  hungry: boolean;
  /** The setting as this process has read it. */
  loaded: SyncSet;
}

interface Receiver {
  readonly connection: number;
  readonly primary: InstanceName;
  readonly epoch: number;
  readonly way: Connection;
  heardAt: number;
  streaming: boolean;
}

interface Pull {
  readonly connection: number;
  readonly voter: Voter;
  readonly position: number;
  readonly timeline: number;
  readonly systemIdentifier: string;
  readonly statusOnly: boolean;
}

export interface Server {
  role: 'replica' | 'primary';
  open: boolean;
  /** Timeline that this primary writes on. */
  timeline: number;
  readonly data: DataDirectory;
  readonly senders: ReadonlyMap<InstanceName, Sender>;
  readonly receiver: () => Receiver | undefined;
  /** The settings that may release a waiting write now: each walsender's, and the backends' (k = 0 only). */
  readonly rules: () => readonly SyncSet[];
  readonly append: (id: number) => void;
  /** A client's write; its acknowledgement is told to the judge. */
  readonly write: (id: number) => void;
  /** Clients that wait: for the disk, or for an acknowledgement. */
  readonly waitingWrites: () => number;
  /** Writes the setting; every process reads it in its own time. */
  readonly configure: (to: SyncSet) => void;
  /** Every process has read the last one. */
  readonly configured: () => boolean;
  readonly enoughHold: (sync: SyncSet, position: number) => boolean;
  readonly follow: (primary: { readonly instance: InstanceName; readonly epoch: number } | undefined) => void;
  readonly onPull: (pull: Pull) => void;
  readonly onRecords: (connection: number, from: number, records: readonly LogRecord[]) => void;
  readonly onRefused: (connection: number, forked: boolean) => void;
  readonly onReset: (primary: InstanceName) => void;
  /** The process ends; peers whose connection breaks are told. */
  readonly die: () => void;
}

const statusPeriod = 1000;
const silenceLimit = 3000;

export function startServer(
  cluster: Cluster,
  self: {
    readonly name: InstanceName;
    readonly host: Host;
    readonly disk: Disk;
    readonly voter: () => Voter;
    readonly onHopeless: () => void;
    /** It could not write its log: the server ends. */
    readonly onPanic: () => void;
    /** The primary's end has closed the connection. */
    readonly onStreamLost: () => void;
  },
  data: DataDirectory,
): Server {
  const { network, random, judge, time } = cluster;
  const { name, host } = self;
  const { log } = data;
  const senders = new Map<InstanceName, Sender>();
  let dead = false;
  let setting = nobodySuffices;
  let backends = nobodySuffices;
  let receiver: Receiver | undefined;
  let released = 0;
  let waiting: { readonly id: number; readonly index: number }[] = [];
  let unflushed = 0;

  /** `deliver` meets the peer's server of then, if it has one. */
  const send = (to: InstanceName, deliver: (server: Server) => void, way: Connection): void =>
    network.send(
      name,
      to,
      () => {
        const peer = cluster.instances.get(to);
        peer?.databaseHost.receive(() => {
          const server = peer.server();
          if (server) deliver(server);
        });
      },
      way,
    );

  // ---- sending and acknowledging -------------------------------------------------------------------------------------

  function sendRecords(sender: Sender): void {
    const { connection, flushed } = sender;
    const records = log.slice(flushed);
    sender.hungry = records.length === 0;
    send(sender.voter.instance, (server) => server.onRecords(connection, flushed, records), sender.way);
  }

  const counts = ({ loaded, voter }: Sender): boolean =>
    loaded.acknowledgements > 0 && loaded.members.some((member) => sameVoter(member, voter));

  /** As SyncRepReleaseWaiters: a reply counts by what its own walsender has read. */
  function release(sender: Sender): void {
    if (server.role !== 'primary' || !counts(sender)) return;
    const flushed = [...senders.values()].filter(counts).map((s) => s.flushed);
    const quorum = flushed.toSorted((a, b) => b - a)[sender.loaded.acknowledgements - 1];
    if (quorum !== undefined) releaseUpTo(quorum);
  }

  function releaseUpTo(position: number): void {
    released = Math.max(released, position);
    const done = waiting.filter(({ index }) => index < released);
    if (done.length === 0) return;
    waiting = waiting.filter(({ index }) => index >= released);
    for (const { id, index } of done) judge.acknowledged(name, id, index);
  }

  /** What is not on disk yet is as if it were not there: it is neither sent on nor acknowledged. */
  function flush(done: () => void): void {
    const inTurn = (then: () => void) => (): void =>
      host.receive(() => {
        if (!dead) then();
      });
    self.disk.write(inTurn(done), inTurn(self.onPanic));
  }

  function append(id: number): void {
    log.push({ timeline: server.timeline, id });
    for (const sender of senders.values()) if (sender.hungry) sendRecords(sender);
  }

  function load(process: 'backends' | Sender, to: SyncSet): void {
    if (dead || setting !== to) return;
    if (process !== 'backends') process.loaded = to;
    else {
      backends = to;
      if (to.acknowledgements === 0 && server.role === 'primary') releaseUpTo(log.length);
    }
    judge.ruleChanged(name);
  }

  // ---- receiving -----------------------------------------------------------------------------------------------------

  function connect(primary: InstanceName, epoch: number): void {
    const mine: Receiver = {
      connection: cluster.nextConnection(),
      primary,
      epoch,
      way: { lastArrival: 0 },
      heardAt: time.now(),
      streaming: false,
    };
    receiver = mine;
    const status = (): void => {
      if (dead || receiver !== mine) return;
      if (time.now() - mine.heardAt > silenceLimit) {
        connect(primary, epoch);
        return;
      }
      pull(mine, true);
      host.later(statusPeriod, status);
    };
    status();
  }

  function pull({ connection, primary, way }: Receiver, statusOnly: boolean): void {
    const message: Pull = {
      connection,
      voter: self.voter(),
      position: log.length,
      timeline: lastTimeline(log),
      systemIdentifier: data.systemIdentifier,
      statusOnly,
    };
    send(primary, (server) => server.onPull(message), way);
  }

  const server: Server = {
    role: 'replica',
    open: false,
    timeline: lastTimeline(log),
    data,
    senders,
    receiver: () => receiver,
    rules: () => [
      ...[...senders.values()].filter(counts).map((s) => s.loaded),
      ...(backends.acknowledgements === 0 ? [backends] : []),
    ],
    append: (id) => flush(() => append(id)),
    write: (id) => {
      unflushed++;
      flush(() => {
        unflushed--;
        const index = log.length;
        append(id);
        if (backends.acknowledgements === 0) judge.acknowledged(name, id, index);
        else waiting.push({ id, index });
      });
    },
    waitingWrites: () => unflushed + waiting.length,
    configure: (to) => {
      setting = to;
      host.later(random.between(1, 20), () => load('backends', to));
      for (const sender of senders.values())
        host.later(random.between(1, random.chance(0.1) ? 300 : 20), () => load(sender, to));
    },
    configured: () => backends === setting && [...senders.values()].every(({ loaded }) => loaded === setting),
    enoughHold: (sync, position) =>
      [...senders.values()].filter((s) => sync.members.some((m) => sameVoter(m, s.voter)) && s.flushed >= position)
        .length >= sync.acknowledgements,
    follow: (primary) => {
      receiver = undefined;
      if (primary) connect(primary.instance, primary.epoch);
    },
    onPull: ({ connection, voter, position, timeline, systemIdentifier, statusOnly }) => {
      // What is compared first, whatever else fits.
      if (systemIdentifier !== data.systemIdentifier) return;
      let sender = senders.get(voter.instance);
      if (sender && sender.connection > connection) return;
      if (!sender || sender.connection !== connection) {
        const way = { lastArrival: 0 };
        // As PostgreSQL: the timeline at the replica's end must be the one that this log has there.
        if (position > log.length || (position > 0 && log[position - 1]?.timeline !== timeline)) {
          const forked = lastTimeline(log) !== timeline;
          send(voter.instance, (peer) => peer.onRefused(connection, forked), way);
          return;
        }
        sender = { connection, voter, way, flushed: position, repliedAt: 0, hungry: false, loaded: setting };
        senders.set(voter.instance, sender);
        judge.ruleChanged(name);
      }
      sender.flushed = Math.max(sender.flushed, position);
      sender.repliedAt = time.now();
      release(sender);
      if (statusOnly || log.length > position) sendRecords(sender);
      else sender.hungry = true;
    },
    onRecords: (connection, from, records) => {
      if (receiver?.connection !== connection) return;
      receiver.heardAt = time.now();
      receiver.streaming = true;
      const mine = receiver;
      if (from + records.length > log.length)
        flush(() => {
          if (receiver !== mine || from > log.length || from + records.length <= log.length) return;
          judge.received(name, mine.epoch);
          for (let index = log.length - from; index < records.length; index++) log.push(records[index] as LogRecord);
          data.highestTimeline = Math.max(data.highestTimeline, lastTimeline(log));
          pull(mine, false);
        });
    },
    onRefused: (connection, forked) => {
      if (receiver?.connection !== connection) return;
      receiver.streaming = false;
      receiver.heardAt = time.now();
      if (forked) self.onHopeless();
    },
    onReset: (primary) => {
      if (receiver?.primary !== primary) return;
      const { epoch, connection } = receiver;
      receiver.streaming = false;
      self.onStreamLost();
      host.later(200, () => {
        if (!dead && receiver?.connection === connection) connect(primary, epoch);
      });
    },
    die: () => {
      dead = true;
      receiver = undefined;
      for (const { voter } of senders.values()) send(voter.instance, (peer) => peer.onReset(name), { lastArrival: 0 });
    },
  };
  return server;
}
