/** One instance: its volume, its database, and the shipping protocol driven as operator/agent/agent.ts drives it. */
import { keys, type Member } from '../api/cluster-state.ts';
import { initialState, step } from '../ha/step.ts';
import {
  defaultSettings,
  type DatabaseEffect,
  type Effect,
  type Event,
  type HaState,
  type Txn,
  type TxnPurpose,
} from '../ha/state.ts';
import type { Cluster } from './cluster.ts';
import type { Server, Volume } from './database.ts';
import { createEngine } from './engine.ts';
import { describe } from './invariants.ts';
import { createHost, until, type Activity, type Host } from './host.ts';

export interface Instance {
  readonly name: string;
  readonly volume: Volume;
  readonly agentHost: Host;
  readonly databaseHost: Host;
  /** Gone for good. */
  lost: boolean;
  readonly state: () => HaState;
  readonly server: () => Server | undefined;
  readonly streaming: () => boolean;
  readonly heartbeat: () => { readonly epoch: number; readonly leading: boolean };
  readonly start: () => void;
  /** The container dies, and starts again after a while, unless it is lost. */
  readonly kill: (restartAfter: number) => void;
  readonly crashDatabase: () => void;
  /** The whole machine stands still. */
  readonly pause: (milliseconds: number) => void;
  /** Only the agent stands still: its deadman strikes. */
  readonly stall: (milliseconds: number) => void;
  /** SIGTERM: hands over, and comes again. */
  readonly end: (restartAfter: number) => void;
  readonly loseVolume: () => void;
  readonly resume: () => void;
}

const keepAlivePeriod = 500;
const observePeriod = 250;
const publishPeriod = 1000;
const resyncPeriod = 5000;
const handOverLimit = 45_000;
const heartbeatPeriod = 500;
const missesUntilLost = 3;
const deadmanLimit = 3000;

export function createInstance(cluster: Cluster, name: string): Instance {
  const { random, etcd, network, time, judge, bug, trace } = cluster;
  const clockRate = random.chance(0.5) ? random.between(0.96, 1.04) : 1;
  const agentHost = createHost(time, clockRate);
  const databaseHost = createHost(time, clockRate);
  const caller = { name, host: agentHost };
  const volume: Volume = { data: undefined, broken: false, vow: 0, incarnation: cluster.nextIncarnation() };
  const engine = createEngine(cluster, {
    name,
    volume,
    agentHost,
    databaseHost,
    onChange: (database) => dispatch({ type: 'database', database }),
    onNewIncarnation: () => dispatch({ type: 'incarnation', incarnation: volume.incarnation }),
  });
  const settings = { ...defaultSettings, ...bug?.settings };
  const localTime = (): { now: number; wall: string } => ({
    now: agentHost.now(),
    wall: new Date(Date.UTC(2026, 0) + time.now()).toISOString(),
  });
  const fresh = (): HaState =>
    initialState({ instance: name, incarnation: volume.incarnation, address: name }, volume.vow, localTime(), settings);

  let state = fresh();
  let because = '';
  let cancelEffect: (() => void) | undefined;
  let published = '';
  /** When the last keepalive that etcd confirmed was sent. */
  let renewedAt: number | undefined;
  let keepAliveNow = (): void => undefined;
  let publishNow = (): void => undefined;

  function dispatch(original: Event): void {
    const event = bug?.event?.(original, state) ?? original;
    const before = state;
    const known = bug?.view && before.view ? { ...before, view: bug.view(before.view, before) } : before;
    const result = step(
      known,
      event.type === 'view' && bug?.view ? { ...event, view: bug.view(event.view, before) } : event,
      localTime(),
    );
    state = bug?.state?.(result.state, before, event) ?? result.state;
    if (result.because !== because) trace(name, (because = result.because));
    if (
      before.database.status !== state.database.status ||
      before.lostPrimaryOf !== state.lostPrimaryOf ||
      memberState() !== published
    )
      publishNow();
    for (const effect of bug?.effects?.(result.effects, state) ?? result.effects) carryOut(effect);
  }

  // ---- effects -------------------------------------------------------------------------------------------------------

  function carryOut(effect: Effect): void {
    cluster.onEffect(name);
    switch (effect.type) {
      case 'txn':
        agentHost.run(transact(effect.purpose, effect.txn));
        return;
      case 'revoke-lease':
        agentHost.run(revoke(effect.lease));
        return;
      case 'write-vow':
        agentHost.later(random.between(0.5, 15), () => {
          if (bug?.model !== 'vow-not-durable') volume.vow = Math.max(volume.vow, effect.epoch);
          dispatch({ type: 'vow-written', epoch: effect.epoch });
        });
        return;
      default:
        actOnDatabase(effect);
    }
  }

  function actOnDatabase(effect: DatabaseEffect): void {
    cancelEffect?.(); // only a kill comes while another is under way
    const { view } = state;
    const ended = (ok: boolean): void => {
      cancelEffect = undefined;
      const of = effect.type === 'configure-sync' ? ` to ${describe(effect.to)}` : '';
      trace(name, `  ${effect.type}${of} ${ok ? 'done' : 'failed'}`);
      dispatch({ type: 'database', database: engine.state() });
      dispatch({ type: 'database-effect-ended', effect: effect.type, ok });
    };
    if (!view) {
      dispatch({ type: 'database-effect-ended', effect: effect.type, ok: false });
      return;
    }
    cancelEffect = agentHost.run(engine.run(effect, view), (outcome) => ended('value' in outcome));
  }

  function* transact(purpose: TxnPurpose, txn: Txn): Activity<void> {
    if (purpose === 'promise') judge.bound(name, volume.incarnation, state.vow);
    const answer = yield* etcd.txn(caller, txn, state.lease);
    const outcome = 'value' in answer ? (answer.value ? 'applied' : 'refused') : answer.failed;
    trace(name, `  txn ${purpose} ${outcome}`);
    if (purpose === 'claim' || purpose === 'initialize' || purpose === 'reclaim') keepAliveNow();
    const fresh = yield* refresh();
    if (outcome === 'applied' && leads() && renewedAt !== undefined && state.view)
      dispatch({ type: 'leadership-proven', sentAt: renewedAt, epoch: state.view.epoch });
    dispatch({ type: 'txn-ended', purpose, outcome: purpose === 'sync' && !fresh ? 'unknown' : outcome });
  }

  function* revoke(lease: string): Activity<void> {
    yield* etcd.revoke(caller, lease);
    yield* refresh();
    dispatch({ type: 'lease-revoked' });
  }

  function* refresh(): Activity<boolean> {
    const answer = yield* etcd.read(caller);
    if ('value' in answer) dispatch({ type: 'view', view: answer.value });
    return 'value' in answer;
  }

  // ---- loops ---------------------------------------------------------------------------------------------------------

  function* keepLease(): Activity<void> {
    for (let lastRead = 0; ;) {
      const sentAt = agentHost.now();
      const { lease } = state;
      if (!lease) {
        const answer = yield* etcd.grant(caller, settings.ttl);
        if ('value' in answer) {
          renewedAt = sentAt;
          dispatch({ type: 'lease', lease: answer.value });
        }
      } else {
        const answer = yield* etcd.keepAlive(caller, lease);
        if ('value' in answer && !answer.value) {
          renewedAt = undefined;
          dispatch({ type: 'lease', lease: undefined });
          continue;
        }
        if ('value' in answer) renewedAt = sentAt;
        if ('value' in answer && (leads() || agentHost.now() - lastRead > resyncPeriod)) {
          const read = yield* etcd.read(caller);
          if ('value' in read) {
            lastRead = agentHost.now();
            const leader = read.value.leader?.value;
            dispatch({ type: 'view', view: read.value });
            if (leader?.instance === name && leader.lease === state.lease && leader.epoch === read.value.epoch)
              dispatch({ type: 'leadership-proven', sentAt, epoch: read.value.epoch });
          }
        }
      }
      yield* interruptible(Math.max(50, keepAlivePeriod - (agentHost.now() - sentAt)), (wake) => (keepAliveNow = wake));
    }
  }

  function* observe(): Activity<void> {
    for (;;) {
      if (state.database.status === 'primary') dispatch({ type: 'replicas', replicas: engine.replicas() });
      dispatch({ type: 'tick' });
      yield observePeriod;
    }
  }

  function* publish(): Activity<void> {
    for (;;) {
      if (state.lease) {
        published = memberState();
        yield* etcd.txn(
          caller,
          { compare: [], writes: [{ put: keys.member(name), value: member(), leased: true }] },
          state.lease,
        );
      }
      yield* interruptible(state.lease ? publishPeriod : 50, (wake) => (publishNow = wake));
    }
  }

  function* follow(): Activity<void> {
    for (; ; yield 200) {
      const start = yield* etcd.read(caller);
      if (!('value' in start)) continue;
      dispatch({ type: 'view', view: start.value });
      const watch = etcd.watch(caller, start.value.revision, (view) => dispatch({ type: 'view', view }));
      while (watch.brokenAt === undefined || time.now() - watch.brokenAt < 1500) yield 500;
    }
  }

  /** As operator/agent/heartbeat.ts. */
  function* watchPrimary(): Activity<void> {
    let misses = 0;
    let next: number;
    for (let last = ''; ; yield Math.max(10, next - agentHost.now())) {
      next = agentHost.now() + heartbeatPeriod;
      const leader = state.view?.leader?.value.instance;
      const primary = leader === undefined || leader === name ? undefined : state.view?.members.get(leader);
      const epoch = state.view?.epoch ?? 0;
      const key = primary ? `${epoch} ${primary.instance}` : '';
      const report = (lost: number | undefined): void => {
        if (lost !== state.lostPrimaryOf) dispatch({ type: 'primary-lost', epoch: lost });
      };
      if (key !== last) {
        [misses, last] = [0, key];
        report(undefined);
      }
      if (!primary) continue;
      const answer = yield* ask(primary.instance, epoch);
      misses = answer === 'there' ? 0 : answer === 'gone' ? missesUntilLost : misses + 1;
      if (last === key) report(misses >= missesUntilLost ? epoch : undefined);
    }
  }

  function ask(primary: string, epoch: number): Activity<'there' | 'gone' | 'silent'> {
    return until((resume) => {
      agentHost.later(heartbeatPeriod, () => resume('silent'));
      network.send(name, primary, () => {
        const peer = cluster.instances.get(primary);
        if (!peer || peer.lost) return;
        const reply = (answer: 'there' | 'gone'): void =>
          network.send(primary, name, () => agentHost.receive(() => resume(answer)));
        if (!peer.agentHost.alive()) reply('gone'); // connection refused
        peer.agentHost.receive(() => {
          const beat = peer.heartbeat();
          reply(beat.leading || beat.epoch < epoch ? 'there' : 'gone');
        });
      });
    });
  }

  /** Wakes the fence on time; replicas are woken by `observe` as often. */
  function armFence(): void {
    const left = state.database.status === 'primary' && state.proven ? state.proven.until - agentHost.now() : 250;
    agentHost.later(Math.min(Math.max(1, left), 250), () => {
      if (state.database.status === 'primary' || state.inFlight.database === 'promote') dispatch({ type: 'tick' });
      armFence();
    });
  }

  function interruptible(milliseconds: number, expose: (wake: () => void) => void): Activity<void> {
    return until((resume) => {
      agentHost.later(milliseconds, () => resume());
      expose(() => resume());
    });
  }

  // ---- what is known -------------------------------------------------------------------------------------------------

  const leads = (): boolean =>
    state.view?.leader?.value.instance === name && state.view.leader.value.lease === state.lease;

  function memberState(): Member['state'] {
    const { database, inFlight } = state;
    if (inFlight.database === 'clone') return 'cloning';
    if (inFlight.database === 'rewind') return 'rewinding';
    if (inFlight.database === 'start') return 'starting';
    if (inFlight.database === 'promote') return 'promoting';
    switch (database.status) {
      case 'unknown':
      case 'absent':
        return 'waiting';
      case 'broken':
        return 'diverged';
      case 'stopped':
        return 'stopped';
      case 'primary':
        return database.open ? 'running' : 'promoting';
      case 'replica':
        if (database.diverged) return 'diverged';
        return database.sealed ? 'sealed' : engine.streaming() ? 'streaming' : 'starting';
    }
  }

  function member(): Member {
    const { lostPrimaryOf } = state;
    return {
      instance: name,
      incarnation: volume.incarnation,
      state: memberState(),
      role: state.database.status === 'primary' ? 'primary' : 'replica',
      address: name,
      databasePort: 5432,
      agentPort: 8008,
      node: name,
      version: '18',
      ...(lostPrimaryOf === undefined ? {} : { lostPrimaryOf }),
    };
  }

  // ---- life ----------------------------------------------------------------------------------------------------------

  function start(): void {
    if (instance.lost || agentHost.alive()) return;
    trace(name, 'container starts');
    agentHost.start();
    databaseHost.start();
    state = fresh();
    [because, published, cancelEffect, renewedAt] = ['', '', undefined, undefined];
    dispatch({ type: 'database', database: engine.inspect() });
    for (const loop of [keepLease, observe, publish, follow, watchPrimary]) agentHost.run(loop());
    armFence();
  }

  function kill(restartAfter: number): void {
    if (!agentHost.alive()) return;
    trace(name, 'container dies');
    engine.lose();
    agentHost.die();
    databaseHost.die();
    time.after(restartAfter, start);
  }

  function* handOver(restartAfter: number): Activity<void> {
    dispatch({ type: 'ending' });
    const limit = agentHost.now() + handOverLimit;
    while ((leads() || state.inFlight.database === 'stop') && agentHost.now() < limit) yield 10;
    cancelEffect?.();
    engine.lose();
    yield 50;
    if (state.lease && !leads()) yield* etcd.revoke(caller, state.lease);
    kill(restartAfter);
  }

  const instance: Instance = {
    name,
    volume,
    agentHost,
    databaseHost,
    lost: false,
    state: () => state,
    server: engine.server,
    streaming: engine.streaming,
    heartbeat: () => ({
      epoch: state.view?.epoch ?? 0,
      leading: leads() && (state.database.status !== 'stopped' || state.view?.switchover !== undefined || state.ending),
    }),
    start,
    kill,
    crashDatabase: engine.crash,
    pause: (milliseconds) => {
      if (!agentHost.alive() || agentHost.paused()) return;
      agentHost.pause();
      databaseHost.pause();
      time.after(milliseconds, instance.resume);
    },
    stall: (milliseconds) => {
      if (!agentHost.alive() || agentHost.paused()) return;
      agentHost.pause();
      databaseHost.later(deadmanLimit, () => {
        if (agentHost.paused()) instance.crashDatabase();
      });
      time.after(milliseconds, instance.resume);
    },
    end: (restartAfter) => {
      if (agentHost.alive() && !state.ending) agentHost.run(handOver(restartAfter));
    },
    loseVolume: () => {
      Object.assign(volume, { data: undefined, broken: false, vow: 0 });
      volume.incarnation = cluster.nextIncarnation();
    },
    resume: () => {
      // Which of the two the scheduler wakes first is chance.
      for (const host of random.chance(0.5) ? [agentHost, databaseHost] : [databaseHost, agentHost]) host.resume();
    },
  };
  return instance;
}
