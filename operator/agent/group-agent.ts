/**
 * The agent of a member of a replication group: it looks at the server and at etcd, decides what is next, does it, and looks
 * again. The group elects; nothing here is needed for that. Without etcd the group goes on, and clients are let in by what the
 * server itself says of its majority.
 */
import { randomUUID } from 'node:crypto';
import { clusterPrefix, keys, type Member } from '../api/cluster-state.ts';
import type { Compare, Write } from '../dcs/dcs.ts';
import type { EffectInContext, EngineContext, GroupServer, Observation } from '../engines/engine.ts';
import { explain } from '../ha/explain.ts';
import { decideMember, isLeader } from '../ha/group/decide.ts';
import { onlineIn, takesPart, type Sight } from '../ha/group/sight.ts';
import type { MemberAction, MemberDecision, MemberFacts } from '../ha/group/state.ts';
import { defaultSettings, type Health, type Txn } from '../ha/state.ts';
import { tagsOf } from '../ha/successor.ts';
import type { ClusterView } from '../ha/view.ts';
import { within } from '../platform/deadline.ts';
import { MainstayError } from '../platform/errors.ts';
import type { AgentParts, RunningAgent } from './agent.ts';
import { createAlarm } from './alarm.ts';
import { keepDeclared, type Declaring } from './declaring.ts';
import { issueStamps } from './heartbeat.ts';
import { serveHttp, type Answers } from './http.ts';
import { isNews } from './news.ts';
import { identityIn } from './peer-credentials.ts';
import { routeTo, type Route } from './routing.ts';
import { clusterReader } from './watch.ts';

/** Periods and limits, in milliseconds. */
const lookPeriod = 250;
const keepAlivePeriod = 500;
const publishPeriod = 1000;
const observePeriod = 1000;
const dcsDeadline = 1000;
const repeatPeriod = 60_000;
const routePeriod = 250;
const routeResync = 5000;
/** What the server said counts for so long: a group takes as long to notice silence. */
const sightLasts = 5000;
const lookLimit = 2500;
/** Before what has failed is tried again. */
const retryAfter = 1000;
const hours = 24 * 3600_000;
const limits: Readonly<Record<Exclude<MemberAction['type'], 'wait'>, number>> = {
  txn: 2 * dcsDeadline,
  vow: 20_000,
  initialize: 600_000,
  start: 700_000,
  stop: 45_000,
  kill: 60_000,
  clone: hours,
  // What the group has done meanwhile is sent and applied after it; a member that died is only let in when its former life is out.
  join: 120_000,
  form: 60_000,
  leave: 60_000,
  open: 5000,
  shut: 10_000,
  'hand-over': 60_000,
};
/** What must not wait for whatever else is being done. */
const urgent: readonly MemberAction['type'][] = ['kill', 'shut'];
const leaveLimit = 20_000;

export async function startGroupAgent(parts: AgentParts): Promise<RunningAgent> {
  const { settings, dcs, engine, volume, clock, log, metrics } = parts;
  const server = engine.group;
  if (!server) throw new MainstayError('ConfigurationInvalid', `${settings.engine} has no topology Group`);
  const cluster = { namespace: settings.namespace, name: settings.cluster, uid: settings.uid };
  const prefix = clusterPrefix(cluster);
  const stopping = new AbortController();
  const { signal } = stopping;
  const ended = (): boolean => signal.aborted;
  const reader = clusterReader(dcs, cluster, clock, log);
  const identity = identityIn(settings.tls, clock, log);
  const usualLevel = log.level;
  const stamps = issueStamps(clock);
  const lookDue = createAlarm(clock, signal);
  const publishDue = createAlarm(clock, signal);
  const routeDue = createAlarm(clock, signal);
  const declaringDue = createAlarm(clock, signal);
  const versions = await engine.versions();
  const right = randomUUID();

  let version = await engine.version();
  let view: ClusterView | undefined;
  let lease: string | undefined;
  let sight: { readonly value: Sight; readonly at: number } | undefined;
  let health: Health = { status: 'well' };
  let observation: Observation = { member: {}, streaming: false, replicas: [] };
  let [spent, failedJoins, etcdSilent, ending] = [0, 0, false, false];
  let permit: number | undefined;
  let because = '';
  let configured: number | undefined;
  let bootstrapFailure: string | undefined;
  /** What is being done now: one thing, and what can't wait for it. */
  const inFlight = new Set<MemberAction['type']>();
  let effect: AbortController | undefined;
  let lastProgress = clock.now();
  const held = new Map<MemberAction['type'], number>();

  // ---- what is known ---------------------------------------------------------------------------------------------------

  const seen = (): Sight | undefined =>
    sight && engine.state().status === 'replica' && clock.now() - sight.at < sightLasts ? sight.value : undefined;

  const self = (): MemberFacts['self'] => ({ instance: settings.instance, incarnation: volume.incarnation() });

  const facts = (): MemberFacts => ({
    self: self(),
    lease,
    wall: clock.wall().toISOString(),
    view,
    vow: volume.vow(),
    database: engine.state(),
    health,
    sight: seen(),
    ...{ right, spent, permit, failedJoins },
  });

  function context(): EngineContext | undefined {
    const definition = view?.definition;
    if (!definition) return undefined;
    const declaration = view?.declaration;
    return {
      definition,
      history: new Map(),
      incarnation: volume.incarnation(),
      positions: new Map(),
      ...(declaration !== undefined && { declaration }),
    };
  }

  const leads = (): boolean => view !== undefined && isLeader({ ...facts(), view });
  const isServing = (now = seen()): boolean =>
    now !== undefined && takesPart(now) && now.state === 'ONLINE' && now.open;
  const servesAsPrimary = (): boolean => isServing() && seen()?.writable === true;

  function memberState(): Member['state'] {
    if (inFlight.has('initialize')) return 'initializing';
    if (inFlight.has('clone')) return 'cloning';
    if (inFlight.has('start')) return 'starting';
    if (inFlight.has('form')) return 'promoting';
    const { status } = engine.state();
    if (status === 'absent' || status === 'unknown') return 'waiting';
    if (status === 'broken') return 'diverged';
    if (status === 'stopped') return 'stopped';
    if (isServing()) return leads() ? 'running' : 'streaming';
    if (because.startsWith('diverged')) return 'diverged';
    return seen()?.state === 'OFFLINE' && !inFlight.has('join') ? 'sealed' : 'starting';
  }

  function describe(): Member {
    const copy = engine.copyProgress();
    const now = seen();
    return {
      ...self(),
      state: memberState(),
      role: servesAsPrimary() ? 'primary' : 'replica',
      address: settings.podIp,
      databasePort: engine.databasePort,
      agentPort: settings.agentPort,
      ...(identity() && { agentTls: true }),
      node: settings.node,
      ...{ version, versions },
      message: because,
      ...(now && {
        group: {
          ...{ number: now.number, view: now.view, taking: takesPart(now) },
          online: takesPart(now) && now.state === 'ONLINE',
        },
      }),
      ...(copy && { copy }),
      ...(health.status === 'failing' && { failing: health.reason }),
      ...(configured !== undefined && { generation: configured }),
      ...engine.standing(),
      ...observation.member,
      ...(bootstrapFailure !== undefined && { bootstrapFailure: bootstrapFailure.slice(0, 900) }),
    };
  }

  // ---- deciding and doing ----------------------------------------------------------------------------------------------

  async function look(): Promise<void> {
    if (engine.state().status !== 'replica') {
      sight = undefined;
      return;
    }
    const before = seen();
    const at = clock.now();
    try {
      sight = { value: await group.look(AbortSignal.any([signal, AbortSignal.timeout(lookLimit)])), at };
    } catch (error) {
      if (!ended()) log.debug({ err: error }, 'the server does not tell of its group');
    }
    const now = seen();
    if (JSON.stringify({ ...before, gtids: '' }) === JSON.stringify({ ...now, gtids: '' })) return;
    if (now) log.info({ ...now, gtids: undefined }, 'the group as this member sees it');
    for (const due of [publishDue, routeDue, declaringDue]) due.ring();
  }

  async function drive(): Promise<void> {
    while (!ended()) {
      await look();
      lastProgress = clock.now();
      const level = view?.definition?.logLevel ?? usualLevel;
      if (log.level !== level) log.level = level;
      metrics.epoch.set(view?.epoch ?? 0);
      metrics.primary.set(servesAsPrimary() ? 1 : 0);
      if (!ending) consider(decideMember(facts()));
      await lookDue.wait(lookPeriod);
    }
  }

  function consider(decision: MemberDecision): void {
    const { action } = decision;
    if (decision.because !== because && (inFlight.size === 0 || inFlight.has(action.type))) {
      because = decision.because;
      log.info({ epoch: view?.epoch, group: view?.group?.value.number, action: action.type }, because);
      publishDue.ring();
    }
    if (action.type === 'wait' || (held.get(action.type) ?? 0) > clock.now()) return;
    if (inFlight.has(action.type) || (inFlight.size > 0 && !urgent.includes(action.type))) return;
    void carryOut(action);
  }

  async function carryOut(action: Exclude<MemberAction, { readonly type: 'wait' }>): Promise<void> {
    // A kill puts an end to what is under way.
    if (action.type === 'kill') effect?.abort(new Error('superseded by a kill'));
    const abort = new AbortController();
    const disarm = clock.after(limits[action.type], () =>
      abort.abort(new Error(`${action.type} took longer than ${limits[action.type]} ms`)),
    );
    inFlight.add(action.type);
    if (!urgent.includes(action.type)) effect = abort;
    publishDue.ring();
    const started = clock.now();
    let failure: unknown;
    try {
      await perform(action, AbortSignal.any([signal, abort.signal]));
    } catch (error) {
      failure = error;
      held.set(action.type, clock.now() + retryAfter);
      log.warn({ err: error, action: action.type }, `${action.type} failed`);
    }
    disarm();
    inFlight.delete(action.type);
    if (effect === abort) effect = undefined;
    if (action.type !== 'txn')
      log.info(
        { action: action.type, ok: failure === undefined, ms: Math.round(clock.now() - started) },
        `${action.type} ended`,
      );
    metrics.effects.inc({ effect: action.type, outcome: failure === undefined ? 'ok' : 'failed' });
    lookDue.ring();
    publishDue.ring();
  }

  async function perform(action: Exclude<MemberAction, { readonly type: 'wait' }>, limit: AbortSignal): Promise<void> {
    const known = context();
    if (action.type === 'kill') {
      await engine.kill(limit);
      return;
    }
    if (action.type === 'txn') return transact(action.purpose, action.txn);
    if (action.type === 'vow') return within(limits.vow, clock, 'the vow', volume.writeVow(action.number));
    if (!known) throw new MainstayError('DcsUnreachable', 'the definition is gone', { retryable: true });
    switch (action.type) {
      case 'initialize':
        try {
          await run({ type: 'initialize' }, known, limit);
          bootstrapFailure = undefined;
        } catch (error) {
          bootstrapFailure = error instanceof Error ? error.message : String(error);
          throw error;
        }
        return;
      case 'start':
        return run({ type: 'start' }, known, limit);
      case 'stop':
        return run({ type: 'stop' }, known, limit);
      case 'clone': {
        const source = view?.members.get(action.source);
        if (!source) throw new MainstayError('DatabaseUnreachable', `${action.source} is gone`, { retryable: true });
        await run({ type: 'clone', source, mayDiscardOld: false }, known, limit);
        [failedJoins, permit] = [0, undefined];
        return;
      }
      case 'open':
        return group.setOpen(true, known, limit);
      case 'shut':
        return group.setOpen(false, known, limit);
      case 'leave':
        permit = undefined;
        return group.leave(known, limit);
      case 'hand-over':
        return group.handOver(action.to.incarnation, limit);
      case 'join':
      case 'form':
        return enter(action, known, limit);
    }
  }

  /** Only by what etcd says now: a view may be old, and this is what must never be done on an old one. */
  async function enter(
    action: Extract<MemberAction, { readonly type: 'join' | 'form' }>,
    known: EngineContext,
    limit: AbortSignal,
  ): Promise<void> {
    view = await reader.read(limit, dcsDeadline);
    const { action: now } = decideMember(facts());
    if (now.type !== action.type || now.number !== action.number)
      throw new MainstayError('DcsUnreachable', 'etcd says otherwise by now', { retryable: true });
    const members = view.members;
    const seeds = now.type === 'join' ? now.seeds : [];
    const joining = {
      number: now.number,
      address: `${settings.podIp}:${engine.databasePort}`,
      seeds: seeds.flatMap((instance) => {
        const peer = members.get(instance);
        return peer ? [`${peer.address}:${peer.databasePort}`] : [];
      }),
      weight: weightOf(view),
    };
    if (now.type === 'form') {
      spent = now.number; // once, however it ends
      return group.join(joining, true, known, limit);
    }
    try {
      await group.join(joining, false, known, limit);
      failedJoins = 0;
    } catch (error) {
      failedJoins += 1;
      permit = undefined;
      throw error;
    }
  }

  /** MySQL counts from 0 to 100. */
  function weightOf(of: ClusterView): number {
    const { priority } = tagsOf(of, settings.instance);
    return Math.max(0, Math.min(100, 50 + Math.round(priority / 2)));
  }

  async function run(what: EffectInContext, known: EngineContext, limit: AbortSignal): Promise<void> {
    await engine.run(what, known, limit);
    version = await engine.version();
  }

  async function transact(purpose: string, txn: Txn): Promise<void> {
    const compare: Compare[] = txn.compare.map((one) => ({ ...one, key: prefix + one.key }));
    const writes: Write[] = txn.writes.map((write) =>
      'delete' in write
        ? { delete: prefix + write.delete }
        : {
            put: prefix + write.put,
            value: typeof write.value === 'string' ? write.value : JSON.stringify(write.value),
            ...(write.leased && lease !== undefined ? { lease } : {}),
          },
    );
    // Whatever becomes of it, it may still come: only a permit asked for after it says that it did not.
    if (purpose === 'promise') permit = undefined;
    const permitted = view?.group?.value.number;
    const { outcome } = await dcs
      .txn(compare, writes, { milliseconds: dcsDeadline, signal })
      .catch((error: unknown) => {
        log.warn({ err: error, purpose }, 'etcd refused the transaction');
        return { outcome: 'refused' as const };
      });
    metrics.transactions.inc({ purpose, outcome });
    log.info({ purpose, outcome }, `transaction ${purpose}: ${outcome}`);
    view = await reader.read(signal, dcsDeadline);
    if (purpose === 'permit' && outcome === 'applied') permit = permitted;
  }

  // ---- loops -----------------------------------------------------------------------------------------------------------

  async function keepLease(): Promise<void> {
    while (!ended()) {
      const sentAt = clock.now();
      try {
        const deadline = { milliseconds: dcsDeadline, signal };
        if (lease === undefined) {
          lease = await dcs.grantLease(defaultSettings.ttl / 1000, deadline);
          publishDue.ring();
        } else if ((await dcs.keepAliveOnce(lease, deadline)) === 0) {
          log.warn('the lease has expired in etcd');
          lease = undefined;
          continue;
        }
        if (etcdSilent) log.info('etcd answers again');
        etcdSilent = false;
      } catch (error) {
        if (!ended() && !etcdSilent) log.warn({ err: error }, 'could not renew the lease; trying on');
        etcdSilent = true;
      }
      await clock.sleep(Math.max(50, keepAlivePeriod - (clock.now() - sentAt)), signal).catch(() => undefined);
    }
  }

  async function observe(): Promise<void> {
    while (!ended()) {
      const known = context();
      const isBusy = [...inFlight].some((type) => !['txn', 'join', 'shut'].includes(type));
      if (known && engine.state().status === 'replica' && !isBusy) {
        try {
          await engine.configure(known.definition, signal);
          configured = known.definition.generation;
          observation = await engine.observe(known, signal);
        } catch (error) {
          if (!ended()) log.debug({ err: error }, 'could not observe the database');
        }
      } else if (engine.state().status !== 'replica') observation = { member: {}, streaming: false, replicas: [] };
      await clock.sleep(observePeriod, signal).catch(() => undefined);
    }
  }

  async function publish(): Promise<void> {
    let last: { readonly told?: Member; readonly lease: string; readonly at: number } = { lease: '', at: -Infinity };
    while (!ended()) {
      const told = describe();
      const due = clock.now() - last.at >= (view?.members.has(settings.instance) ? repeatPeriod : routeResync);
      if (lease !== undefined && (isNews(last.told, told) || lease !== last.lease || due)) {
        const write: Write = { put: prefix + keys.member(settings.instance), value: JSON.stringify(told), lease };
        const at = clock.now();
        try {
          const { outcome } = await dcs.txn([], [write], { milliseconds: dcsDeadline, signal });
          if (outcome === 'applied') last = { told, lease: write.lease ?? '', at };
        } catch (error) {
          if (!ended() && !etcdSilent) log.warn({ err: error }, 'could not publish this member');
        }
      }
      await publishDue.wait(lease === undefined ? 50 : publishPeriod);
    }
  }

  /** Where writes may go: the primary alone, or every member that is up to date, as the one that speaks for the group sees it. */
  function routes(): readonly Route[] {
    const own = { instance: settings.instance, address: settings.podIp, node: settings.node };
    const now = seen();
    if (!now || view?.definition?.group?.mode !== 'MultiPrimary') return [own];
    const online = onlineIn(now).map(({ incarnation }) => incarnation);
    const others = [...view.members.values()].filter(
      (member) =>
        member.instance !== own.instance &&
        member.state === 'streaming' &&
        online.includes(member.incarnation.slice(0, 8)),
    );
    return [own, ...others].toSorted((a, b) => a.instance.localeCompare(b.instance, 'en'));
  }

  async function keepRoute(): Promise<void> {
    const client = parts.kubernetes;
    if (!client || !settings.serviceRw) return;
    let done = '';
    while (!ended()) {
      const to = routes();
      const epoch = view?.epoch ?? 0;
      const wanted = `${epoch} ${to.map(({ address }) => address).join(' ')}`;
      if (!leads() || !servesAsPrimary() || wanted === done) await routeDue.wait(routeResync);
      else if (await routeTo(to, client, settings, epoch, engine.databasePort, log, signal)) done = wanted;
      else await clock.sleep(routePeriod, signal).catch(() => undefined);
    }
  }

  function declaring(): Declaring | undefined {
    if (view?.declaration === undefined || !view.leader || !leads() || !servesAsPrimary()) return undefined;
    const { members } = view;
    return {
      declaration: view.declaration,
      reported: view.declared?.value,
      leaderRevision: view.leader.modRevision,
      lacking: (credentials) =>
        [...members.values()]
          .filter((member) => member.credentials !== credentials)
          .map(({ instance }) => instance)
          .sort(),
    };
  }

  const answers: Answers = {
    health: () => ({
      instance: settings.instance,
      role: servesAsPrimary() ? 'primary' : 'replica',
      state: memberState(),
      epoch: view?.epoch ?? 0,
      because,
    }),
    heartbeat: () => ({
      instance: settings.instance,
      epoch: view?.epoch ?? 0,
      leading: leads() && servesAsPrimary(),
      stamp: stamps.issue(),
    }),
    servesAsPrimary,
    servesAsReplica: () => isServing() && !servesAsPrimary(),
    servesReads: () => isServing(),
    explanation: () => view && explain(view),
    alive: () => clock.now() - lastProgress < 15_000,
  };

  // ---- start and end ---------------------------------------------------------------------------------------------------

  const group: GroupServer = server;
  engine.onChange(() => {
    sight = undefined;
    for (const due of [lookDue, publishDue]) due.ring();
  });
  engine.onHealth((now) => {
    if (now.status === 'failing') log.error({ ...now }, 'the database is failing');
    health = now;
    lookDue.ring();
  });
  engine.onNewIncarnation(async () => {
    await volume.renewIncarnation();
  });
  const http = await serveHttp(settings.agentPort, answers, metrics.registry, identity);
  await engine.inspect();
  const loops = [
    keepLease(),
    drive(),
    observe(),
    publish(),
    keepRoute(),
    keepDeclared(
      { instance: settings.instance, prefix, engine, dcs, clock, log, now: declaring, due: declaringDue },
      signal,
    ),
    reader.follow((now) => {
      if (view && now.revision < view.revision && now.etcdClusterId === view.etcdClusterId) return;
      view = now;
      for (const due of [lookDue, routeDue, declaringDue]) due.ring();
    }, signal),
  ];

  return {
    end: async () => {
      ending = true;
      effect?.abort(new Error('the agent ends'));
      const known = context();
      if (known && engine.state().status === 'replica') {
        // The others elect at once where a member takes its leave; its death they notice in seconds.
        await group.leave(known, AbortSignal.timeout(leaveLimit)).catch((error: unknown) => {
          log.warn({ err: error }, 'could not leave the group');
        });
        await engine.run({ type: 'stop' }, known, AbortSignal.timeout(limits.stop)).catch((error: unknown) => {
          log.warn({ err: error }, 'the database did not stop cleanly');
        });
      }
      await engine.kill(AbortSignal.timeout(10_000)).catch(() => undefined);
      if (lease !== undefined) await dcs.revokeLease(lease, { milliseconds: dcsDeadline }).catch(() => undefined);
      stopping.abort(new Error('the agent ends'));
      http.close();
      await Promise.allSettled(loops);
      await dcs.close();
    },
  };
}
