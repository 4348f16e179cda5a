/** PostgreSQL behind the engine seam: which functions carry out which effect, and what is known of the server after it. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Definition, Member, UpgradeRequest } from '../../api/cluster-state.ts';
import type { DatabaseEffect, DatabaseState, Health } from '../../ha/state.ts';
import { epochOfEnd, epochOfTimeline } from '../../ha/view.ts';
import { parseLsn } from '../../ha/position.ts';
import type { Clock } from '../../platform/clock.ts';
import { within } from '../../platform/deadline.ts';
import { MainstayError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log.ts';
import type { CopyProgress, EffectInContext, Engine, EngineContext, Observation } from '../engine.ts';
import { initialize, wasInitializedHere } from './bootstrap.ts';
import { command } from '../command.ts';
import { bootSettings, isLogical, writeDynamic, writeGate, type Dynamic } from './config.ts';
import { controlData, systemIdentifierIn, wasStoppedCleanly } from './control-data.ts';
import { heldCredentials, isRefusedPassword, tryOtherPassword, writePasswordFile } from './credentials.ts';
import { watchDamage } from './damage.ts';
import { declare } from './declare.ts';
import { diskCanary } from '../disk-canary.ts';
import { keepDiskSpace } from '../disk-space.ts';
import { disksWrittenTo } from './disks.ts';
import { watchHealth, type HealthWatch } from '../health.ts';
import { installedVersions, isWalFile, versionOfData, walDirectory, withVersion, type Layout } from './layout.ts';
import { replicationRole, slotName, standbyName, synchronizedStandbySlots } from './names.ts';
import type { ServerProcess } from '../processes.ts';
import { oneAtATime } from '../one-at-a-time.ts';
import { progressOf } from '../progress.ts';
import { killServer, serverProcesses, startServer, untilConnectable } from './process.ts';
import { secured } from './secured.ts';
import { endClientSessions, openToClients, promote, type Gate } from './promote.ts';
import { recoveryEstimate } from './recovery.ts';
import { exists } from '../files.ts';
import { clone, discardFormer, discardUnfinished, forgetRewound, giveUpRewound, rewind } from './rejoin.ts';
import { noteRepair, sinceRepair, whenRepaired } from './repair.ts';
import {
  advanceSlots,
  applySyncSet,
  dropFormerSlot,
  keepSlots,
  replicaWatch,
  seal,
  type ServerAccess,
} from './replication.ts';
import type { LogRecord } from './log-record.ts';
import { followServerLog } from './server-log.ts';
import { keepSettings } from './settings.ts';
import { untilStopped } from './shutdown.ts';
import { canary, keptSession, withSession, type Session } from './sql.ts';
import {
  checkUpgrade,
  completeStatistics,
  discardUpgraded,
  finishedUpgrade,
  takeUpgraded,
  upgradeData,
} from './upgrade.ts';
import { compatibility, lastTimeline, listWal, markerOf, setAsideAbortedTimelines } from './timeline.ts';

export interface PostgresOptions {
  readonly instance: string;
  readonly layout: Layout;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Limits of single steps, in milliseconds; what has none here ends with its effect's signal. */
const limits = {
  query: 2000,
  crashRecovery: 600_000,
  catchingUp: 120_000,
  cleanStop: 10_000,
  checkpoint: 30_000,
  /** For one statement on a role or a database; those that copy one take the longest. */
  declaration: 90_000,
  inspection: 5000,
  /** Of whether an upgrade is possible, beside a database that serves. */
  check: 600_000,
  /** Of all tables, after an upgrade, beside a database that serves. */
  statistics: 24 * 3600_000,
  observation: 5000,
  /** For processes to be gone after SIGKILL, where no effect's own limit holds. */
  dying: 60_000,
};

/** A walreceiver's last words when the primary's process ended, or its machine reset the connection. */
const brokenStream = /could not (receive data from|send data to) WAL stream|replication terminated by primary server/;

/**
 * What the postmaster says when one of its processes has ended by violence: with restart_after_crash off it ends all others
 * and then itself. One that it interrupts within malloc or TLS may never hear of it; PostgreSQL gives those 5 s (quickdie() and
 * SIGKILL_CHILDREN_AFTER_SECS in postmaster.c). There is nothing left to save: another instance has the log.
 */
const crashing = 'terminating any other active server processes';
const crashPatience = 500;

const checkpointDelay = 2000;
/** Between two looks at whether the slots are as they must be, unless the instances have changed. */
const slotsPeriod = 5000;
type Replica = DatabaseState & { readonly status: 'replica' };

export function postgresEngine({ instance, layout: givenLayout, clock, log }: PostgresOptions): Engine {
  /** Another one after an upgrade. */
  let layout = givenLayout;
  /** Servers of its own run on the data until it has ended. */
  let upgrading: { readonly abort: AbortController; readonly ended: Promise<void> } | undefined;
  /** A check for an upgrade that is under way. */
  let checking: AbortController | undefined;
  /** Why the last upgrade came to nothing. */
  let upgradeRefusal: { readonly request: string; readonly reason: string } | undefined;
  let state: DatabaseState = { status: 'unknown' };
  let server: ServerProcess | undefined;
  /** The one that is being ended on purpose: nobody needs to be told of its exit. */
  let dying: ServerProcess | undefined;
  let health: HealthWatch | undefined;
  let told: Health = { status: 'well' };
  let healthListener: (health: Health) => void = () => undefined;
  /** End of the log as last seen while a server ran. */
  let lastFlushed: bigint | undefined;
  let observation: Promise<Observation> | undefined;
  /** An inspection that hangs on a stalled disk is waited for again instead of being repeated. */
  let inspection: Promise<DatabaseState> | undefined;
  let dynamic: Dynamic = bootSettings;
  let changing: Promise<void> = Promise.resolve();
  const space = keepDiskSpace(() => disksWrittenTo(layout), clock, log);
  const damage = watchDamage(clock);
  /** When damaged data was last replaced. */
  let repairedAt: Date | undefined;
  /** Timeline that the log ends on, as proven by its records; changes only where a primary is followed or made. */
  let timeline = 1;
  const replicas = replicaWatch(clock);
  let slots = { of: '', at: -Infinity };
  const replayDelay = ({ tags }: Definition): number => tags?.[instance]?.replayDelay ?? 0;
  /** Data from before the last copy may be there still: until the copy streams. */
  let mayHaveFormer = true;
  let copied: CopyProgress | undefined;
  const report = (progress: CopyProgress | undefined): void => void (copied = progress);
  const settings = keepSettings(() => layout, clock, log);
  const observer = keptSession(layout.run, limits.query);
  const credentials = heldCredentials(layout);
  let changeListener: (state: DatabaseState) => void = () => undefined;
  let streamLostListener: () => void = () => undefined;
  let incarnationListener: () => Promise<void> = () => Promise.resolve();

  const serverLog = followServerLog(layout, clock, log, (record) => {
    noticeHopeless(record.message);
    noticeFormerSlot(record.message);
    noticeRefusedPassword(record.message);
    noticeCrash(record);
    if (brokenStream.test(record.message)) streamLostListener();
    damage.hear(record);
  });

  const accessTo = (signal: AbortSignal): ServerAccess => ({
    session: <T>(use: (session: Session) => Promise<T>, timeoutMs = limits.query) =>
      withSession(layout.run, timeoutMs, signal, use),
    reload: () => {
      server?.signal('SIGHUP');
      return Promise.resolve();
    },
    clock,
    signal,
    data: layout.data,
  });

  /** One write after the other, each with all that is wanted by then. */
  const change = (to: Partial<Dynamic>): Promise<void> => {
    dynamic = { ...dynamic, ...to };
    const written = changing.then(() => writeDynamic(layout, dynamic));
    changing = written.catch(() => undefined);
    return written;
  };

  const gate: Gate = { write: (to) => writeGate(layout, to) };

  async function inspect(): Promise<DatabaseState> {
    inspection ??= lookAtData().finally(() => (inspection = undefined));
    return within(limits.inspection, clock, 'the look at the data directory', inspection);
  }

  /** After the end of a server. A disk that doesn't answer must not keep that end a secret. */
  async function inspectEnded(): Promise<DatabaseState> {
    const last = state;
    try {
      return await inspect();
    } catch (error) {
      if (last.status !== 'replica' && last.status !== 'primary') throw error;
      log.error({ err: error }, 'the data directory can’t be looked at; the server on it has ended');
      const { systemIdentifier } = last;
      const highestTimeline = last.status === 'primary' ? last.timeline : last.highestTimeline;
      return { status: 'stopped', systemIdentifier, highestTimeline, needsPrimary: false, initializedHere: false };
    }
  }

  async function lookAtData(): Promise<DatabaseState> {
    const finished = await finishedUpgrade(layout);
    // Ended between the two renames.
    if (finished && !(await exists(layout.data))) await takeUpgraded(layout);
    layout = withVersion(layout, (await versionOfData(layout.data)) ?? layout.version);
    if (await exists(layout.rewinding)) return { status: 'broken', reason: 'a rewind was interrupted' };
    if (!(await exists(join(layout.data, 'PG_VERSION'))))
      return (await exists(layout.data)) && (await readdir(layout.data)).length > 0
        ? { status: 'broken', reason: 'the data directory is not complete' }
        : { status: 'absent' };
    if (finished && (await exists(layout.data)) && (await exists(layout.upgraded)))
      return {
        status: 'stopped',
        systemIdentifier: finished.from.systemIdentifier,
        highestTimeline: finished.from.highestTimeline,
        needsPrimary: false,
        initializedHere: false,
        upgraded: { request: finished.request, ...finished.to },
      };
    if (!(await exists(walDirectory(layout.data)))) return { status: 'broken', reason: 'its write-ahead log is gone' };
    const control = await controlData(layout, AbortSignal.timeout(limits.inspection));
    const systemIdentifier = systemIdentifierIn(control);
    if (!systemIdentifier) return { status: 'broken', reason: 'pg_control cannot be read' };
    repairedAt = await whenRepaired(layout);
    const needsPrimary = await exists(layout.rewound);
    const recovery = needsPrimary ? undefined : recoveryEstimate(control, lastFlushed);
    return {
      status: 'stopped',
      systemIdentifier,
      highestTimeline: (await listWal(layout.data)).highest,
      needsPrimary,
      initializedHere: await wasInitializedHere(layout, systemIdentifier),
      ...(wasStoppedCleanly(control) && { clean: true as const }),
      ...(recovery !== undefined && { recovery }),
      ...(upgradeRefusal && { upgradeRefusal }),
    };
  }

  async function start(
    { from }: DatabaseEffect & { readonly type: 'start' },
    context: EngineContext,
    signal: AbortSignal,
  ): Promise<DatabaseState> {
    if (state.status !== 'stopped') throw unexpected('start', state);
    const { systemIdentifier } = state;
    const following = from && { epoch: from.epoch, instance: from.primary.instance, address: from.primary.address };
    // The cluster goes on with the old version.
    await discardUpgraded(layout);
    await space.makeRoom();
    const aside = await setAsideAbortedTimelines(layout, signal);
    if (aside.length > 0) log.warn({ files: aside }, 'set aside what an aborted promotion left');
    await discardUnfinished(layout);
    await mkdir(layout.configuration, { recursive: true });
    await change({
      ...bootSettings,
      replayDelay: replayDelay(context.definition),
      ...(from && followSettings(from.primary, context)),
    });
    await settings.prepare(context.definition, signal);
    await writeGate(layout, 'open');
    await writePasswordFile(layout);
    await writeFile(join(layout.data, 'standby.signal'), '');
    await mkdir(layout.run, { recursive: true });

    const limit = from ? limits.catchingUp : limits.crashRecovery;
    const started = await settings
      .launch(context.definition, () => launch(limit, signal), signal)
      .catch(async (error: unknown) => {
        if (from && !signal.aborted) await giveUpRewound(layout);
        throw error;
      });
    await settings.noteStarted(context.definition);
    await beginWatch(started);
    await forgetRewound(layout);
    timeline = await lastTimeline(layout, signal);
    const { highest } = await listWal(layout.data);
    return {
      status: 'replica',
      systemIdentifier,
      following,
      sealed: undefined,
      diverged: undefined,
      highestTimeline: highest,
    };
  }

  /** It tries again in a moment, with what the file then holds. */
  function noticeRefusedPassword(line: string): void {
    if (!line.includes('connect to the primary server') || !isRefusedPassword(line)) return;
    void tryOtherPassword(layout).catch((error: unknown) => {
      log.warn({ err: error }, 'the other password could not be tried');
    });
  }

  async function launch(limit: number, signal: AbortSignal): Promise<ServerProcess> {
    signal.throwIfAborted();
    serverLog.forget();
    const started = await startServer(layout, clock, serverLog.tell);
    server = started;
    void started.exited.then((exit) => onExit(started, exit));
    try {
      await untilConnectable(
        started,
        layout,
        clock,
        serverLog.lastWords,
        AbortSignal.any([signal, AbortSignal.timeout(limit)]),
      );
      return started;
    } catch (error) {
      await end('kill', signal);
      throw error;
    }
  }

  /** What a standby says, again and again, when it will never follow: PostgreSQL has no other word for it. */
  function noticeHopeless(line: string): void {
    if (state.status !== 'replica' || !state.following || state.diverged) return;
    const remedy = /requested WAL segment \S+ has already been removed|could not receive timeline history file/.test(
      line,
    )
      ? 'clone'
      : /requested starting point \S+ on timeline \d+ is not in this server's history|forked off current database system timeline/.test(
            line,
          )
        ? 'rewind'
        : undefined;
    if (!remedy) return;
    state = { ...state, diverged: { epoch: state.following.epoch, remedy } };
    changeListener(state);
  }

  /** A slot of its own time as primary, of which its primary has the living one: it keeps all of that one's slots from being copied. */
  function noticeFormerSlot(line: string): void {
    const name = /same name slot "(\w+)" already exists on the standby/.exec(line)?.[1];
    if (name === undefined || state.status !== 'replica') return;
    void accessTo(AbortSignal.timeout(limits.query))
      .session((session) => dropFormerSlot(session, name))
      .catch((error: unknown) => log.warn({ err: error, slot: name }, 'a former slot could not be dropped'));
  }

  function noticeCrash({ message, pg }: LogRecord): void {
    const ending = server;
    // Its own word: any session may log what it likes.
    if (message !== crashing || ending === undefined || pg['pid'] !== ending.pid) return;
    clock.after(crashPatience, () => {
      if (server === ending) ending.signal('SIGKILL'); // its exit ends the others
    });
  }

  async function beginWatch(of: ServerProcess): Promise<void> {
    const disks = await disksWrittenTo(layout);
    if (server !== of) return; // it has ended meanwhile
    health = watchHealth(
      {
        canary: (signal) => canary(layout.run, signal),
        disk: diskCanary(disks),
        progress: progressOf({
          data: layout.data,
          log: walDirectory(layout.data),
          isLog: isWalFile,
          main: of.pid,
          all: () => serverProcesses(layout.data),
        }),
      },
      clock,
      log,
      tellHealth,
    );
  }

  async function onExit(ended: ServerProcess, exit: Awaited<ServerProcess['exited']>): Promise<void> {
    await killServer(layout.data, clock); // orphaned backends could still commit
    if (server !== ended || dying === ended) return;
    forgetServer();
    log.warn({ ...exit }, 'PostgreSQL has ended');
    const after = await inspectEnded();
    if (running()) return; // started anew meanwhile
    state = after;
    changeListener(state);
  }

  const running = (): ServerProcess | undefined => server;

  function forgetServer(): void {
    server = undefined;
    settings.forgetServer();
    slots = { of: '', at: -Infinity };
    observer.close();
    health?.stop();
    health = undefined;
    if (told.status !== 'well') tellHealth({ status: 'well' });
  }

  function tellHealth(now: Health): void {
    told = now;
    if (isFull(now)) space.lookAgain();
    healthListener(now);
  }

  /**
   * On a full disk clients write only if they ask for it (`BEGIN READ WRITE`, `SET transaction_read_only`): what is left is for
   * whoever clears up, and a server that has ended for lack of room would only come back to end again.
   */
  async function protectFullDisk(): Promise<void> {
    const full = space.isLent() || isFull(told);
    if (state.status !== 'primary' || dynamic.clientsReadOnly === full) return;
    try {
      await change({ clientsReadOnly: full });
      server?.signal('SIGHUP');
      log.warn(full ? 'the disk is full: clients write only if they ask for it' : 'clients may write again');
    } catch (error) {
      dynamic = { ...dynamic, clientsReadOnly: !full };
      log.error({ err: error }, 'clients could not be told to write no more');
    }
  }

  /**
   * Ends the server and waits until every process is gone. Rejects when `patience` ends first (one may wait for a stalled
   * disk and can't be killed): then it counts as running still, and its end is told when it comes.
   */
  async function end(
    how: 'clean' | 'kill',
    signal: AbortSignal,
    patience = AbortSignal.timeout(limits.dying),
  ): Promise<DatabaseState> {
    const ending = server;
    dying = ending;
    checking?.abort();
    health?.stop(); // what it last told holds until all is gone
    if (ending && how === 'clean') {
      ending.signal('SIGINT');
      const stopped = untilStopped(ending, layout.data, clock, signal);
      const outcome = await within(limits.cleanStop, clock, 'the shutdown', stopped).catch(String);
      if (outcome !== 'ended') log.warn({ outcome }, 'PostgreSQL did not end by itself; killing it');
    }
    ending?.signal('SIGKILL'); // it may not have got as far as its data directory
    try {
      upgrading?.abort.abort(new Error('the upgrade is called off'));
      await upgrading?.ended;
      await killServer(layout.data, clock, patience);
    } catch (error) {
      if (dying === ending) dying = undefined;
      throw error;
    }
    if (ending) await ending.exited;
    if (server === ending) forgetServer();
    return inspectEnded();
  }

  async function run(effect: EffectInContext, context: EngineContext, signal: AbortSignal): Promise<DatabaseState> {
    const access = accessTo(signal);
    switch (effect.type) {
      case 'initialize':
        await initialize(context.definition, context.declaration, await layoutOf(context.definition.version), signal);
        return inspect();
      case 'start':
        return start(effect, context, signal);
      case 'seal': {
        const replica = asReplica('seal');
        await change({ primaryConninfo: '', primarySlotName: '', copiesLogicalSlots: false });
        // Slots are made before anybody can win: followers turn to the winner at once, and are refused while theirs is missing.
        const { lsn, backlog } = await seal(access, (session) => trySlots(session, context.definition.instances));
        timeline = await lastTimeline(layout, signal, timeline);
        const { highest } = await listWal(layout.data);
        const known = epochOfTimeline(context.history, timeline);
        // The log is newer than the view: a position of epoch 0 would let a lesser log win.
        if (known === 0 && timeline > 1 && !effect.adopting)
          throw new MainstayError('DatabaseUnreachable', `The log ends on timeline ${timeline}, of no known epoch`, {
            retryable: true,
          });
        const epoch = epochOfEnd(context.history, timeline);
        return {
          ...replica,
          following: undefined,
          sealed: { epoch, lsn },
          backlog,
          timeline,
          highestTimeline: highest,
        };
      }
      case 'follow':
        return follow(effect, context, access);
      case 'rewind': {
        becomeBroken('being rewound');
        await end('clean', signal);
        await settings.takeCertificates();
        await rewind(effect.primary, context.definition, layout, report, signal).finally(() => report(undefined));
        return inspect();
      }
      case 'clone': {
        // A primary that was upgraded is copied by its own version's programs.
        const copied = await layoutOf(String(parseInt(effect.source.version)));
        becomeBroken('being cloned');
        mayHaveFormer = true;
        await end('clean', signal);
        await incarnationListener();
        if (damage.found()?.copyHelps) await noteRepair(layout, clock.wall());
        await settings.takeCertificates();
        const { source, mayDiscardOld } = effect;
        const order = { source, mayDiscardOld };
        await clone(order, context.definition, copied, report, signal).finally(() => report(undefined));
        damage.forget();
        return inspect();
      }
      case 'check-upgrade': {
        const primary = asPrimary('check-upgrade');
        beginCheck(effect.request, context.definition);
        return { ...primary, upgradeCheck: { request: effect.request.id, outcome: 'running' } };
      }
      case 'upgrade': {
        if (state.status !== 'stopped') throw unexpected('upgrade', state);
        upgradeRefusal = undefined;
        const abort = new AbortController();
        const calledOff = AbortSignal.any([signal, abort.signal]);
        const made = upgradeData(effect.request, layout, state.systemIdentifier, clock, calledOff).catch(
          (error: unknown) => {
            calledOff.throwIfAborted();
            // Not tried again: nobody is served meanwhile.
            const reason = error instanceof Error ? error.message : String(error);
            upgradeRefusal = { request: effect.request.id, reason };
          },
        );
        upgrading = { abort, ended: made.catch(() => undefined) };
        await made;
        return inspect();
      }
      case 'take-upgraded':
        await takeUpgraded(layout);
        return inspect();
      case 'promote': {
        const replica = asReplica('promote');
        if (!replica.sealed) throw unexpected('promote without a seal', state);
        const { lineage, marker } = await promote(access, gate, effect, (value) =>
          change({
            synchronousStandbyNames: value,
            synchronizedStandbySlots: synchronizedStandbySlots(effect.sync),
          }),
        ).catch(async (error: unknown) => {
          // Half promoted is neither replica nor primary: nothing less than its end is known to be safe.
          await end('kill', signal);
          throw error;
        });
        timeline = effect.timeline;
        return {
          status: 'primary',
          systemIdentifier: replica.systemIdentifier,
          epoch: effect.epoch,
          timeline,
          open: false,
          applied: effect.sync,
          lineage,
          marker,
        };
      }
      case 'open': {
        const primary = asPrimary('open');
        if (!primary.applied) throw unexpected('open without a known sync set', state);
        await protectFullDisk();
        await openToClients(access, gate, primary.applied);
        // A later pg_rewind from this server wants its control file to name the new timeline. Not now, when clients come back.
        clock.after(checkpointDelay, () => {
          if (state.status === 'primary')
            void accessTo(AbortSignal.timeout(600_000))
              .session((session) => session.query('CHECKPOINT'), 600_000)
              .catch(() => undefined);
        });
        void completeStatistics(layout, AbortSignal.timeout(limits.statistics)).then(
          (done) => done && log.info('statistics are complete again after the upgrade'),
          (error: unknown) => log.warn({ err: error }, 'statistics are incomplete after the upgrade: run ANALYZE'),
        );
        return { ...primary, open: true };
      }
      case 'configure-sync': {
        const primary = asPrimary('configure-sync');
        state = { ...primary, applied: undefined }; // until it has been proven
        const both = synchronizedStandbySlots(effect.to, primary.applied ?? { members: [] });
        await applySyncSet(access, effect.to, primary.applied, effect.barrier, (value) =>
          change({ synchronousStandbyNames: value, synchronizedStandbySlots: both }),
        );
        await change({ synchronizedStandbySlots: synchronizedStandbySlots(effect.to) });
        await access.reload();
        return { ...primary, applied: effect.to };
      }
      case 'stop': {
        if (state.status === 'primary') {
          // While still serving, so that the shutdown checkpoint has little to write.
          await access
            .session((session) => session.query('CHECKPOINT'), limits.checkpoint)
            .catch((error: unknown) => {
              log.warn({ error }, 'checkpoint before the hand-over failed');
            });
          await gate.write('closed');
          state = { ...state, open: false }; // should it fail from here on, it is opened again
          await access.reload();
          await access.session(endClientSessions);
        }
        const wasPrimary = state.status === 'primary';
        const ended = await end('clean', signal);
        if (!effect.inPlace || !wasPrimary) return ended;
        await settings.lowerForStandbys(context.definition, signal).catch((error: unknown) => {
          log.warn({ err: error }, 'what standbys can’t lower stays as it was');
        });
        return inspectEnded();
      }
    }
  }

  async function follow(
    effect: DatabaseEffect & { readonly type: 'follow' },
    context: EngineContext,
    access: ServerAccess,
  ): Promise<DatabaseState> {
    const replica = asReplica('follow');
    timeline = await lastTimeline(layout, access.signal, timeline);
    const [row] = await access.session((session) =>
      session.query('SELECT pg_last_wal_replay_lsn()::text AS lsn, pg_last_wal_receive_lsn()::text AS received'),
    );
    const marker = await markerOf(layout.data, timeline);
    const own = { timeline, epoch: epochOfTimeline(context.history, timeline), replayed: String(row?.['lsn']), marker };
    const fits = compatibility(own, effect.history);
    // pg_rewind takes one number for one history.
    if (fits === 'mistaken')
      return {
        ...replica,
        following: undefined,
        sealed: undefined,
        diverged: { epoch: effect.epoch, remedy: 'clone' },
      };
    if (fits === 'unknown') {
      if (!effect.history?.lineage) return { ...replica, unjudged: { epoch: effect.epoch } };
      throw new MainstayError('DatabaseUnreachable', 'The log is newer than what is known of the cluster', {
        retryable: true,
      });
    }
    if (fits === 'diverged')
      return {
        ...replica,
        following: undefined,
        sealed: undefined,
        diverged: { epoch: effect.epoch, remedy: 'rewind' },
      };
    // Received but not replayed, and not part of the primary's history: a walreceiver would report it as flushed. A restart
    // forgets what was received and goes by what can be replayed.
    const received = row?.['received'] as string | null | undefined;
    const whole = { ...own, replayed: received ?? own.replayed };
    if (compatibility(whole, effect.history) !== 'same') return end('clean', access.signal);
    await change(followSettings(effect.primary, context));
    await access.reload();
    return {
      ...replica,
      following: { epoch: effect.epoch, instance: effect.primary.instance, address: effect.primary.address },
      sealed: undefined,
      diverged: undefined,
    };
  }

  function followSettings(primary: Member, context: EngineContext): Partial<Dynamic> {
    const name = standbyName({ instance, incarnation: context.incarnation });
    return {
      primaryConninfo:
        `host=${primary.address} port=${primary.databasePort} user=${replicationRole} dbname=postgres application_name=${name} ` +
        `passfile=${join(layout.run, 'pgpass')} connect_timeout=2 keepalives_idle=2 keepalives_interval=1 keepalives_count=3 ` +
        `tcp_user_timeout=3000 ${secured(layout, context.definition)}`,
      primarySlotName: slotName(instance),
      copiesLogicalSlots: isLogical(context.definition) && replayDelay(context.definition) === 0,
    };
  }

  async function observe(context: EngineContext, signal: AbortSignal): Promise<Observation> {
    observation ??= measure(context, signal).finally(() => (observation = undefined));
    const seen = await within(limits.observation, clock, 'a look at the database', observation);
    const held = await credentials(context.declaration);
    return {
      ...seen,
      member: {
        ...seen.member,
        ...settings.standing(),
        ...(held !== undefined && { credentials: held }),
      },
    };
  }

  const isFollowing = (): boolean => state.status === 'replica' && state.following !== undefined;

  async function measure(context: EngineContext, signal: AbortSignal): Promise<Observation> {
    const nothing: Observation = { member: {}, streaming: false, replicas: [] };
    if (state.status === 'primary') {
      return observer.run(signal, async (session) => {
        const [row] = await session.query('SELECT pg_current_wal_flush_lsn()::text AS lsn');
        // Before it is open, too: a follower whose slot is missing is refused, and without followers it never opens.
        if (slotsAreDue(context)) await trySlots(session, context.definition.instances);
        const position = { epoch: epochOfTimeline(context.history, timeline), lsn: String(row?.['lsn']) };
        lastFlushed = parseLsn(position.lsn);
        const { values, pendingRestart } = await settings.look(session);
        await protectFullDisk();
        await damage.look(session);
        const held = settings.heldBack(context.definition);
        const waiting = [...new Set([...pendingRestart, ...held])].sort();
        return {
          member: {
            timeline,
            position,
            ...(dynamic.clientsReadOnly && { keepsClientsFromWriting: true }),
            ...(waiting.length > 0 && { pendingRestart: waiting }),
            ...(held.length > 0 && { restartInPlace: true }),
            effective: values,
          },
          streaming: false,
          replicas: await replicas(session, context.definition.instances),
        };
      });
    }
    if (state.status !== 'replica') return nothing;
    const { row, pending } = await observer.run(signal, async (session) => {
      if (slotsAreDue(context)) await trySlots(session, context.definition.instances);
      await advanceSlots(session, context.positions).catch((error: unknown) => {
        log.debug({ err: error }, 'replication slots could not be advanced');
      });
      const rows = await session.query(
        `SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())::text AS lsn, pg_last_wal_replay_lsn()::text AS replayed,
                (SELECT received_tli FROM pg_stat_wal_receiver WHERE status = 'streaming') AS timeline,
                (SELECT wait_event = 'RecoveryApplyDelay' FROM pg_stat_activity WHERE backend_type = 'startup') AS delayed`,
      );
      await damage.look(session);
      return { row: rows[0], pending: (await settings.look(session)).pendingRestart };
    });
    const receiving = row?.['timeline'] as number | null | undefined;
    const streaming = receiving !== null && receiving !== undefined;
    if (streaming && mayHaveFormer) {
      await discardFormer(layout);
      mayHaveFormer = false;
    }
    // Looked at now, so that no vote has to wait for it.
    if (streaming && receiving > timeline) {
      const of = server;
      const last = await lastTimeline(layout, signal, timeline);
      if (server === of) timeline = Math.max(timeline, last);
    }
    const shown = receiving ?? timeline;
    const replayed = row?.['replayed'] as string | null | undefined;
    const received = row?.['lsn'] as string | null | undefined;
    if (received) lastFlushed = parseLsn(received);
    return {
      member: {
        timeline: shown,
        position: { epoch: epochOfTimeline(context.history, shown), lsn: String(row?.['lsn']) },
        ...(received && replayed ? { backlog: Math.max(0, Number(parseLsn(received) - parseLsn(replayed))) } : {}),
        ...(pending.length > 0 && { pendingRestart: pending }),
      },
      // One that stays behind on purpose asks for more log only when it has replayed what it has.
      streaming: streaming || (isFollowing() && row?.['delayed'] === true),
      replicas: [],
    };
  }

  /** Goes on beside everything else: while it did not, a replica that fails would hold up all writes. */
  function beginCheck(request: UpgradeRequest, definition: Definition): void {
    checking?.abort();
    const mine = (checking = new AbortController());
    const tell = (outcome: 'passed' | 'refused', reason?: string): void => {
      if (state.status !== 'primary' || state.upgradeCheck?.request !== request.id || mine.signal.aborted) return;
      state = { ...state, upgradeCheck: { request: request.id, outcome, ...(reason !== undefined && { reason }) } };
      changeListener(state);
    };
    void checkUpgrade(
      request,
      definition,
      layout,
      clock,
      AbortSignal.any([mine.signal, AbortSignal.timeout(limits.check)]),
    ).then(
      () => tell('passed'),
      (error: unknown) => tell('refused', error instanceof Error ? error.message : String(error)),
    );
  }

  async function layoutOf(version: string): Promise<Layout> {
    const versions = await installedVersions();
    if (!versions.includes(version))
      throw new MainstayError(
        'ConfigurationInvalid',
        `PostgreSQL ${version} is wanted, and the image has ${versions.join(', ')}: correct spec.image or spec.version`,
      );
    return withVersion(layout, version);
  }

  /** From here on what was promised of this data no longer holds. */
  function becomeBroken(reason: string): void {
    state = { status: 'broken', reason };
    changeListener(state);
  }

  const slotsAreDue = ({ definition }: EngineContext): boolean =>
    slots.of !== definition.instances.join() || clock.now() - slots.at >= slotsPeriod;

  /** Slots are a convenience of followers: their absence must not hold up a vote or a measurement. */
  async function trySlots(session: Session, instances: readonly string[]): Promise<void> {
    await keepSlots(session, instances, instance).then(
      () => (slots = { of: instances.join(), at: clock.now() }),
      (error: unknown) => log.warn({ err: error }, 'replication slots could not be brought in order'),
    );
  }

  async function configure(definition: Definition, signal: AbortSignal): Promise<void> {
    const access = accessTo(signal);
    await settings.configure(definition, state.status === 'replica' ? 'replica' : 'primary', access);
    if (state.status === 'replica' && dynamic.replayDelay !== replayDelay(definition)) {
      await change({ replayDelay: replayDelay(definition) });
      await access.reload();
    }
  }

  function asReplica(effect: string): Replica {
    if (state.status !== 'replica') throw unexpected(effect, state);
    return state;
  }
  function asPrimary(effect: string): DatabaseState & { readonly status: 'primary' } {
    if (state.status !== 'primary') throw unexpected(effect, state);
    return state;
  }

  const runAlone = oneAtATime(run, dirname(layout.data), clock, log);

  return {
    databasePort: 5432,
    state: () => state,
    standing: () => {
      const found = damage.found();
      return { disks: space.use(), ...(found && { corruption: sinceRepair(found, repairedAt, clock.wall()) }) };
    },
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
    declare: (declaration, lacking, signal) =>
      declare(
        declaration,
        (database, use) => withSession(layout.run, limits.declaration, signal, use, database),
        lacking,
      ),
    onChange: (listener) => (changeListener = listener),
    onHealth: (listener) => (healthListener = listener),
    onStreamLost: (listener) => (streamLostListener = listener),
    onNewIncarnation: (listener) => (incarnationListener = listener),
    versions: installedVersions,
    version: async () =>
      (await command(join(layout.bin, 'postgres'), ['--version'], { signal: AbortSignal.timeout(5000) }))
        .replace(/^\D*/, '')
        .split(' ')[0]
        ?.trim() ?? '',
  };
}

const isFull = (health: Health): boolean => health.status === 'failing' && health.reason === 'DiskFull';

const unexpected = (effect: string, state: DatabaseState): MainstayError =>
  new MainstayError('DatabaseUnreachable', `Cannot ${effect}: the database is ${state.status}`, { retryable: true });
