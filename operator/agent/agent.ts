/**
 * Drives the protocol: events go in, `step` decides, effects are carried out by etcd, the engine and the volume, and what
 * comes of them goes in again. Nothing is decided here.
 */
import { clusterPrefix, keys, type Leader, type Member } from '../api/cluster-state.ts';
import type { Compare, Dcs, Write } from '../dcs/dcs.ts';
import type { Engine, EngineContext, Observation } from '../engines/engine.ts';
import { explain } from '../ha/explain.ts';
import { memberState } from '../ha/member-state.ts';
import { answersAsLeader, holdsLeadership, isGivingUp, mayPledge, serveUntil } from '../ha/proof.ts';
import { isElecting } from '../ha/suspicion.ts';
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
import type { KubernetesClient } from '../kubernetes/client.ts';
import { untilNextBeat, type Clock } from '../platform/clock.ts';
import { within } from '../platform/deadline.ts';
import type { Logger } from '../platform/log.ts';
import { createAlarm } from './alarm.ts';
import { startDeadman } from './deadman.ts';
import { keepDeclared, type Declaring } from './declaring.ts';
import { issueStamps, watchPrimary } from './heartbeat.ts';
import { serveHttp, type Answers } from './http.ts';
import { identityIn } from './peer-credentials.ts';
import { mayAskPlainly } from './plain-words.ts';
import type { AgentMetrics } from './metrics.ts';
import { isNews } from './news.ts';
import { routeTo } from './routing.ts';
import type { AgentSettings } from './settings.ts';
import type { Volume } from './volume.ts';
import { clusterReader } from './watch.ts';

export interface AgentParts {
  readonly settings: AgentSettings;
  readonly dcs: Dcs;
  readonly engine: Engine;
  readonly volume: Volume;
  /** Undefined outside a Kubernetes cluster: then no Service is kept. */
  readonly kubernetes: KubernetesClient | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: AgentMetrics;
}

/** Periods and limits, in milliseconds. */
const keepAlivePeriod = 500;
const observePeriod = 250;
const publishPeriod = 1000;
/** The time, for decisions that wait for nothing else. */
const tickPeriod = 250;
/** A replica without a stream counts as ready for so long. */
const readableFor = 10_000;
const electionPeriod = 150;
/** Short, so that a member of etcd that is gone is passed over soon. */
const electionDeadline = 500;
const dcsDeadline = 1000;
/** Repeated at will, so it need not wait for a member of etcd that may be on the lost node. */
const publishDeadline = 400;
/** Between two attempts to point the Service here, and between two looks at whether it must be. */
const routeRetry = 250;
const routeResync = 5000;
/** Replicas read everything again now and then, should a watch have died in silence. */
const resyncPeriod = 5000;
/** What an agent tells of itself, if it stands in etcd as far as the agent can see. */
const repeatPeriod = 60_000;
/** For one effect on the database, in milliseconds; a copy of data may take hours, and ends with its connection. */
const hours = 24 * 3600_000;
const effectLimits: Readonly<Record<DatabaseEffect['type'], number>> = {
  kill: 60_000,
  initialize: 600_000,
  start: 700_000,
  seal: 10_000,
  follow: 15_000,
  rewind: hours,
  clone: hours,
  promote: 60_000,
  open: 5_000,
  'configure-sync': 70_000,
  stop: 45_000,
  'check-upgrade': 5_000,
  upgrade: hours,
  'take-upgraded': 30_000,
};
const vowLimit = 20_000;
const handOverLimit = 45_000;

export interface RunningAgent {
  /** Hands over, stops the database, gives the lease back; resolves when all is done. */
  end(): Promise<void>;
}

export async function startAgent(parts: AgentParts): Promise<RunningAgent> {
  const { settings, dcs, engine, volume, clock, log, metrics } = parts;
  const prefix = clusterPrefix({ namespace: settings.namespace, name: settings.cluster, uid: settings.uid });
  const stopping = new AbortController();
  const { signal } = stopping;
  const ended = (): boolean => signal.aborted;
  const reader = clusterReader(
    dcs,
    { namespace: settings.namespace, name: settings.cluster, uid: settings.uid },
    clock,
    log,
  );
  let version = await engine.version();
  const versions = await engine.versions();

  const usualLevel = log.level;
  const time = (): { now: number; wall: string } => ({ now: clock.now(), wall: clock.wall().toISOString() });
  let state: HaState = initialState(
    { instance: settings.instance, incarnation: volume.incarnation(), address: settings.podIp },
    volume.vow(),
    time(),
    defaultSettings,
    volume.seen(),
    volume.pledging(),
  );
  let because = '';
  let streamedAt = -Infinity;
  let pledgingNoted = volume.pledging();
  let whyNobodyLeads: string | undefined;
  let observation: Observation = { member: {}, streaming: false, replicas: [] };
  /** When clients were last let in: here, or at a primary that has answered so itself. */
  let servedUntil = -Infinity;
  /** Generation of the definition whose settings the running database has been given. */
  let configured: number | undefined;
  let currentEffect: { readonly abort: AbortController; readonly done: Promise<boolean> } | undefined;
  /** Sent time of the last keepalive that etcd confirmed. */
  let renewedAt: number | undefined;
  let lastProgress = clock.now();
  let routedEpoch = 0;
  const stamps = issueStamps(clock);
  const identity = identityIn(settings.tls, clock, log);
  /** An outage of etcd is told once, and its end. */
  let etcdSilentSince: number | undefined;
  const keepAliveDue = createAlarm(clock, signal);
  const publishDue = createAlarm(clock, signal);
  const heartbeatDue = createAlarm(clock, signal);
  const routeDue = createAlarm(clock, signal);
  const electionDue = createAlarm(clock, signal);
  const declaringDue = createAlarm(clock, signal);
  /** Why the first data could not be made, at the last attempt. */
  let bootstrapFailure: string | undefined;

  function dispatch(event: Event): void {
    const before = state;
    const result = step(state, event, time());
    state = result.state;
    lastProgress = clock.now();
    const level = state.view?.definition?.logLevel ?? usualLevel;
    // pino makes all its methods anew each time it is set.
    if (log.level !== level) log.level = level;
    // Who has sealed receives nothing; whether it streams again, the next look tells.
    if (state.database.status === 'replica' && state.database.sealed && observation.streaming)
      observation = { ...observation, streaming: false };
    if (result.because !== because) {
      because = result.because;
      log.info({ epoch: state.view?.epoch, database: state.database.status, phase: result.phase }, because);
    }
    tellWhyNobodyLeads();
    measure(before);
    if (
      before.database.status !== state.database.status ||
      before.lostPrimaryOf !== state.lostPrimaryOf ||
      memberState(state, observation.streaming) !== published
    )
      publishDue.ring();
    if (routeIsDue()) routeDue.ring();
    if (state.view?.declaration !== before.view?.declaration || isOpen(state) !== isOpen(before)) declaringDue.ring();
    for (const effect of result.effects) carryOut(effect);
  }

  function measure(before: HaState): void {
    const { database, view } = state;
    metrics.epoch.set(view?.epoch ?? 0);
    metrics.primary.set(servesAsPrimary() ? 1 : 0);
    metrics.leaseSeconds.set(leads() ? Math.max(0, (serveUntil(state) ?? 0) - state.now) / 1000 : 0);
    metrics.up.set(database.status === 'primary' || database.status === 'replica' ? 1 : 0);
    metrics.isReplica?.set(database.status === 'replica' ? 1 : 0);
    metrics.streaming.set(database.status === 'replica' && observation.streaming ? 1 : 0);
    metrics.backlog.set(database.status === 'replica' ? (observation.member.backlog ?? 0) : 0);
    if (isOpen(before) && !isOpen(state)) servedUntil = state.now;
    if (isOpen(before) || !isOpen(state)) return;
    const reason = view?.history.get(view.epoch)?.reason ?? 'Unknown';
    if (Number.isFinite(servedUntil)) metrics.failovers.observe({ reason }, (state.now - servedUntil) / 1000);
  }

  /** Told once for each reason. */
  function tellWhyNobodyLeads(): void {
    const why = state.view && !state.view.leader ? explain(state.view).summary : undefined;
    if (why === whyNobodyLeads) return;
    whyNobodyLeads = why;
    if (why !== undefined) log.info({ epoch: state.view?.epoch }, `no primary: ${why}`);
  }

  // ---- effects -------------------------------------------------------------------------------------------------------

  function carryOut(effect: Effect): void {
    switch (effect.type) {
      case 'txn':
        void transact(effect.purpose, effect.txn);
        return;
      case 'revoke-lease':
        void dcs
          .revokeLease(effect.lease, { milliseconds: dcsDeadline, signal })
          .then(
            () => true,
            (error: unknown) => {
              log.warn({ err: error }, 'could not revoke the former lease');
              return false;
            },
          )
          .then(async (ok) => {
            await refresh();
            dispatch({ type: 'lease-revoked', ok });
          });
        return;
      case 'write-vow':
        // A vow that comes late binds more than it must, and nobody has been promised anything yet.
        void within(vowLimit, clock, 'the vow', volume.writeVow(effect.epoch)).then(
          () => dispatch({ type: 'vow-written', epoch: effect.epoch }),
          (error: unknown) => {
            log.error({ err: error, epoch: effect.epoch }, 'the vow could not be written; trying again');
            dispatch({ type: 'vow-failed' });
          },
        );
        return;
      case 'remember':
        if (effect.seen.rewound) log.error({ ...effect.seen }, 'etcd has gone back in time');
        void volume
          .writeSeen(effect.seen)
          .catch((error: unknown) => log.error({ err: error }, 'could not note what etcd has been'));
        return;
      default:
        void actOnDatabase(effect);
    }
  }

  async function actOnDatabase(effect: DatabaseEffect): Promise<void> {
    const former = currentEffect;
    former?.abort.abort(new Error(`superseded by ${effect.type}`));
    const abort = new AbortController();
    const context = engineContext();
    const started = clock.now();
    const limit = effectLimits[effect.type];
    const disarm = clock.after(limit, () => abort.abort(new Error(`${effect.type} took longer than ${limit} ms`)));
    const done = (async (): Promise<boolean> => {
      try {
        if (effect.type === 'kill') await engine.kill(abort.signal);
        else {
          await former?.done;
          if (!context) throw new Error('the definition is gone');
          await engine.run(effect, context, abort.signal);
          if (effect.type === 'initialize' || effect.type === 'clone' || effect.type === 'take-upgraded')
            version = await engine.version();
        }
        if (effect.type === 'initialize') bootstrapFailure = undefined;
        return true;
      } catch (error) {
        if (effect.type === 'initialize') bootstrapFailure = error instanceof Error ? error.message : String(error);
        log.warn({ err: error, effect: effect.type }, `${effect.type} failed`);
        return false;
      }
    })();
    const mine = { abort, done };
    currentEffect = mine;
    const ok = await done;
    disarm();
    if (currentEffect !== mine) return; // whoever superseded it reports
    metrics.effects.inc({ effect: effect.type, outcome: ok ? 'ok' : 'failed' });
    log.info({ effect: effect.type, ok, ms: Math.round(clock.now() - started) }, `${effect.type} ended`);
    dispatch({ type: 'database', database: engine.state() });
    dispatch({ type: 'database-effect-ended', effect: effect.type, ok });
  }

  async function transact(purpose: TxnPurpose, txn: Txn): Promise<void> {
    const lease = state.lease ?? '';
    const compare: Compare[] = txn.compare.map((c) => ({ ...c, key: prefix + c.key }));
    const writes: Write[] = txn.writes.map((w) =>
      'delete' in w
        ? { delete: prefix + w.delete }
        : {
            put: prefix + w.put,
            value: typeof w.value === 'string' ? w.value : JSON.stringify(w.value),
            ...(w.leased ? { lease } : {}),
          },
    );
    let outcome: 'applied' | 'refused' | 'unknown';
    try {
      ({ outcome } = await dcs.txn(compare, writes, { milliseconds: dcsDeadline, signal }));
    } catch (error) {
      // Certainly not applied.
      outcome = 'refused';
      log.warn({ err: error, purpose }, 'etcd refused the transaction');
    }
    metrics.transactions.inc({ purpose, outcome });
    log.info({ purpose, outcome }, `transaction ${purpose}: ${outcome}`);
    // The claim put the key on this lease and was applied: the lease lived, and runs from its last renewal.
    const claimed = claimedEpoch(txn);
    if (claimed !== undefined) keepAliveDue.ring();
    if (outcome === 'applied' && claimed !== undefined && renewedAt !== undefined && state.lease === lease)
      dispatch({ type: 'leadership-proven', sentAt: renewedAt, epoch: claimed });
    const fresh = await refresh();
    // Without a look at what it left behind, the next change of the sync set would be planned from before it.
    dispatch({ type: 'txn-ended', purpose, outcome: purpose === 'sync' && !fresh ? 'unknown' : outcome });
  }

  async function refresh(milliseconds = dcsDeadline): Promise<boolean> {
    try {
      const askedAt = clock.now();
      dispatch({ type: 'view', view: await reader.read(signal, milliseconds), askedAt });
      return true;
    } catch (error) {
      if (!ended() && etcdSilentSince === undefined) log.warn({ err: error }, 'could not read the cluster from etcd');
      return false;
    }
  }

  /** The watch may hang on the member of etcd that was lost with the primary; votes must not wait for it. */
  async function lookAtElection(): Promise<void> {
    while (!ended()) {
      await electionDue.wait(isElecting(state) ? electionPeriod : resyncPeriod);
      if (isElecting(state)) await refresh(electionDeadline);
    }
  }

  // ---- loops ---------------------------------------------------------------------------------------------------------

  /** Renews the lease on a timer of its own, and proves leadership by reading it back (rule 2). */
  async function keepLease(): Promise<void> {
    let lastRead = 0;
    while (!ended()) {
      const sentAt = clock.now();
      if (leads() && isGivingUp(state)) {
        // A database that cannot be killed must not be kept in leadership by its agent; what etcd says counts all the same.
        if (sentAt - lastRead > resyncPeriod && (await refresh())) lastRead = sentAt;
        await keepAliveDue.wait(untilNextBeat(clock, keepAlivePeriod));
        continue;
      }
      try {
        const deadline = { milliseconds: dcsDeadline, signal };
        if (!state.lease) {
          const lease = await dcs.grantLease(state.settings.ttl / 1000, deadline);
          renewedAt = sentAt;
          dispatch({ type: 'lease', lease });
        } else if ((await dcs.keepAliveOnce(state.lease, deadline)) === 0) {
          log.warn('the lease has expired in etcd');
          renewedAt = undefined;
          dispatch({ type: 'lease', lease: undefined });
          continue;
        }
        renewedAt = sentAt;
        dispatch({ type: 'dcs-heard', sentAt });
        const bound = Math.max(state.pledged?.until ?? 0, state.startedAt + state.settings.pledge);
        if (pledgingNoted && sentAt > bound) void notePledging(false);
        if (leads() || clock.now() - lastRead > resyncPeriod) {
          const askedAt = clock.now();
          const view = await reader.read(signal, dcsDeadline);
          lastRead = clock.now();
          const leader = view.leader?.value;
          dispatch({ type: 'view', view, askedAt });
          if (
            leader &&
            leader.instance === settings.instance &&
            leader.lease === state.lease &&
            leader.epoch === view.epoch
          )
            dispatch({ type: 'leadership-proven', sentAt, epoch: view.epoch });
        }
        if (etcdSilentSince !== undefined)
          log.info({ ms: Math.round(clock.now() - etcdSilentSince) }, 'etcd answers again');
        etcdSilentSince = undefined;
      } catch (error) {
        if (!ended() && etcdSilentSince === undefined) {
          etcdSilentSince = sentAt;
          log.warn({ err: error }, 'could not renew the lease; trying on');
        }
      }
      await keepAliveDue.wait(Math.max(50, untilNextBeat(clock, keepAlivePeriod, sentAt)));
    }
  }

  async function notePledging(pledging: boolean): Promise<void> {
    pledgingNoted = false; // until it is certain
    try {
      await volume.writePledging(pledging);
      pledgingNoted = pledging;
    } catch (error) {
      log.error({ err: error }, 'could not note whether pledges are given');
    }
  }

  async function observe(): Promise<void> {
    while (!ended()) {
      const context = engineContext();
      const { status } = state.database;
      const runs = status === 'primary' || status === 'replica';
      // What is being done to it matters more than what it looks like; and each question costs it time.
      const busy = state.inFlight.database !== undefined && state.inFlight.database !== 'configure-sync';
      if (context && runs && !busy) {
        try {
          await engine.configure(context.definition, signal);
          configured = context.definition.generation;
          observation = await engine.observe(context, signal);
          if (observation.streaming) streamedAt = clock.now();
          if (state.database.status === 'primary') dispatch({ type: 'replicas', replicas: observation.replicas });
        } catch (error) {
          if (!ended()) log.debug({ err: error }, 'could not observe the database');
        }
      } else if (!runs) observation = { member: {}, streaming: false, replicas: [] };
      dispatch({ type: 'tick' });
      // A primary has to see soon which of its replicas has fallen silent; a replica that streams has little to tell.
      const period = status === 'replica' && observation.streaming ? 4 * observePeriod : observePeriod;
      await clock.sleep(untilNextBeat(clock, period), signal).catch(() => undefined);
    }
  }

  let published = '';
  async function publish(): Promise<void> {
    let last: { readonly told?: Member; readonly lease: string; readonly at: number } = { lease: '', at: -Infinity };
    while (!ended()) {
      const { lease } = state;
      const told = describe();
      // The same words again are only for the case that somebody took them away; they tell how the log has grown meanwhile as well.
      const isSeen = state.view?.members.has(settings.instance) === true;
      const repeatAfter = mustBeSeen() ? publishPeriod / 2 : isSeen ? repeatPeriod : resyncPeriod;
      if (lease && (isNews(last.told, told) || lease !== last.lease || clock.now() - last.at >= repeatAfter)) {
        published = memberState(state, observation.streaming);
        const at = clock.now();
        const write: Write = { put: prefix + keys.member(settings.instance), value: JSON.stringify(told), lease };
        try {
          const { outcome } = await dcs.txn([], [write], { milliseconds: publishDeadline, signal });
          if (outcome === 'applied') last = { told, lease, at };
        } catch (error) {
          if (!ended() && etcdSilentSince === undefined) log.warn({ err: error }, 'could not publish this member');
        }
      }
      await publishDue.wait(lease ? untilNextBeat(clock, publishPeriod) : 50);
    }
  }

  const routeIsDue = (): boolean => {
    const serving = state.database.status === 'primary' || state.inFlight.database === 'promote';
    return leads() && serving && routedEpoch !== state.view?.epoch;
  };

  /** Keeps the `-rw` Service pointed here while this instance leads. */
  async function keepRoute(): Promise<void> {
    const client = parts.kubernetes;
    if (!client || !settings.serviceRw) return;
    const self = { instance: settings.instance, address: settings.podIp, node: settings.node };
    while (!ended()) {
      const epoch = state.view?.epoch ?? 0;
      if (!routeIsDue()) await routeDue.wait(routeResync);
      else if (await routeTo([self], client, settings, epoch, engine.databasePort, log, signal)) routedEpoch = epoch;
      else await clock.sleep(routeRetry, signal).catch(() => undefined);
    }
  }

  /** Wakes the fence on time even if nothing else happens. */
  function armFence(): void {
    const until = serveUntil(state);
    const delay =
      state.database.status === 'primary' && until !== undefined ? Math.max(1, until - clock.now()) : tickPeriod;
    clock.after(Math.min(delay, untilNextBeat(clock, tickPeriod)), () => {
      if (signal.aborted) return;
      dispatch({ type: 'tick' });
      armFence();
    });
  }

  // ---- what is known -------------------------------------------------------------------------------------------------

  function engineContext(): EngineContext | undefined {
    const { view } = state;
    return (
      view?.definition && {
        definition: view.definition,
        history: view.history,
        incarnation: volume.incarnation(),
        positions: new Map(
          [...view.members.values()].flatMap(({ instance, position }) => (position ? [[instance, position]] : [])),
        ),
        ...(view.sync && {
          sync: view.sync.value.members,
          syncBegins: view.sync.value.members.length < view.sync.value.acknowledgements,
        }),
        ...(view.declaration !== undefined && { declaration: view.declaration }),
      }
    );
  }

  const leads = (): boolean => holdsLeadership(state);

  /** Where nobody need acknowledge, who wants to succeed goes by when the primary was last heard of (F15), in etcd too. */
  const mustBeSeen = (): boolean => leads() && (state.view?.sync?.value.acknowledgements ?? 0) === 0;

  function servesAsPrimary(): boolean {
    const { database } = state;
    return database.status === 'primary' && database.open && leads() && clock.now() < (serveUntil(state) ?? 0);
  }

  function describe(): Member {
    const copy = engine.copyProgress();
    return {
      instance: settings.instance,
      incarnation: volume.incarnation(),
      state: memberState(state, observation.streaming),
      role: state.database.status === 'primary' ? 'primary' : 'replica',
      address: settings.podIp,
      databasePort: engine.databasePort,
      agentPort: settings.agentPort,
      ...(identity() && { agentTls: true }),
      node: settings.node,
      version,
      versions,
      message: because,
      ...(copy && { copy }),
      vow: state.vow,
      ...(state.health.status === 'failing' ? { failing: state.health.reason } : {}),
      ...(configured === undefined ? {} : { generation: configured }),
      ...engine.standing(),
      ...observation.member,
      ...(bootstrapFailure === undefined ? {} : { bootstrapFailure: bootstrapFailure.slice(0, 900) }),
      ...(state.lostPrimaryOf === undefined ? {} : { lostPrimaryOf: state.lostPrimaryOf }),
    };
  }

  function declaring(): Declaring | undefined {
    const { view } = state;
    if (view?.declaration === undefined || !view.leader || !servesAsPrimary()) return undefined;
    return {
      declaration: view.declaration,
      reported: view.declared?.value,
      leaderRevision: view.leader.modRevision,
      lacking: (credentials) =>
        [...(state.view?.members.values() ?? [])]
          .filter((member) => member.credentials !== credentials)
          .map((member) => member.instance)
          .sort(),
    };
  }

  const answers: Answers = {
    health: () => ({
      instance: settings.instance,
      role: state.database.status === 'primary' ? 'primary' : 'replica',
      state: memberState(state, observation.streaming),
      epoch: state.view?.epoch ?? 0,
      because,
    }),
    heartbeat: (pledge, isPeer) => {
      if (!isPeer && !mayAskPlainly(state.view?.members, settings.instance, pledge?.instance)) return undefined;
      const askedAt = pledge && stamps.sentAt(pledge.stamp);
      if (pledge && askedAt !== undefined) {
        const { instance, incarnation, epoch } = pledge;
        dispatch({ type: 'pledge-received', voter: { instance, incarnation }, epoch, askedAt });
      }
      return {
        instance: settings.instance,
        epoch: state.view?.epoch ?? 0,
        leading: answersAsLeader(state),
        stamp: stamps.issue(),
      };
    },
    servesAsPrimary,
    servesAsReplica: () => state.database.status === 'replica' && observation.streaming,
    servesReads: () => state.database.status === 'replica' && clock.now() - streamedAt < readableFor,
    explanation: () => state.view && explain(state.view),
    alive: () => clock.now() - lastProgress < 15_000,
  };

  // ---- start and end -------------------------------------------------------------------------------------------------

  engine.onChange((database) => dispatch({ type: 'database', database }));
  // A broken stream is the first sign of a primary's death: its agent may refuse the connection half a second sooner.
  engine.onStreamLost(() => heartbeatDue.ring());
  engine.onHealth((health) => {
    if (health.status === 'failing') log.error({ ...health }, 'the database is failing');
    else log.info('the database is well');
    dispatch({ type: 'health', health });
  });
  engine.onNewIncarnation(async () => {
    dispatch({ type: 'incarnation', incarnation: await volume.renewIncarnation() });
  });
  const server = await serveHttp(settings.agentPort, answers, metrics.registry, identity);
  const deadman = startDeadman({
    limit: settings.deadmanLimit,
    proof: state.settings.ttl - state.settings.margin,
    allowed: () => (state.database.status === 'primary' ? (serveUntil(state) ?? 0) - clock.now() : Infinity),
    clock,
    log,
  });
  dispatch({ type: 'database', database: await engine.inspect() });
  const loops = [
    keepLease(),
    observe(),
    publish(),
    keepRoute(),
    lookAtElection(),
    keepDeclared(
      { instance: settings.instance, prefix, engine, dcs, clock, log, now: declaring, due: declaringDue },
      signal,
    ),
    reader.follow(
      (view, askedAt) => dispatch({ type: 'view', view, ...(askedAt === undefined ? {} : { askedAt }) }),
      signal,
    ),
    watchPrimary(
      () => {
        const leader = state.view?.leader?.value;
        const primary = leader && state.view?.members.get(leader.instance);
        return primary && leader.instance !== settings.instance && state.view
          ? { epoch: state.view.epoch, primary }
          : undefined;
      },
      (epoch, why) => {
        if (epoch === state.lostPrimaryOf) return;
        log.info(
          { epoch: state.view?.epoch, lost: epoch !== undefined, why },
          epoch === undefined ? 'the primary answers' : 'the primary is lost',
        );
        dispatch({ type: 'primary-lost', epoch });
        if (isElecting(state)) electionDue.ring();
      },
      (epoch) => {
        servedUntil = clock.now();
        dispatch({ type: 'primary-heard', epoch });
      },
      () => {
        const epoch = mayPledge(state);
        if (epoch === undefined) return undefined;
        if (!pledgingNoted) {
          void notePledging(true); // first: a restart must know of it
          return undefined;
        }
        dispatch({ type: 'pledged', epoch });
        return { epoch, instance: settings.instance, incarnation: volume.incarnation() };
      },
      heartbeatDue,
      identity,
      clock,
      signal,
    ),
  ];
  armFence();

  return {
    end: async () => {
      dispatch({ type: 'ending' });
      const limit = clock.now() + handOverLimit;
      while ((leads() || state.inFlight.database === 'stop') && clock.now() < limit) await clock.sleep(10);
      currentEffect?.abort.abort(new Error('the agent ends'));
      await currentEffect?.done;
      const context = engineContext();
      if (context && engine.state().status === 'replica')
        await engine.run({ type: 'stop' }, context, AbortSignal.timeout(15_000)).catch((error: unknown) => {
          log.warn({ err: error }, 'the database did not stop cleanly');
        });
      await engine.kill(AbortSignal.timeout(10_000)).catch(() => undefined);
      if (state.lease && !leads())
        await dcs.revokeLease(state.lease, { milliseconds: dcsDeadline }).catch(() => undefined);
      stopping.abort(new Error('the agent ends'));
      deadman.stop();
      server.close();
      await Promise.allSettled(loops);
      await dcs.close();
    },
  };
}

const isOpen = ({ database }: HaState): boolean => database.status === 'primary' && database.open;

/** The epoch of a transaction that puts `leader` on this instance's lease. */
function claimedEpoch({ writes }: Txn): number | undefined {
  const leader = writes.find((write) => 'put' in write && write.put === keys.leader);
  return leader && 'value' in leader ? (leader.value as Leader).epoch : undefined;
}
