/** One instance: its volume, its database, and the shipping protocol driven as operator/agent/agent.ts drives it. */
import { keys, type Leader, type Member, type Voter } from '../api/cluster-state.ts';
import { memberState } from '../ha/member-state.ts';
import { isElecting } from '../ha/suspicion.ts';
import { answersAsLeader, holdsLeadership, isGivingUp, mayPledge, serveUntil } from '../ha/proof.ts';
import type { Phase } from '../ha/phases.ts';
import { initialState, step } from '../ha/step.ts';
import {
  defaultSettings,
  nothingSeen,
  type DatabaseEffect,
  type Effect,
  type Event,
  type HaState,
  type Txn,
} from '../ha/state.ts';
import type { Cluster, Moment } from './cluster.ts';
import type { Server, Volume } from './database.ts';
import { createDisk, type Disk } from './disk.ts';
import { createEngine } from './engine.ts';
import { describe } from './invariants.ts';
import { watchHealth } from './health.ts';
import { createHost, until, type Activity, type Host } from './host.ts';

export interface Instance {
  readonly name: string;
  readonly volume: Volume;
  readonly agentHost: Host;
  readonly databaseHost: Host;
  readonly disk: Disk;
  /** Gone for good. */
  lost: boolean;
  readonly state: () => HaState;
  readonly server: () => Server | undefined;
  readonly streaming: () => boolean;
  readonly heartbeat: (word: Word | undefined) => Beat;
  readonly start: () => void;
  /** The container dies, and starts again after a while, unless it is lost. */
  readonly kill: (restartAfter: number) => void;
  readonly crashDatabase: () => void;
  /** The whole machine stands still. */
  readonly pause: (milliseconds: number) => void;
  /** Only the agent stands still: its deadman strikes. */
  readonly stall: (milliseconds: number) => void;
  /** Only the database's processes stand still. */
  readonly hang: (milliseconds: number) => void;
  readonly setSlow: (slow: boolean) => void;
  /** The machine's wall clock jumps. */
  readonly jump: (milliseconds: number) => void;
  /** SIGTERM: hands over, and comes again. */
  readonly end: (restartAfter: number) => void;
  /** Comes back with an empty one, or with that of another cluster. */
  readonly loseVolume: (systemIdentifier?: string) => void;
  readonly resume: () => void;
}

/** What the primary's agent answers. A stamp is a time on the clock of one life of one agent. */
export interface Beat {
  readonly epoch: number;
  readonly leading: boolean;
  readonly stamp: Stamp;
}
interface Stamp {
  readonly life: number;
  readonly at: number;
}

/** A replica's word not to promise for a while (rule 9). */
export interface Word {
  readonly voter: Voter;
  readonly epoch: number;
  readonly stamp: Stamp;
}

const keepAlivePeriod = 500;
const observePeriod = 250;
const publishPeriod = 1000;
const resyncPeriod = 5000;
const handOverLimit = 45_000;
const heartbeatPeriod = 500;
const answerLimit = 500;
const silenceLimit = 1250;
const electionPeriod = 150;
const electionDeadline = 500;
const deadmanLimit = 3000;

export function createInstance(cluster: Cluster, name: string): Instance {
  const { random, etcd, network, time, judge, coverage, bug, trace } = cluster;
  const clockRate = random.chance(0.5) ? random.between(0.96, 1.04) : 1;
  const agentHost = createHost(time, clockRate);
  const databaseHost = createHost(time, clockRate);
  const disk = createDisk(time);
  const caller = { name, host: agentHost };
  const volume: Volume = {
    data: undefined,
    broken: false,
    vow: 0,
    seen: nothingSeen,
    incarnation: cluster.nextIncarnation(),
  };
  const engine = createEngine(cluster, {
    name,
    volume,
    disk,
    agentHost,
    databaseHost,
    onChange: (database) => dispatch({ type: 'database', database }),
    onNewIncarnation: () => dispatch({ type: 'incarnation', incarnation: volume.incarnation }),
    onStreamLost: () => agentHost.receive(() => askNow()),
  });
  const settings = { ...defaultSettings, ...bug?.settings };
  let wallOffset = 0;
  let wallTold = { second: -1, text: '' };
  function wall(): string {
    const second = Math.floor((time.now() + wallOffset) / 1000);
    if (wallTold.second !== second) wallTold = { second, text: wallClock(second * 1000) };
    return wallTold.text;
  }
  const clock = (): number => agentHost.now() + (bug?.model === 'wall-clock' ? wallOffset : 0);
  const localTime = (): { now: number; wall: string } => ({ now: clock(), wall: wall() });
  const fresh = (): HaState =>
    initialState(
      { instance: name, incarnation: volume.incarnation, address: name },
      volume.vow,
      localTime(),
      settings,
      volume.seen,
    );

  let state = fresh();
  let because = '';
  let cancelEffect: (() => void) | undefined;
  let phase: Phase | undefined;
  let published = '';
  /** When the last keepalive that etcd confirmed was sent. */
  let renewedAt: number | undefined;
  let keepAliveNow = (): void => undefined;
  let publishNow = (): void => undefined;
  let askNow = (): void => undefined;
  let lookNow = (): void => undefined;

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
    if (result.phase !== phase || result.effects.length > 0) coverage.decided(phase, result.phase, result.effects);
    phase = result.phase;
    if (
      before.database.status !== state.database.status ||
      before.lostPrimaryOf !== state.lostPrimaryOf ||
      memberState(state, engine.streaming()) !== published
    )
      publishNow();
    coverage.met('event', event.type);
    if (before.database.status !== state.database.status) coverage.met('database', state.database.status);
    const effects = bug?.effects?.(result.effects, state) ?? result.effects;
    if (effects.length === 0 && result.effects.some(({ type }) => type === 'txn'))
      state = { ...state, inFlight: { ...state.inFlight, dcs: undefined } };
    for (const effect of effects) carryOut(effect);
  }

  // ---- effects -------------------------------------------------------------------------------------------------------

  /** A moment at which the world may let the instance die, or be late. */
  function at(effect: Moment['effect'], when: Moment['when'], then: () => void): void {
    if (!agentHost.alive()) return;
    const verdict = cluster.at({ instance: name, effect, when });
    if (verdict === 'go') then();
    else if (verdict === 'crash') kill(1000);
    else agentHost.later(verdict.late, then);
  }

  function carryOut(effect: Effect): void {
    coverage.met('effect', effect.type);
    at(effect, 'before', () => {
      switch (effect.type) {
        case 'txn':
          agentHost.run(transact(effect));
          return;
        case 'revoke-lease':
          agentHost.run(revoke(effect));
          return;
        case 'write-vow':
          agentHost.later(random.between(0.5, 15), () => writeVow(effect));
          return;
        case 'remember':
          disk.write(
            () => (volume.seen = effect.seen),
            () => undefined,
          );
          return;
        default:
          actOnDatabase(effect);
      }
    });
  }

  function writeVow(effect: Effect & { readonly type: 'write-vow' }): void {
    disk.write(
      () =>
        agentHost.receive(() => {
          if (bug?.model !== 'vow-not-durable') volume.vow = Math.max(volume.vow, effect.epoch);
          at(effect, 'after', () => dispatch({ type: 'vow-written', epoch: effect.epoch }));
        }),
      () => agentHost.receive(() => dispatch({ type: 'vow-failed' })),
    );
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
    if (!view && effect.type !== 'kill') {
      dispatch({ type: 'database-effect-ended', effect: effect.type, ok: false });
      return;
    }
    cancelEffect = agentHost.run(engine.run(effect, view ?? etcd.view()), (outcome) =>
      at(effect, 'after', () => ended('value' in outcome)),
    );
  }

  function* transact(effect: Effect & { readonly type: 'txn' }): Activity<void> {
    const { purpose, txn } = effect;
    if (purpose === 'promise') judge.bound(name, volume.incarnation, state.vow);
    const { lease } = state;
    let answer = yield* etcd.txn(caller, txn, lease);
    if (bug?.model === 'blind-retry' && 'failed' in answer)
      answer = yield* etcd.txn(caller, { ...txn, compare: [] }, state.lease);
    const outcome = 'value' in answer ? (answer.value ? 'applied' : 'refused') : answer.failed;
    coverage.met('txn', purpose);
    coverage.met('outcome', outcome);
    yield* until<undefined>((resume) => at(effect, 'after', () => resume(undefined)));
    trace(name, `  txn ${purpose} ${outcome}`);
    const claimed = claimedEpoch(txn);
    if (claimed !== undefined) keepAliveNow();
    if (outcome === 'applied' && claimed !== undefined && renewedAt !== undefined && state.lease === lease)
      dispatch({ type: 'leadership-proven', sentAt: renewedAt, epoch: claimed });
    const fresh = yield* refresh();
    dispatch({ type: 'txn-ended', purpose, outcome: purpose === 'sync' && !fresh ? 'unknown' : outcome });
  }

  function* revoke(effect: Effect & { readonly type: 'revoke-lease' }): Activity<void> {
    const answer = yield* etcd.revoke(caller, effect.lease);
    yield* until<undefined>((resume) => at(effect, 'after', () => resume(undefined)));
    yield* refresh();
    dispatch({ type: 'lease-revoked', ok: 'value' in answer });
  }

  function* refresh(milliseconds?: number): Activity<boolean> {
    const askedAt = clock();
    const answer = yield* etcd.read(caller, milliseconds);
    if ('value' in answer) dispatch({ type: 'view', view: answer.value, askedAt });
    return 'value' in answer;
  }

  /** The watch may hang on the member of etcd that was lost with the primary; votes must not wait for it. */
  function* lookAtElection(): Activity<void> {
    for (;;) {
      yield* interruptible(isElecting(state) ? electionPeriod : resyncPeriod, (wake) => (lookNow = wake));
      if (isElecting(state)) yield* refresh(electionDeadline);
    }
  }

  // ---- loops ---------------------------------------------------------------------------------------------------------

  function* keepLease(): Activity<void> {
    for (let lastRead = 0; ;) {
      const sentAt = clock();
      // A database that cannot be killed must not be kept in leadership by its agent.
      if (!leads() || !isGivingUp(state) || bug?.model === 'renews-while-giving-up') {
        const answered = yield* renew(sentAt);
        if (answered === 'expired') continue;
        if (answered === 'renewed' && (leads() || clock() - lastRead > resyncPeriod) && (yield* prove(sentAt)))
          lastRead = clock();
      } else if (clock() - lastRead > resyncPeriod && (yield* refresh())) lastRead = clock();
      const left = keepAlivePeriod - (clock() - sentAt);
      yield* interruptible(Math.min(keepAlivePeriod, Math.max(50, left)), (wake) => (keepAliveNow = wake));
    }
  }

  function* renew(sentAt: number): Activity<'renewed' | 'expired' | 'silent'> {
    const { lease } = state;
    if (lease === undefined) {
      const granted = yield* etcd.grant(caller, settings.ttl);
      if (!('value' in granted)) return 'silent';
      renewedAt = sentAt;
      dispatch({ type: 'lease', lease: granted.value });
    } else {
      const kept = yield* etcd.keepAlive(caller, lease);
      if (!('value' in kept)) return 'silent';
      if (!kept.value) {
        renewedAt = undefined;
        dispatch({ type: 'lease', lease: undefined });
        return 'expired';
      }
    }
    renewedAt = sentAt;
    dispatch({ type: 'dcs-heard', sentAt });
    return 'renewed';
  }

  /** Reads that this instance leads, by the lease renewed at `sentAt`. */
  function* prove(sentAt: number): Activity<boolean> {
    if (bug?.model === 'keepalive-proves' && leads() && state.view) {
      dispatch({ type: 'leadership-proven', sentAt, epoch: state.view.epoch });
      return true;
    }
    const askedAt = clock();
    const read = yield* etcd.read(caller);
    if (!('value' in read)) return false;
    const leader = read.value.leader?.value;
    dispatch({ type: 'view', view: read.value, askedAt });
    if (leader?.instance === name && leader.lease === state.lease && leader.epoch === read.value.epoch)
      dispatch({ type: 'leadership-proven', sentAt, epoch: read.value.epoch });
    return true;
  }

  function* observe(): Activity<void> {
    for (;;) {
      if (state.database.status === 'primary' && !databaseHost.paused())
        dispatch({ type: 'replicas', replicas: engine.replicas() });
      dispatch({ type: 'tick' });
      yield observePeriod;
    }
  }

  function* publish(): Activity<void> {
    for (;;) {
      if (state.lease) {
        published = memberState(state, engine.streaming());
        coverage.met('member', published);
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
      const askedAt = clock();
      const start = yield* etcd.read(caller);
      if (!('value' in start)) continue;
      dispatch({ type: 'view', view: start.value, askedAt });
      const watch = etcd.watch(caller, start.value.revision, (view) => dispatch({ type: 'view', view }));
      while (watch.brokenAt === undefined || time.now() - watch.brokenAt < 1500) yield 500;
    }
  }

  /** As operator/agent/heartbeat.ts. */
  function* watchPrimary(): Activity<void> {
    let heardAt = 0;
    let stamp: Stamp | undefined;
    for (let last = ''; ;) {
      const startedAt = agentHost.now();
      const leader = state.view?.leader?.value.instance;
      const primary = leader === undefined || leader === name ? undefined : state.view?.members.get(leader);
      const epoch = state.view?.epoch ?? 0;
      const key = primary ? `${epoch} ${primary.instance}` : '';
      const report = (lost: number | undefined): void => {
        if (lost === state.lostPrimaryOf) return;
        dispatch({ type: 'primary-lost', epoch: lost });
        if (isElecting(state)) lookNow();
      };
      if (key !== last) {
        [heardAt, last, stamp] = [startedAt, key, undefined];
        report(undefined);
      }
      if (primary) {
        const patience = Math.max(10, Math.min(answerLimit, heardAt + silenceLimit - startedAt));
        const answer = yield* ask(primary.instance, epoch, stamp && word(stamp), patience);
        const there = typeof answer === 'object' && answer.there;
        if (answer !== 'silent') heardAt = there ? startedAt : -Infinity;
        stamp = there ? answer.stamp : undefined;
        if (there && last === key) dispatch({ type: 'primary-heard', epoch });
        if (last === key) report(agentHost.now() - heardAt >= silenceLimit ? epoch : undefined);
      }
      const left = heartbeatPeriod - (agentHost.now() - startedAt);
      yield* interruptible(Math.max(10, left), (wake) => (askNow = wake));
    }
  }

  function word(stamp: Stamp): Word | undefined {
    const epoch = mayPledge(state);
    if (epoch === undefined) return undefined;
    dispatch({ type: 'pledged', epoch });
    judge.pledged(name, volume.incarnation, epoch, settings.pledge / agentHost.rate);
    return { voter: { instance: name, incarnation: volume.incarnation }, epoch, stamp };
  }

  function ask(
    primary: string,
    epoch: number,
    given: Word | undefined,
    patience: number,
  ): Activity<{ readonly there: boolean; readonly stamp: Stamp } | 'gone' | 'silent'> {
    return until((resume) => {
      agentHost.later(patience, () => resume('silent'));
      network.send(name, primary, () => {
        const peer = cluster.instances.get(primary);
        if (!peer || peer.lost) return;
        const reply = (answer: { readonly there: boolean; readonly stamp: Stamp } | 'gone'): void =>
          network.send(primary, name, () => agentHost.receive(() => resume(answer)));
        if (!peer.agentHost.alive()) reply('gone'); // connection refused
        peer.agentHost.receive(() => {
          const { epoch: theirs, leading, stamp } = peer.heartbeat(given);
          reply({ there: leading || theirs < epoch, stamp });
        });
      });
    });
  }

  /** Wakes the fence on time; replicas are woken by `observe` as often. */
  function armFence(): void {
    const end = state.database.status === 'primary' ? serveUntil(state) : undefined;
    const left = end === undefined ? 250 : end - clock();
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

  const leads = (): boolean => holdsLeadership(state);

  function member(): Member {
    const { lostPrimaryOf, health, vow } = state;
    const position = engine.position(state.view);
    return {
      instance: name,
      incarnation: volume.incarnation,
      state: memberState(state, engine.streaming()),
      role: state.database.status === 'primary' ? 'primary' : 'replica',
      address: name,
      databasePort: 5432,
      agentPort: 8008,
      node: name,
      version: '18',
      vow,
      ...(health.status === 'failing' ? { failing: health.reason } : {}),
      ...(position ? { position } : {}),
      ...(lostPrimaryOf === undefined ? {} : { lostPrimaryOf }),
    };
  }

  // ---- life ----------------------------------------------------------------------------------------------------------

  function start(): void {
    if (instance.lost || cluster.gone.has(instance.name) || agentHost.alive()) return;
    trace(name, 'container starts');
    agentHost.start();
    databaseHost.start();
    state = fresh();
    [because, phase, published, cancelEffect, renewedAt] = ['', undefined, '', undefined, undefined];
    dispatch({ type: 'database', database: engine.inspect() });
    for (const loop of [keepLease, observe, publish, follow, watchPrimary, lookAtElection]) agentHost.run(loop());
    agentHost.run(
      watchHealth(
        { now: clock, runs: () => engine.server() !== undefined, hung: () => databaseHost.paused(), disk },
        () => state.health,
        (health) => dispatch({ type: 'health', health }),
      ),
    );
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
    disk,
    lost: false,
    state: () => state,
    server: engine.server,
    streaming: engine.streaming,
    heartbeat: (given) => {
      if (given && (given.stamp.life === agentHost.life() || bug?.model === 'stamps-of-former-lives')) {
        const { voter, epoch, stamp } = given;
        dispatch({
          type: 'pledge-received',
          voter,
          epoch,
          askedAt: bug?.model === 'pledge-from-receipt' ? clock() : stamp.at,
        });
      }
      return {
        epoch: state.view?.epoch ?? 0,
        leading: answersAsLeader(state),
        stamp: { life: agentHost.life(), at: clock() },
      };
    },
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
      // Fed only while the lease is proven for as long as its limit: it strikes by the end of either.
      const proven = state.database.status === 'primary' ? (serveUntil(state) ?? 0) - clock() : deadmanLimit;
      const life = agentHost.life();
      if (bug?.model !== 'no-deadman')
        time.after(Math.min(deadmanLimit, Math.max(0, proven)), () => {
          if (agentHost.paused() && agentHost.life() === life) engine.crash();
        });
      time.after(milliseconds, instance.resume);
    },
    hang: (milliseconds) => {
      if (!engine.server() || databaseHost.paused()) return;
      databaseHost.pause();
      time.after(milliseconds, () => !agentHost.paused() && databaseHost.resume());
    },
    setSlow: (slow) => (engine.slow = slow),
    jump: (milliseconds) => (wallOffset += milliseconds),
    end: (restartAfter) => {
      if (agentHost.alive() && !state.ending) agentHost.run(handOver(restartAfter));
    },
    loseVolume: (systemIdentifier) => {
      const data = systemIdentifier && { systemIdentifier, log: [{ timeline: 1, id: 0 }], highestTimeline: 1 };
      Object.assign(volume, {
        data,
        upgraded: undefined,
        broken: false,
        initialized: undefined,
        vow: data && random.chance(0.5) ? 1 : 0,
        seen: nothingSeen,
      });
      volume.incarnation = cluster.nextIncarnation();
    },
    resume: () => {
      // Which of the two the scheduler wakes first is chance.
      for (const host of random.chance(0.5) ? [agentHost, databaseHost] : [databaseHost, agentHost]) host.resume();
    },
  };
  return instance;
}

/** The epoch of a transaction that puts `leader` on this instance's lease. */
function claimedEpoch({ writes }: Txn): number | undefined {
  const leader = writes.find((write) => 'put' in write && write.put === keys.leader);
  return leader && 'value' in leader ? (leader.value as Leader).epoch : undefined;
}

/** ISO 8601, of so many milliseconds of the world's time. */
export const wallClock = (milliseconds: number): string => new Date(Date.UTC(2026, 0) + milliseconds).toISOString();
