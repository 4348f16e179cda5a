/** MySQL behind the engine seam: which functions carry out which effect, and what is known of the server after it. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CutTail, Voter } from '../../api/cluster-state.ts';
import { contains, formatGtidSet, parseGtidSet, type GtidSet } from '../../ha/gtid-set.ts';
import { takesPart } from '../../ha/group/sight.ts';
import type { DatabaseEffect, DatabaseState, Health } from '../../ha/state.ts';
import { epochOfEnd, epochOfTimeline } from '../../ha/view.ts';
import type { Clock } from '../../platform/clock.ts';
import { within } from '../../platform/deadline.ts';
import { MainstayError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log.ts';
import { command } from '../command.ts';
import { diskCanary } from '../disk-canary.ts';
import { keepDiskSpace, type Disks } from '../disk-space.ts';
import type { CopyProgress, EffectInContext, Engine, EngineContext, GroupServer, Observation } from '../engine.ts';
import { exists, replaceFile } from '../files.ts';
import { watchHealth, type HealthWatch } from '../health.ts';
import { oneAtATime } from '../one-at-a-time.ts';
import { killHolders, type ServerProcess } from '../processes.ts';
import { progressOf } from '../progress.ts';
import type { ServerAccess } from './access.ts';
import { keepAccounts } from './accounts.ts';
import { initialize } from './bootstrap.ts';
import { settingsOf, writeConfiguration } from './config.ts';
import { heldCredentials, mountedPasswords } from './credentials.ts';
import { initConnect, shut, type Gate } from './gate.ts';
import { applyReceived, handOver, joinGroup, leaveGroup, lookAtGroup } from './group.ts';
import { isBinaryLog, systemFile, type Layout } from './layout.ts';
import { backlogOf, heldBy, timelineOf, type Held } from './log-end.ts';
import { newServerUuid, ordinalOf, syncAccount } from './names.ts';
import { serverProcesses, startServer, untilConnectable } from './process.ts';
import { promote, untilAcknowledged, type Lead } from './promote.ts';
import {
  delayReplay,
  receiveFrom,
  receives,
  startReceiving,
  stopReceiving,
  type Part,
  type Source,
} from './receiver.ts';
import { firstToKeep } from './retention.ts';
import { serverLog, type LogRecord } from './server-log.ts';
import { followSlowLog } from './slow-log.ts';
import { endClients, quiesce } from './shutdown.ts';
import { gtidsIn, lastBinaryLog, readBinaryLog } from './binlog.ts';
import { clone, clonedFile, discardFormer, discardUnfinished } from './clone.ts';
import { watchFitness } from './fitness.ts';
import { gtidsOf, positionAt } from './position.ts';
import { applyChanges, noteAccepted, takeAccepted, writeIfValid, type Settings } from './settings.ts';
import { cutTail, judgeTail, lastCutTail, logThatWon, theirs, withoutBeats, type Tail } from './tail.ts';
import { declare } from './declare.ts';
import { canary, isLetIn, keptSession, localAgent, withSession, type Session } from './sql.ts';
import { stallWatch } from './stall.ts';
import { applySyncSet, replicaWatch, semiSync, type Primary } from './sync-set.ts';
import { keepTls } from './tls.ts';

export interface MysqlOptions {
  readonly instance: string;
  readonly layout: Layout;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Limits of single steps, in milliseconds; what has none here ends with its effect's signal. */
const limits = {
  query: 2000,
  starting: 600_000,
  /** Of a replica, or of a primary whose clients and writes have ended. */
  cleanStop: 20_000,
  inspection: 5000,
  /** For all statements on users. */
  declaration: 30_000,
  observation: 5000,
  /** For processes to be gone after SIGKILL, where no effect's own limit holds. */
  dying: 60_000,
};

const databasePort = 3306;
/** Milliseconds between two looks for binary logs that nobody needs any more. */
const retentionPeriod = 10_000;
/** Milliseconds between two looks for what people may have removed. */
const cutTailPeriod = 10_000;
const mebibyte = 1024 * 1024;
/** A start, with what is in the redo log: mysql-lab.md §10. */
const restartEstimate = 2000;

/** What the receiving thread says when its primary's process has ended, or its machine reset the connection. */
const brokenStream =
  /^Error reading packet from server for channel|^Replica I\/O for channel.*(reconnecting|Lost connection)/;

const nothing = (): void => undefined;

type Replica = DatabaseState & { readonly status: 'replica' };
type Serving = DatabaseState & { readonly status: 'primary' };

export function mysqlEngine({ instance, layout, clock, log }: MysqlOptions): Engine {
  const ordinal = ordinalOf(instance);
  let state: DatabaseState = { status: 'unknown' };
  let server: ServerProcess | undefined;
  /** The one that is being ended on purpose: nobody needs to be told of its exit. */
  let dying: ServerProcess | undefined;
  let health: HealthWatch | undefined;
  let told: Health = { status: 'well' };
  let healthListener: (health: Health) => void = nothing;
  let changeListener: (state: DatabaseState) => void = nothing;
  let streamLostListener: () => void = nothing;
  let incarnationListener: () => Promise<void> = () => Promise.resolve();
  /** Transactions that InnoDB undid when it was last started. */
  let rolledBack = 0;
  let observation: Promise<Observation> | undefined;
  let inspection: Promise<DatabaseState> | undefined;
  let copied: CopyProgress | undefined;
  /** Opened when the server starts, and kept. */
  const control = keptSession(localAgent(layout));
  /** Of the epoch that this server leads. */
  let lead: Lead | undefined;
  let gate: Gate = shut;
  /** With which account this replica receives; changed by one at a time. */
  let part: Part = 'async';
  /** Seconds by which this replica's replay is known to lag on purpose. */
  let delayInForce: number | undefined;
  /** Why this replica was given up. */
  let unfit: string | undefined;
  let passwordInUse = '';
  let linkInUse = '';
  let channel: Promise<unknown> = Promise.resolve();
  const credentials = heldCredentials(layout);
  const tls = keepTls(layout, log);
  const replicas = replicaWatch(clock);
  const fitness = watchFitness(clock);
  const isStalled = stallWatch(clock);
  const disks: Disks = { folders: [dirname(layout.data)], segment: 16 * mebibyte };
  const space = keepDiskSpace(() => Promise.resolve(disks), clock, log);
  /** The tail that was cut last, while it is kept. */
  let kept: CutTail | undefined;
  let keptSeenAt = -Infinity;
  let purgedAt = -Infinity;
  /** The variables that the running server was given. */
  let inForce: Settings = {};
  /** What was asked for last, taken or not. */
  let asked = '';
  let pendingRestart: readonly string[] = [];
  /** Why MySQL refused the newest settings, if it did. */
  let refusal: string | undefined;

  const slowLog = followSlowLog(layout, clock, log);
  const mysqlLog = serverLog(log, (record) => {
    noticeLostStream(record);
    noticeHopeless(record);
    noticeRollBack(record);
  });

  const accessTo = (signal: AbortSignal): ServerAccess => ({
    control: (use, timeoutMs = limits.query) => control.run(timeoutMs, signal, use),
    clock,
    signal,
  });

  const primaryAccess = (signal: AbortSignal, definition: EngineContext['definition']): Primary => ({
    ...accessTo(signal),
    admit: (members) => setGate({ members }, definition, signal),
    beat: (limitMs) => leading().beat(limitMs),
  });

  const leading = (): Lead => {
    if (!lead) throw unexpected('write', state);
    return lead;
  };

  /** In force when it resolves: it is read back. */
  async function setGate(
    change: Partial<Gate>,
    definition: EngineContext['definition'],
    signal: AbortSignal,
  ): Promise<void> {
    await accessTo(signal).control(async (session) => {
      // As it is when its turn comes: what changes it beside this one must not be undone.
      const to = { ...gate, ...change };
      const wanted = initConnect(to, settingsOf(definition)['init_connect']);
      const inForceNow = async (): Promise<unknown> =>
        (await session.query('SELECT @@global.init_connect AS value'))[0]?.['value'];
      let value = await inForceNow();
      if (value !== wanted) {
        await session.query('SET GLOBAL init_connect = ?', [wanted]);
        value = await inForceNow();
      }
      if (value !== wanted)
        throw new MainstayError('DatabaseUnreachable', `init_connect is not what it was set to: ${String(value)}`);
      gate = to;
    });
  }

  /** One change of the channel after the other: a seal must not be undone by what was begun before it. */
  function onChannel<T>(work: () => Promise<T>): Promise<T> {
    const result = channel.then(work);
    channel = result.catch(nothing);
    return result;
  }

  function noticeLostStream({ message }: LogRecord): void {
    if (brokenStream.test(message)) streamLostListener();
  }

  /** It lacks what its source has thrown away, or has what its source lacks. */
  function noticeHopeless({ message }: LogRecord): void {
    if (state.status !== 'replica' || !state.following || state.diverged) return;
    if (!/Got fatal error 1236 from source|Got fatal error .* 'ER_SOURCE_FATAL_ERROR_READING_BINLOG'/.test(message))
      return;
    state = { ...state, diverged: { epoch: state.following.epoch, remedy: 'clone' } };
    changeListener(state);
  }

  /** "… Successfully rolled back 3 internal transaction(s) and 1 XA transaction(s)." */
  function noticeRollBack({ message }: LogRecord): void {
    if (!/crash recovery/i.test(message)) return;
    for (const [, count] of message.matchAll(/rolled back (\d+)/gi)) rolledBack += Number(count);
  }

  // ---- the data directory -------------------------------------------------------------------------------------------

  async function inspect(): Promise<DatabaseState> {
    inspection ??= lookAtData().finally(() => (inspection = undefined));
    return within(limits.inspection, clock, 'the look at the data directory', inspection);
  }

  /** After the end of a server. A disk that doesn't answer must not keep that end a secret. */
  async function inspectEnded(): Promise<DatabaseState> {
    const last = state;
    try {
      const now = await inspect();
      if (now.status !== 'stopped' || (last.status !== 'replica' && last.status !== 'primary')) return now;
      return { ...now, highestTimeline: last.status === 'primary' ? last.timeline : last.highestTimeline };
    } catch (error) {
      if (last.status !== 'replica' && last.status !== 'primary') throw error;
      log.error({ err: error }, 'the data directory can’t be looked at; the server on it has ended');
      const { systemIdentifier } = last;
      const highestTimeline = last.status === 'primary' ? last.timeline : last.highestTimeline;
      return { status: 'stopped', systemIdentifier, highestTimeline, needsPrimary: false, initializedHere: false };
    }
  }

  /** Not waited for: a disk that doesn't answer must hold up nothing that matters more. */
  function lookForCutTail(): void {
    if (clock.now() - keptSeenAt < cutTailPeriod) return;
    keptSeenAt = clock.now();
    void lastCutTail(layout).then((found) => (kept = found), nothing);
  }

  /** Not waited for, either. */
  function purgeLogs({ definition, positions }: EngineContext): void {
    if (clock.now() - purgedAt < retentionPeriod) return;
    purgedAt = clock.now();
    const others = definition.instances
      .filter((name) => name !== instance)
      .map((name) => positions.get(name))
      .map((position) => position && gtidsOf(position));
    const age = 1000 * Number(inForce['binlog_expire_logs_seconds'] ?? 0);
    const purge = async (): Promise<void> => {
      const kept = await firstToKeep(layout.data, { age, now: clock.wall().getTime(), others });
      if (kept === undefined) return;
      await withSession(localAgent(layout), limits.declaration, AbortSignal.timeout(limits.declaration), (session) =>
        session.query('PURGE BINARY LOGS TO ?', [kept]),
      );
      log.info({ kept }, 'deleted binary logs that are old enough and that no instance needs');
    };
    purge().catch((error: unknown) => log.warn({ err: error }, 'binary logs could not be looked through'));
  }

  async function lookAtData(): Promise<DatabaseState> {
    if (!(await exists(join(layout.data, 'mysql.ibd'))))
      return (await exists(layout.data)) && (await readdir(layout.data)).length > 0
        ? { status: 'broken', reason: 'the data directory is not complete' }
        : { status: 'absent' };
    const systemIdentifier = (await readFile(systemFile(layout.data), 'utf8').catch(() => '')).trim();
    if (systemIdentifier === '') return { status: 'broken', reason: 'nothing says of which cluster the data are' };
    if ((await cutUnderWay())?.failed) return { status: 'broken', reason: 'the end of its log could not be undone' };
    const initializedHere = (await readFile(layout.initialized, 'utf8').catch(() => '')).trim() === systemIdentifier;
    return {
      status: 'stopped',
      systemIdentifier,
      highestTimeline: 1,
      needsPrimary: false,
      initializedHere,
      recovery: restartEstimate,
    };
  }

  // ---- the server ---------------------------------------------------------------------------------------------------

  async function start(context: EngineContext, signal: AbortSignal): Promise<DatabaseState> {
    if (state.status !== 'stopped') throw unexpected('start', state);
    const stopped = state;
    const { systemIdentifier } = stopped;
    await refuseOtherSeries(context.definition.version);
    await space.makeRoom();
    await discardUnfinished(layout);
    // A start would commit what only this log has.
    const tail = await tailIn(context);
    if (tail.verdict !== 'none') {
      const remedy = tail.verdict === 'cut' ? 'rewind' : 'clone';
      log.warn({ ...tail }, 'its log ends with what the primary’s lacks: not started');
      return { ...stopped, diverged: { epoch: Math.max(...context.history.keys()), remedy } };
    }

    await mkdir(layout.configuration, { recursive: true });
    const secured = await tls.settings(context.definition);
    asked = JSON.stringify([settingsOf(context.definition), secured]);
    refuse(await writeIfValid([context.definition, layout, ordinal, secured], signal));
    if (refusal !== undefined && !(await takeAccepted(layout)))
      await writeConfiguration({ ...context.definition, parameters: {} }, layout, ordinal, secured);
    await keepServerUuid(context.incarnation);
    gate = shut;
    part = 'async';
    delayInForce = undefined;
    unfit = undefined;
    rolledBack = 0;
    await launch(signal).catch(async (error: unknown) => {
      // New settings that only a start shows to be wrong must not keep a database down whose former ones are known to work.
      if (signal.aborted || refusal !== undefined || !(await takeAccepted(layout))) throw error;
      await launch(signal);
      refuse(error instanceof Error ? error.message : String(error));
    });
    inForce = settingsOf(context.definition);
    pendingRestart = [];
    if (refusal === undefined) await noteAccepted(layout);
    if (await exists(clonedFile(layout.data))) {
      await accessTo(signal).control((session) => session.query('RESET REPLICA ALL'));
      await rm(clonedFile(layout.data));
    }
    const held = await accessTo(signal).control(heldBy);
    const cut = await cutUnderWay();
    if (cut) {
      if (rolledBack < cut.transactions || !contains(parseGtidSet(cut.won), withoutBeats(held.executed))) {
        log.error({ rolledBack, ...cut }, 'the end of its log could not be undone: only a clone helps');
        await replaceFile(layout.cutting, JSON.stringify({ ...cut, failed: true }));
        return end('kill', signal);
      }
      await rm(layout.cutting);
    }
    return {
      status: 'replica',
      systemIdentifier,
      following: undefined,
      sealed: undefined,
      diverged: undefined,
      highestTimeline: timelineOf(held.all),
    };
  }

  /** A server of a later series would convert the data at its start: there is no way back, and the others could not follow. */
  async function refuseOtherSeries(series: string): Promise<void> {
    const own = await version();
    if (own !== '' && !own.startsWith(`${series}.`))
      throw new MainstayError(
        'ConfigurationInvalid',
        `The image has MySQL ${own}, and the data are of ${series}: set spec.image to one with ${series}. Data go to another series by a dump into a new cluster`,
      );
  }

  interface Cut {
    readonly transactions: number;
    /** What the log may hold. */
    readonly won: string;
    readonly failed?: boolean;
  }

  async function cutUnderWay(): Promise<Cut | undefined> {
    const text = await readFile(layout.cutting, 'utf8').catch(() => undefined);
    return text === undefined ? undefined : (JSON.parse(text) as Cut);
  }

  /** Of the stopped server's log, by the history of the cluster. */
  async function tailIn({ history }: EngineContext): Promise<Tail & { readonly cut?: () => Promise<string> }> {
    const file = await lastBinaryLog(layout.data);
    const binlog = file === undefined ? undefined : await readBinaryLog(file);
    if (!binlog) return { verdict: 'none' }; // a look at the running server will tell
    const won = logThatWon(history, gtidsIn(binlog));
    if (!won) return { verdict: 'none' };
    const tail = judgeTail(binlog, won);
    if (tail.verdict !== 'cut') return tail;
    return {
      ...tail,
      cut: async () => {
        const transactions = theirs(tail.gtids).length;
        await replaceFile(layout.cutting, JSON.stringify({ transactions, won: formatGtidSet(won) } satisfies Cut));
        const kept = await cutTail(binlog, tail, layout, clock.wall());
        // The same numbers must never be given to other transactions.
        await rm(join(layout.data, 'auto.cnf'), { force: true });
        return kept;
      },
    };
  }

  async function rewind(context: EngineContext): Promise<DatabaseState> {
    if (state.status !== 'stopped') throw unexpected('rewind', state);
    const stopped = { ...state, diverged: undefined };
    const tail = await tailIn(context);
    if (tail.verdict === 'none') return stopped;
    if (!tail.cut) return { ...stopped, diverged: { epoch: Math.max(...context.history.keys()), remedy: 'clone' } };
    const file = await tail.cut();
    kept = await lastCutTail(layout);
    log.warn({ ...tail, kept: file }, 'cut off what the primary’s log lacks');
    return stopped;
  }

  /** A server of another incarnation is another server, and so is one that may give a number twice. */
  async function keepServerUuid(incarnation: string): Promise<void> {
    const file = join(layout.data, 'auto.cnf');
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text.includes(`server-uuid=${incarnation.slice(0, 8)}-`)) return;
    await writeFile(file, `[auto]\nserver-uuid=${newServerUuid(incarnation)}\n`, { mode: 0o640 });
  }

  async function launch(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    mysqlLog.forget();
    // How much of a cut tail was undone is no warning.
    const verbosity = (await cutUnderWay()) ? ['--log-error-verbosity=3'] : [];
    const options = [`--slow-query-log-file=${slowLog.nextFile()}`, ...verbosity];
    const started = await startServer(layout, clock, mysqlLog.tell, { options });
    server = started;
    void started.exited.then((exit) => onExit(started, exit));
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(limits.starting)]);
      await untilConnectable(started, layout, clock, mysqlLog.lastWords, limit);
      beginWatch(started);
    } catch (error) {
      await end('kill', signal);
      throw error;
    }
  }

  function beginWatch(of: ServerProcess): void {
    if (server !== of) return; // it has ended meanwhile
    health = watchHealth(
      {
        canary: (signal) => canary(layout, signal),
        disk: diskCanary(disks),
        progress: progressOf({
          data: layout.data,
          log: layout.data,
          isLog: isBinaryLog,
          main: of.pid,
          all: () => serverProcesses(layout),
        }),
      },
      clock,
      log,
      tellHealth,
    );
  }

  async function onExit(ended: ServerProcess, exit: Awaited<ServerProcess['exited']>): Promise<void> {
    await killHolders(layout.lock, clock);
    if (server !== ended || dying === ended) return;
    forgetServer();
    log.warn({ ...exit }, 'MySQL has ended');
    const after = await inspectEnded();
    if (running()) return; // started anew meanwhile
    state = after;
    changeListener(state);
  }

  const running = (): ServerProcess | undefined => server;

  function forgetServer(): void {
    server = undefined;
    control.close();
    lead?.close();
    lead = undefined;
    gate = shut;
    tls.forgetServer();
    health?.stop();
    health = undefined;
    if (told.status !== 'well') tellHealth({ status: 'well' });
  }

  function tellHealth(now: Health): void {
    told = now;
    if (now.status === 'failing' && now.reason === 'DiskFull') space.lookAgain();
    healthListener(now);
  }

  /** Ends the server and waits until every process is gone. Rejects when `patience` ends first: then it counts as running still. */
  async function end(
    how: 'clean' | 'kill',
    signal: AbortSignal,
    patience = AbortSignal.timeout(limits.dying),
  ): Promise<DatabaseState> {
    const ending = server;
    dying = ending;
    health?.stop(); // what it last told holds until all is gone
    if (ending && how === 'clean') {
      ending.signal('SIGTERM');
      const outcome = await within(
        limits.cleanStop,
        clock,
        'the shutdown',
        Promise.race([ending.exited, clock.sleep(2 * limits.cleanStop, signal)]),
      ).then(
        () => 'ended',
        (error: unknown) => String(error),
      );
      if (outcome !== 'ended') log.warn({ outcome }, 'MySQL did not end by itself; killing it');
    }
    ending?.signal('SIGKILL');
    try {
      await killHolders(layout.lock, clock, patience);
      // A thread that waits for a stalled disk outlives what can be seen of the process.
      if (ending) await untilExited(ending, patience);
    } catch (error) {
      if (dying === ending) dying = undefined;
      throw error;
    }
    if (server === ending) forgetServer();
    return inspectEnded();
  }

  async function untilExited(ending: ServerProcess, patience: AbortSignal): Promise<void> {
    const over = new AbortController();
    const late = clock.sleep(limits.dying, AbortSignal.any([patience, over.signal])).then(() => {
      throw unexpected('end: a thread of it lives on', state);
    });
    late.catch(nothing);
    await Promise.race([ending.exited, late]).finally(() => over.abort(new Error('over')));
  }

  // ---- effects ------------------------------------------------------------------------------------------------------

  async function run(effect: EffectInContext, context: EngineContext, signal: AbortSignal): Promise<DatabaseState> {
    const access = accessTo(signal);
    const { definition } = context;
    switch (effect.type) {
      case 'initialize':
        await writeConfiguration(definition, layout, ordinal, await tls.settings(definition));
        await initialize(definition, layout, clock, mysqlLog, signal);
        return inspect();
      case 'start':
        return start(context, signal);
      case 'seal':
        return seal(effect, context, signal);
      case 'follow':
        return follow(effect, context, signal);
      case 'promote': {
        const replica = asReplica('promote');
        if (!replica.sealed) throw unexpected('promote without a seal', state);
        const { systemIdentifier } = replica;
        const { timeline, sync } = effect;
        lead = await promote(
          access,
          { timeline, sync, systemIdentifier, sealed: gtidsOf(replica.sealed) },
          () => setGate({ members: sync.members, clients: false }, definition, signal),
          localAgent(layout),
        ).catch(async (error: unknown) => {
          // Half promoted is neither replica nor primary: nothing less than its end is known to be safe.
          await end('kill', signal);
          throw error;
        });
        return {
          status: 'primary',
          systemIdentifier,
          epoch: effect.epoch,
          timeline,
          open: false,
          applied: sync,
          lineage: [],
        };
      }
      case 'open': {
        const primary = asPrimary('open');
        if (!primary.applied) throw unexpected('open without a known sync set', state);
        await untilAcknowledged(access, leading(), primary.applied, clock);
        await access.control(async (session) => {
          await session.query('SET GLOBAL super_read_only = OFF');
          await session.query('SET GLOBAL read_only = OFF');
        });
        await setGate({ clients: true }, definition, signal);
        return { ...primary, open: true };
      }
      case 'configure-sync': {
        const primary = asPrimary('configure-sync');
        state = { ...primary, applied: undefined }; // until it has been proven
        await applySyncSet(primaryAccess(signal, definition), effect.to, definition.instances, effect.barrier);
        return { ...primary, applied: effect.to };
      }
      case 'stop': {
        if (state.status !== 'primary') return end('clean', signal);
        const primary = state;
        state = { ...primary, open: false }; // should it fail from here on, it is opened again
        await setGate({ clients: false }, definition, signal);
        const whole = await quiesce(primaryAccess(signal, definition), primary.applied);
        // All of it is acknowledged, and in order: a shutdown would only take seconds (mysql-lab.md §10).
        const ended = await end('kill', signal);
        return ended.status === 'stopped' && whole ? { ...ended, clean: true } : ended;
      }
      case 'rewind':
        return rewind(context);
      case 'clone': {
        state = { status: 'broken', reason: 'being cloned' };
        changeListener(state);
        await end('clean', signal);
        await incarnationListener();
        await writeConfiguration(definition, layout, ordinal, await tls.settings(definition));
        const order = {
          source: effect.source,
          mayDiscardOld: effect.mayDiscardOld,
          copyRate: definition.copyRate,
          tls: await tls.link(definition),
          report: (told: CopyProgress) => void (copied = told),
        };
        await clone(order, layout, clock, mysqlLog, signal).finally(() => (copied = undefined));
        return inspect();
      }
      case 'check-upgrade':
      case 'upgrade':
      case 'take-upgraded':
        throw unexpected(effect.type, state);
    }
  }

  async function seal(
    effect: DatabaseEffect & { readonly type: 'seal' },
    context: EngineContext,
    signal: AbortSignal,
  ): Promise<DatabaseState> {
    const replica = { ...asReplica('seal'), following: undefined };
    state = replica; // nobody turns the channel on again
    const { held, backlog } = await onChannel(() =>
      accessTo(signal).control(async (session) => {
        await stopReceiving(session);
        if (await receives(session)) throw unexpected('seal: it still receives', state);
        const end = await heldBy(session);
        return { held: end, backlog: await backlogOf(session, end) };
      }, signalLimit),
    );
    const timeline = timelineOf(held.all);
    // The log is newer than the view: a position of epoch 0 would let a lesser log win.
    if (epochOfTimeline(context.history, timeline) === 0 && timeline > 1 && !effect.adopting)
      throw new MainstayError('DatabaseUnreachable', `The log ends with marker ${timeline}, of no known epoch`, {
        retryable: true,
      });
    const epoch = epochOfEnd(context.history, timeline);
    return {
      ...replica,
      sealed: positionAt(epoch, held.all),
      backlog,
      timeline,
      highestTimeline: timeline,
    };
  }

  async function follow(
    effect: DatabaseEffect & { readonly type: 'follow' },
    context: EngineContext,
    signal: AbortSignal,
  ): Promise<DatabaseState> {
    const replica = { ...asReplica('follow'), following: undefined, sealed: undefined };
    const { primary, epoch } = effect;
    const source = await sourceAt(primary.address, primary.databasePort, context.definition);
    const wanted = partOf(context);
    const held = await accessTo(signal).control(heldBy);
    const won = logThatWon(context.history, held.all) ?? wonBefore(effect, held);
    if (won && !contains(won, withoutBeats(held.all))) return { ...replica, diverged: { epoch, remedy: 'clone' } };
    const turned = await onChannel(() =>
      accessTo(signal).control((session) => receiveFrom(session, source, instance, wanted), signalLimit),
    );
    if (turned === 'log-lost') return { status: 'broken', reason: 'received transactions are gone' };
    if (turned === 'applier-failed') return { ...replica, diverged: { epoch, remedy: 'clone' } };
    part = wanted;
    passwordInUse = source.password;
    linkInUse = JSON.stringify(source.tls);
    await accessTo(signal).control((session) => fitness.begin(session, held));
    if (!gate.clients) await setGate({ members: [], clients: true }, context.definition, signal);
    return {
      ...replica,
      following: { epoch, instance: primary.instance, address: primary.address },
      diverged: undefined,
    };
  }

  /** Where nobody knows with which log the primary began, what it last told of its own must do. */
  function wonBefore(
    { primary, history }: DatabaseEffect & { readonly type: 'follow' },
    held: Held,
  ): GtidSet | undefined {
    if ((history?.timeline ?? 0) <= timelineOf(held.all)) return undefined; // its own epoch
    if (!primary.position) throw unexpected('follow: the primary has not told of its log yet', state);
    return gtidsOf(primary.position);
  }

  /** Its acknowledgements count where etcd says that they do. */
  const partOf = ({ incarnation, sync = [] }: EngineContext): Part =>
    sync.some((member: Voter) => member.instance === instance && member.incarnation === incarnation) ? 'sync' : 'async';

  // ---- looking ------------------------------------------------------------------------------------------------------

  async function observe(context: EngineContext, signal: AbortSignal): Promise<Observation> {
    lookForCutTail();
    observation ??= measure(context, signal).finally(() => (observation = undefined));
    const seen = await within(limits.observation, clock, 'a look at the database', observation);
    const held = await credentials(context.declaration);
    return {
      ...seen,
      member: {
        ...tls.standing(),
        ...seen.member,
        ...(held !== undefined && { credentials: held }),
        ...(pendingRestart.length > 0 && { pendingRestart }),
        ...(refusal !== undefined && { settingsRefused: refusal.slice(0, 900) }),
      },
    };
  }

  async function measure(context: EngineContext, signal: AbortSignal): Promise<Observation> {
    const access = accessTo(signal);
    if (running()) purgeLogs(context);
    if (state.status === 'primary') {
      const { timeline, open, applied } = state;
      const seen = await access.control(async (session) => {
        await slowLog.rotate(session);
        return {
          held: await heldBy(session),
          replicas: await replicas(session, context.definition.instances),
          acks: await semiSync(session),
        };
      });
      const wanted = applied?.acknowledgements ?? 0;
      if (isStalled(seen.acks, wanted)) {
        log.warn({ ...seen.acks }, 'commits wait although enough replicas are connected: writing once more');
        void lead?.beat(limits.query).catch(nothing);
      }
      if (open) await keepOwnAccounts(context, seen.acks.clients >= (applied?.acknowledgements ?? 1), signal);
      const position = positionAt(epochOfTimeline(context.history, timeline), seen.held.executed);
      return {
        member: {
          timeline,
          position,
          ...(wanted > 0 &&
            !seen.acks.on && { message: 'semi-synchronous replication is off: somebody has switched it off' }),
        },
        streaming: false,
        replicas: seen.replicas,
      };
    }
    if (state.status !== 'replica') return { member: {}, streaming: false, replicas: [] };
    if (context.definition.group) return measureMember(context, signal);
    await keepPart(context, signal);
    await keepDelay(context, signal);
    const isFollowing = state.following !== undefined && !state.diverged && told.status === 'well';
    const { held, streaming, backlog, problem } = await access.control(async (session) => {
      await slowLog.rotate(session);
      const end = await heldBy(session);
      return {
        held: end,
        streaming: await receives(session),
        backlog: await backlogOf(session, end),
        problem: isFollowing ? await fitness.look(session, end) : undefined,
      };
    });
    if (problem !== undefined) giveUpCopy(problem);
    if (streaming) await discardFormer(layout);
    const timeline = timelineOf(held.all);
    const position = positionAt(epochOfTimeline(context.history, timeline), held.all);
    const message = state.diverged && unfit !== undefined ? { message: `${unfit}: it is to be copied anew` } : {};
    return { member: { timeline, position, backlog, ...message }, streaming, replicas: [] };
  }

  /** One of a group: the epoch of its log is the number of that group. */
  async function measureMember(context: EngineContext, signal: AbortSignal): Promise<Observation> {
    const { sight, held } = await accessTo(signal).control(async (session) => ({
      sight: await lookAtGroup(session, gate.clients),
      held: await heldBy(session),
    }));
    const isTaking = takesPart(sight);
    if (isTaking && sight.state === 'ONLINE') {
      await discardFormer(layout);
      if (sight.writable) await keepOwnAccounts(context, true, signal);
    }
    const position = positionAt(sight.number, held.all);
    return { member: { position }, streaming: isTaking && sight.state === 'ONLINE', replicas: [] };
  }

  /** A session of its own: what it is asked may take minutes, and others must be answered meanwhile. */
  const alone = <T>(signal: AbortSignal, use: (session: Session) => Promise<T>): Promise<T> =>
    withSession(localAgent(layout), signalLimit, signal, use);

  const group: GroupServer = {
    look: (signal) => accessTo(signal).control((session) => lookAtGroup(session, gate.clients)),
    join: async (joining, bootstrap, { definition }, signal) => {
      const { systemIdentifier } = asReplica('join');
      const password = (await mountedPasswords(layout)).replication;
      const link = await tls.link(definition);
      const order = { ...joining, systemIdentifier, password, tls: link };
      try {
        // Another password later is no matter: a member that can't come back to the others by this one joins anew.
        await alone(signal, (session) => joinGroup(session, order, bootstrap));
      } catch (error) {
        // It may be about to found the group all the same, when another has the right to.
        if (bootstrap) state = await end('kill', AbortSignal.timeout(limits.dying));
        throw error;
      }
    },
    leave: async (context, signal) => {
      await group.setOpen(false, context, signal);
      try {
        await alone(signal, leaveGroup);
      } catch (error) {
        // Nothing less is known to be out.
        state = await end('kill', AbortSignal.timeout(limits.dying));
        throw error;
      }
      await alone(signal, (session) => applyReceived(session, clock, signal));
    },
    setOpen: async (open, { definition }, signal) => {
      await setGate({ members: [], clients: open }, definition, signal);
      if (!open) await accessTo(signal).control(endClients);
    },
    handOver: (incarnation, signal) => alone(signal, (session) => handOver(session, incarnation)),
  };

  /**
   * A member of the sync set acknowledges, others don't: each with its own account. Where nobody counts yet, whoever the primary
   * lets in does.
   */
  async function keepPart(context: EngineContext, signal: AbortSignal): Promise<void> {
    if (state.status !== 'replica' || !state.following) return;
    const source = await sourceAt(state.following.address, databasePort, context.definition);
    const isTakenIn = async (): Promise<boolean> =>
      context.syncBegins === true && isLetIn({ ...source, user: syncAccount(instance) }, signal);
    const wanted = partOf(context) === 'sync' || (await isTakenIn()) ? 'sync' : 'async';
    const link = JSON.stringify(source.tls);
    if (part === wanted && passwordInUse === source.password && linkInUse === link) return;
    await onChannel(async () => {
      if (state.status !== 'replica' || !state.following) return;
      const { epoch } = state.following;
      const turned = await accessTo(signal).control(async (session) => {
        if (linkInUse !== link) return receiveFrom(session, source, instance, wanted);
        await stopReceiving(session);
        await startReceiving(session, source.password, instance, wanted);
        return 'receiving';
      }, signalLimit);
      part = wanted;
      passwordInUse = source.password;
      linkInUse = link;
      if (turned === 'receiving') return;
      state =
        turned === 'log-lost'
          ? { status: 'broken', reason: 'received transactions are gone' }
          : { ...state, diverged: { epoch, remedy: 'clone' } };
      changeListener(state);
    });
  }

  /** It is made anew from another one, once nothing counts on it (rule 11). */
  function giveUpCopy(problem: string): void {
    if (state.status !== 'replica' || !state.following || state.diverged) return;
    log.error({ problem }, 'this replica is unfit: it is to be copied anew');
    unfit = problem;
    state = { ...state, diverged: { epoch: state.following.epoch, remedy: 'clone' } };
    changeListener(state);
  }

  async function keepDelay({ definition }: EngineContext, signal: AbortSignal): Promise<void> {
    const wanted = definition.tags?.[instance]?.replayDelay ?? 0;
    if (state.status !== 'replica' || !state.following || delayInForce === wanted) return;
    await onChannel(async () => {
      if (state.status !== 'replica' || !state.following) return;
      const outcome = await accessTo(signal).control((session) => delayReplay(session, wanted), signalLimit);
      if (outcome === 'done') delayInForce = wanted;
      if (outcome !== 'log-lost') return;
      state = { status: 'broken', reason: 'received transactions are gone' };
      changeListener(state);
    });
  }

  const sourceAt = async (host: string, port: number, definition: EngineContext['definition']): Promise<Source> => ({
    ...{ host, port },
    password: (await mountedPasswords(layout)).replication,
    tls: await tls.link(definition),
  });

  async function keepOwnAccounts({ definition }: EngineContext, isSafe: boolean, signal: AbortSignal): Promise<void> {
    if (!isSafe) return;
    const subject = await tls.requiredSubject(definition);
    await accessTo(signal)
      .control((session) =>
        // A group has one account for all of them.
        keepAccounts(session, definition.group ? [] : definition.instances, () => mountedPasswords(layout), subject),
      )
      .catch((error: unknown) => log.warn({ err: error }, 'accounts of instances could not be brought about'));
  }

  async function configure(definition: EngineContext['definition'], signal: AbortSignal): Promise<void> {
    await tls.bring(definition, (work) => accessTo(signal).control(work));
    const wanted = settingsOf(definition);
    const secured = await tls.settings(definition);
    const text = JSON.stringify([wanted, secured]);
    if (asked === text) return;
    const problem = await writeIfValid([definition, layout, ordinal, secured], signal);
    asked = text;
    refuse(problem);
    if (problem !== undefined) return;
    const { pending, refused } = await accessTo(signal).control((session) => applyChanges(session, inForce, wanted));
    await setGate({}, definition, signal);
    inForce = wanted;
    pendingRestart = [...new Set([...pendingRestart, ...pending])].toSorted();
    if (refused.length > 0) refuse(refused.join('; '));
    log.info({ pendingRestart }, 'settings changed');
  }

  function refuse(problem: string | undefined): void {
    refusal = problem;
    if (problem !== undefined) log.error({ problem }, 'MySQL refuses the settings; the former ones stay');
  }

  function asReplica(effect: string): Replica {
    if (state.status !== 'replica') throw unexpected(effect, state);
    return state;
  }
  function asPrimary(effect: string): Serving {
    if (state.status !== 'primary') throw unexpected(effect, state);
    return state;
  }

  const runAlone = oneAtATime(run, dirname(layout.data), clock, log);

  /** Commits don't have to wait for ever: in a group while it has a majority, else while enough replicas follow. */
  async function isSafeToDeclare(signal: AbortSignal): Promise<boolean> {
    if (state.status === 'replica') {
      const sight = await group.look(signal);
      return sight.writable && takesPart(sight);
    }
    const { applied } = asPrimary('declare');
    return (await accessTo(signal).control(semiSync)).clients >= (applied?.acknowledgements ?? 1);
  }

  return {
    databasePort,
    group,
    state: () => state,
    standing: () => ({ disks: space.use(), ...(kept && { cutTail: kept }) }),
    inspect: async () => (state = await inspect()),
    run: async (effect, context, signal) => {
      const after = await runAlone(effect, context, signal).catch(async (error: unknown) => {
        if (!server) state = await inspectEnded();
        throw error;
      });
      if (signal.aborted && !running()) state = after; // too late, and all the same it has ended
      signal.throwIfAborted();
      // The server may have ended while the effect was finishing: then the exit handler knows better.
      if ((after.status === 'replica' || after.status === 'primary') && !server) throw unexpected(effect.type, state);
      return (state = after);
    },
    kill: async (signal) => (state = await end('kill', signal, signal)),
    copyProgress: () => copied,
    observe,
    configure,
    declare: (declaration, lacking, signal) => {
      if (state.status !== 'replica') asPrimary('declare');
      return withSession(localAgent(layout), limits.declaration, signal, (session) =>
        declare(declaration, session, () => isSafeToDeclare(signal), lacking),
      );
    },
    onChange: (listener) => (changeListener = listener),
    onHealth: (listener) => (healthListener = listener),
    onStreamLost: (listener) => (streamLostListener = listener),
    onNewIncarnation: (listener) => (incarnationListener = listener),
    versions: async () => [await version()],
    version,
  };

  async function version(): Promise<string> {
    const text = await command(layout.mysqld, ['--no-defaults', '--version'], { signal: AbortSignal.timeout(5000) });
    return /Ver (\d+\.\d+\.\d+)/.exec(text)?.[1] ?? '';
  }
}

/** A statement that its effect's own limit ends. */
const signalLimit = 600_000;

const unexpected = (effect: string, state: DatabaseState): MainstayError =>
  new MainstayError('DatabaseUnreachable', `Cannot ${effect}: the database is ${state.status}`, { retryable: true });
