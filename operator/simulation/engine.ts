/** The effects on the modelled database, in the steps and with the limits of operator/engines/postgres. */
import type { HistoryEntry, Position } from '../api/cluster-state.ts';
import { compatibility } from '../engines/postgres/timeline.ts';
import { formatLsn } from '../ha/position.ts';
import type { DatabaseEffect, DatabaseState } from '../ha/state.ts';
import type { ReplicaHealth } from '../ha/sync-set.ts';
import { epochOfEnd, epochOfTimeline, type ClusterView } from '../ha/view.ts';
import type { Cluster } from './cluster.ts';
import type { Disk } from './disk.ts';
import { lastTimeline, startServer, type DataDirectory, type LogRecord, type Server, type Volume } from './database.ts';
import { Failed, type Activity, type Host } from './host.ts';

export interface Engine {
  readonly state: () => DatabaseState;
  readonly inspect: () => DatabaseState;
  readonly server: () => Server | undefined;
  readonly run: (effect: DatabaseEffect, view: ClusterView) => Activity<void>;
  readonly replicas: () => readonly ReplicaHealth[];
  readonly streaming: () => boolean;
  /** Where the running server's log ends. */
  readonly position: (view: ClusterView | undefined) => Position | undefined;
  /** The server ends by itself; the agent notices when all its processes are gone. */
  readonly crash: () => void;
  /** Everything ends at once, unseen. */
  readonly lose: () => void;
  /** Shutdowns and starts take long from now on, or again not. */
  slow: boolean;
}

const silenceBeforeUnfit = 2500;
const catchingUpLimit = 120_000;
const lsn = (position: number): string => formatLsn(BigInt(position));

export function createEngine(
  cluster: Cluster,
  self: {
    readonly name: string;
    readonly volume: Volume;
    readonly disk: Disk;
    readonly agentHost: Host;
    readonly databaseHost: Host;
    readonly onNewIncarnation: () => void;
    readonly onStreamLost: () => void;
    readonly onChange: (state: DatabaseState) => void;
  },
): Engine {
  const { random, judge, time, bug } = cluster;
  const { name, volume, disk } = self;
  let state: DatabaseState = { status: 'unknown' };
  let server: Server | undefined;
  let upgradeRefusal: { readonly request: string; readonly reason: string } | undefined;

  const pause = (low: number, high: number): number => random.between(low, high);
  /** Shutdown checkpoints and crash recovery. */
  const longPause = (low: number, high: number): number => pause(low, engine.slow ? 15_000 : high);

  function running(): Server {
    if (!server) throw new Failed('the server is gone');
    return server;
  }

  function asPrimary(): DatabaseState & { readonly status: 'primary' } {
    if (state.status !== 'primary') throw new Failed(`the database is ${state.status}`);
    return state;
  }

  function asReplica(): DatabaseState & { readonly status: 'replica' } {
    if (state.status !== 'replica') throw new Failed(`the database is ${state.status}`);
    return state;
  }

  function inspect(): DatabaseState {
    if (volume.broken) return { status: 'broken', reason: 'a rewind was interrupted' };
    if (!volume.data) return { status: 'absent' };
    const { systemIdentifier, highestTimeline, consistentAt, clean } = volume.data;
    if (volume.upgraded) {
      const { request, version, data } = volume.upgraded;
      const upgraded = { request, version, systemIdentifier: data.systemIdentifier };
      return {
        status: 'stopped',
        systemIdentifier,
        highestTimeline,
        needsPrimary: false,
        initializedHere: false,
        upgraded,
      };
    }
    const needsPrimary = consistentAt !== undefined;
    const recovery = needsPrimary ? {} : { recovery: pause(50, engine.slow ? 15_000 : 800) };
    return {
      status: 'stopped',
      systemIdentifier,
      highestTimeline,
      needsPrimary,
      ...recovery,
      initializedHere: volume.initialized === systemIdentifier,
      ...(clean === true && { clean }),
      ...(upgradeRefusal && { upgradeRefusal }),
    };
  }

  function lose(): void {
    server?.die();
    server = undefined;
    // A process that hung is gone as well. A machine that stands still stays so.
    if (!self.databaseHost.alive() || (self.agentHost.paused() && self.databaseHost.paused())) return;
    self.databaseHost.die();
    self.databaseHost.start();
  }

  /** The standby says in its log that it will never follow. */
  function onHopeless(): void {
    self.agentHost.receive(() => {
      if (state.status !== 'replica' || !state.following || state.diverged) return;
      state = { ...state, diverged: { epoch: state.following.epoch, remedy: 'rewind' } };
      self.onChange(state);
    });
  }

  function* holds(limit: number, condition: () => boolean): Activity<void> {
    for (const end = self.agentHost.now() + limit; !condition();) {
      if (self.agentHost.now() > end) throw new Failed(`waited ${limit} ms in vain`);
      running();
      yield 10;
    }
  }

  /** A new connection is answered within the limit. */
  function* answers(limit: number): Activity<Server> {
    yield* holds(limit, () => !self.databaseHost.paused());
    return running();
  }

  /** Files can be written and flushed. */
  function* writable(): Activity<void> {
    while (disk.stalled()) yield 10;
    if (disk.full()) throw new Failed('no space left on the device');
  }

  function* catchUp(data: DataDirectory): Activity<void> {
    const { consistentAt } = data;
    if (consistentAt === undefined) return;
    try {
      yield* holds(catchingUpLimit, () => data.log.length >= consistentAt);
      data.consistentAt = undefined;
    } catch (error) {
      if (server) volume.broken = true; // given up; if the server has ended, it may try again
      lose();
      throw error;
    }
  }

  function becomeBroken(reason: string): void {
    self.onChange((state = { status: 'broken', reason }));
  }

  /** Both ways open, and a server that answers: then its data as of now. */
  function copyOf(primary: string): DataDirectory {
    const peer = cluster.instances.get(primary);
    const source = peer?.server();
    if (!source || peer?.databaseHost.paused()) throw new Failed(`${primary} does not answer`);
    if (!cluster.network.connected(name, primary) || !cluster.network.connected(primary, name))
      throw new Failed(`${primary} cannot be reached`);
    return source.data;
  }

  function* perform(effect: DatabaseEffect, view: ClusterView): Activity<DatabaseState> {
    switch (effect.type) {
      case 'kill':
        yield pause(1, 20);
        lose();
        // What waits for the disk is gone only after it.
        do yield pause(5, 60);
        while (disk.stalled());
        return inspect();
      case 'initialize':
        yield pause(500, 1500);
        yield* writable();
        volume.initialized = `system-${name}`;
        volume.data = { systemIdentifier: `system-${name}`, log: [{ timeline: 1, id: 0 }], highestTimeline: 1 };
        return inspect();
      case 'start': {
        if (state.status !== 'stopped' || !volume.data) throw new Failed(`the database is ${state.status}`);
        const { systemIdentifier } = state;
        yield longPause(50, 500);
        yield* writable();
        // The cluster goes on with what is there.
        if (bug?.model !== 'upgraded-data-kept') volume.upgraded = undefined;
        volume.data.clean = false;
        volume.data.highestTimeline = lastTimeline(volume.data.log); // aborted ones are set aside
        const voter = (): { instance: string; incarnation: string } => ({
          instance: name,
          incarnation: volume.incarnation,
        });
        const data = volume.data;
        const { from } = effect;
        const onPanic = (): void => engine.crash();
        server = startServer(
          cluster,
          { name, host: self.databaseHost, disk, voter, onHopeless, onPanic, onStreamLost: self.onStreamLost },
          data,
        );
        if (from) {
          server.follow({ instance: from.primary.instance, epoch: from.epoch });
          judge.bound(name, volume.incarnation, from.epoch);
        }
        yield pause(50, 300);
        yield* catchUp(data);
        return {
          status: 'replica',
          systemIdentifier,
          following: from && { epoch: from.epoch, instance: from.primary.instance, address: from.primary.address },
          sealed: undefined,
          diverged: undefined,
          highestTimeline: data.highestTimeline,
        };
      }
      case 'seal': {
        const replica = asReplica();
        yield pause(2, 30);
        yield* answers(10_000);
        if (bug?.model !== 'no-seal') running().follow(undefined);
        yield pause(2, 30);
        const { log, highestTimeline } = (yield* answers(10_000)).data;
        const timeline = lastTimeline(log);
        const known = epochOfTimeline(view.history, timeline);
        // Newer than the view: a position of epoch 0 would let a lesser log win.
        if (known === 0 && timeline > 1 && !effect.adopting) throw new Failed('the log ends on an unknown timeline');
        const epoch = epochOfEnd(view.history, timeline);
        return {
          ...replica,
          following: undefined,
          sealed: {
            epoch,
            lsn: lsn(bug?.model === 'position-by-replay' ? replayedOf(log, pause(0, 100)) : log.length),
          },
          backlog: random.pick([0, 0, 40_000_000]),
          timeline,
          highestTimeline,
        };
      }
      case 'follow': {
        const replica = asReplica();
        yield pause(2, 20);
        const { log } = (yield* answers(15_000)).data;
        const timeline = lastTimeline(log);
        const own = { timeline, epoch: epochOfTimeline(view.history, timeline), replayed: lsn(log.length) };
        const fits = compatibility(own, effect.history);
        if (fits === 'unknown' && !effect.history?.lineage) return { ...replica, unjudged: { epoch: effect.epoch } };
        if (fits === 'unknown') throw new Failed('its log is newer than what is known of the cluster');
        if (fits === 'diverged')
          return { ...replica, following: undefined, diverged: { epoch: effect.epoch, remedy: 'rewind' } };
        yield pause(2, 20);
        (yield* answers(15_000)).follow({ instance: effect.primary.instance, epoch: effect.epoch });
        judge.bound(name, volume.incarnation, effect.epoch);
        return {
          ...replica,
          following: { epoch: effect.epoch, instance: effect.primary.instance, address: effect.primary.address },
          sealed: undefined,
          diverged: undefined,
        };
      }
      case 'rewind': {
        yield pause(50, 300);
        becomeBroken('being rewound');
        lose();
        judge.destroys(name, volume.incarnation);
        yield* writable();
        volume.broken = true;
        yield pause(20, 300);
        // As operator/engines/postgres/rejoin.ts: one that was out of reach leaves the data as they were.
        try {
          copyOf(effect.primary.instance);
        } catch (error) {
          volume.broken = false;
          throw error;
        }
        yield pause(100, 1200);
        yield* writable();
        const source = copyOf(effect.primary.instance).log;
        const own = volume.data?.log ?? [];
        const fork = own.findIndex((record, index) => record.timeline !== source[index]?.timeline);
        const log = own.slice(0, fork < 0 ? own.length : fork);
        if (volume.data)
          volume.data = { ...volume.data, log, highestTimeline: lastTimeline(log), consistentAt: source.length };
        volume.broken = false;
        return inspect();
      }
      case 'clone': {
        yield pause(50, 300);
        becomeBroken('being cloned');
        lose();
        judge.destroys(name, volume.incarnation);
        volume.incarnation = cluster.nextIncarnation();
        self.onNewIncarnation();
        copyOf(effect.source.instance);
        yield pause(300, 3000);
        yield* writable();
        const source = copyOf(effect.source.instance);
        const { systemIdentifier } = source;
        const log = [...source.log];
        volume.data = { systemIdentifier, log, highestTimeline: lastTimeline(log) };
        volume.broken = false;
        return inspect();
      }
      case 'promote': {
        const replica = asReplica();
        if (!replica.sealed) throw new Failed('not sealed');
        yield pause(2, 20);
        (yield* answers(60_000)).configure(effect.sync);
        yield pause(10, 40);
        yield* writable();
        const { data } = yield* answers(60_000);
        if (data.highestTimeline >= effect.timeline && bug?.name !== 'timeline-reused')
          throw new Failed(`timeline ${effect.timeline} is used already`);
        data.highestTimeline = effect.timeline;
        yield pause(20, 150);
        yield* writable();
        const primary = yield* answers(60_000);
        primary.follow(undefined);
        [primary.role, primary.timeline] = ['primary', effect.timeline];
        if (bug?.model !== 'no-marker') primary.append(-effect.epoch); // the end-of-recovery record
        judge.ruleChanged(name);
        return {
          status: 'primary',
          systemIdentifier: replica.systemIdentifier,
          epoch: effect.epoch,
          timeline: effect.timeline,
          open: false,
          applied: effect.sync,
          lineage: lineageOf(data.log),
        };
      }
      case 'open': {
        const primary = asPrimary();
        const { applied } = primary;
        if (!applied) throw new Failed('the sync set is not known');
        const end = running().data.log.length;
        if (bug?.model !== 'opens-at-once') yield* holds(500, () => running().enoughHold(applied, end));
        (yield* answers(5_000)).open = true;
        judge.opened(name);
        return { ...primary, open: true };
      }
      case 'configure-sync': {
        const primary = asPrimary();
        const { to } = effect;
        state = { ...primary, applied: undefined };
        yield pause(2, 10);
        (yield* answers(60_000)).configure(to);
        if (bug?.model !== 'no-read-back') yield* holds(60_000, () => running().configured());
        running().append(-1_000_000); // wakes what waits for a member that has just left
        if (effect.barrier && to.members.length >= to.acknowledgements && bug?.model !== 'no-barrier') {
          const barrier = running().data.log.length;
          yield* holds(2000, () => running().enoughHold(to, barrier));
        }
        return { ...primary, applied: to };
      }
      case 'stop': {
        if (state.status === 'primary') {
          yield longPause(10, 300);
          if (bug?.model === 'resumes' && effect.inPlace) {
            (yield* answers(10_000)).open = true;
            judge.opened(name);
            return state;
          }
          if (bug?.model === 'released-before-dead') {
            time.after(pause(500, 3000), lose);
            return inspect();
          }
          (yield* answers(10_000)).open = false;
          yield pause(5, 30);
          (yield* answers(10_000)).append(-2_000_000); // the shutdown checkpoint
          const end = running().data.log.length;
          const limit = self.agentHost.now() + 10_000;
          while (self.agentHost.now() < limit && [...running().senders.values()].some((s) => s.flushed < end)) yield 10;
          if (volume.data) volume.data.clean = self.agentHost.now() < limit;
        } else yield pause(20, 200);
        lose();
        return inspect();
      }
      case 'check-upgrade': {
        const primary = asPrimary();
        const { id } = effect.request;
        const outcome = random.chance(0.2) ? ('refused' as const) : ('passed' as const);
        time.after(longPause(200, 3000), () =>
          self.agentHost.receive(() => {
            if (state.status !== 'primary' || state.upgradeCheck?.request !== id) return;
            self.onChange((state = { ...state, upgradeCheck: { request: id, outcome } }));
          }),
        );
        return { ...primary, upgradeCheck: { request: id, outcome: 'running' } };
      }
      case 'upgrade': {
        const { id, to } = effect.request;
        if (state.status !== 'stopped' || !volume.data) throw new Failed(`the database is ${state.status}`);
        yield longPause(500, 6000);
        yield* writable();
        const { systemIdentifier, log } = volume.data;
        upgradeRefusal = random.chance(0.2) ? { request: id, reason: 'by chance' } : undefined;
        if (upgradeRefusal) return inspect();
        // The records stand for the rows that they have made; what a log of new data says of timelines is their marker's.
        const data = { systemIdentifier: `${systemIdentifier}+`, log: [...log], highestTimeline: lastTimeline(log) };
        volume.upgraded = { request: id, version: to, data };
        return inspect();
      }
      case 'take-upgraded':
        yield pause(1, 10);
        yield* writable();
        if (volume.upgraded) volume.data = volume.upgraded.data;
        volume.upgraded = undefined;
        return inspect();
    }
  }

  const engine: Engine = {
    slow: false,
    state: () => state,
    inspect: () => (state = inspect()),
    server: () => server,
    run: function* (effect, view) {
      try {
        const after = yield* perform(effect, view);
        if ((after.status === 'replica' || after.status === 'primary') && !server)
          throw new Failed('the server is gone');
        state = after;
      } catch (error) {
        // Half promoted is neither replica nor primary: the engine kills it.
        if (error instanceof Failed && effect.type === 'promote') lose();
        if (error instanceof Failed && !server) state = inspect();
        throw error;
      }
    },
    replicas: () =>
      server?.role === 'primary'
        ? [...server.senders.values()].map(({ voter, repliedAt }) => ({
            voter,
            streaming: time.now() - repliedAt < silenceBeforeUnfit,
          }))
        : [],
    streaming: () => server?.receiver()?.streaming === true,
    position: (view) => {
      if (!server || !view || self.databaseHost.paused()) return undefined;
      const { log } = server.data;
      return { epoch: epochOfTimeline(view.history, lastTimeline(log)), lsn: lsn(log.length) };
    },
    crash: () => {
      // Nothing happens on a machine that stands still.
      if (!server || (self.agentHost.paused() && self.databaseHost.paused())) return;
      lose();
      self.agentHost.later(pause(2, 50), () => {
        if (server) return;
        self.onChange((state = inspect()));
      });
    },
    lose,
  };
  return engine;
}

/** What a replica has applied may be less than what it has flushed, and acknowledged. */
const replayedOf = (log: readonly LogRecord[], behind: number): number => {
  const sameTimeline = log.findIndex((record) => record.timeline === lastTimeline(log));
  return Math.max(sameTimeline + 1, log.length - Math.floor(behind));
};

/** Each earlier timeline and where it was left. */
function lineageOf(log: readonly LogRecord[]): NonNullable<HistoryEntry['lineage']> {
  return log.flatMap((record, index) => {
    const next = log[index + 1];
    return next && next.timeline !== record.timeline ? [{ timeline: record.timeline, end: lsn(index + 1) }] : [];
  });
}
