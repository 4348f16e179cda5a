/** One step of an instance: what happened changes what is known, and what is known decides what to do. */
import { keys, type SyncState, type Voter } from '../api/cluster-state.ts';
import { copiesAfter } from './copies.ts';
import { decide } from './decide.ts';
import { tellsOfReplacement } from './member-state.ts';
import type { Phase } from './phases.ts';
import type { SyncSet } from './sync-set.ts';
import { alarmMemory } from './suspicion.ts';
import { judgeTakeover } from './takeover.ts';
import type { ClusterView } from './view.ts';
import {
  defaultSettings,
  type Effect,
  type EffectType,
  type Event,
  type HaState,
  type Milliseconds,
  nothingSeen,
  type Pausable,
  type Seen,
  type Settings,
  type Txn,
} from './state.ts';

export interface Step {
  readonly state: HaState;
  readonly effects: readonly Effect[];
  readonly phase: Phase;
  /** Why, for people. */
  readonly because: string;
}

export function initialState(
  self: Voter & { readonly address: string },
  vow: number,
  time: { readonly now: Milliseconds; readonly wall: string },
  settings: Settings = defaultSettings,
  seen: Seen = nothingSeen,
  mayHavePledged = true,
): HaState {
  return {
    self,
    settings,
    ...time,
    view: undefined,
    viewAt: time.now,
    seen,
    lease: undefined,
    proven: undefined,
    vow,
    database: { status: 'unknown' },
    health: { status: 'well' },
    startedAt: time.now,
    mayHavePledged,
    dcsHeardAt: undefined,
    pledged: undefined,
    pledges: new Map(),
    crashes: [],
    released: undefined,
    givingUp: undefined,
    lastPositions: new Map(),
    lostPrimaryOf: undefined,
    primaryHeard: undefined,
    lostSince: undefined,
    falseAlarms: [],
    followedIn: undefined,
    startingFrom: undefined,
    replicas: undefined,
    ending: false,
    quorumSince: undefined,
    leaderGoneSince: undefined,
    inFlight: { database: undefined, dcs: undefined, disk: false },
    syncUnsettled: [],
    retired: undefined,
    backOff: new Map(),
    copies: [],
    startFailures: undefined,
  };
}

export function step(before: HaState, event: Event, time: { readonly now: Milliseconds; readonly wall: string }): Step {
  const known = observeTimes(learn({ ...before, ...time }, event));
  const { effects, phase, because } = decide(known);
  const remember: readonly Effect[] = isWorthRemembering(before, known) ? [{ type: 'remember', seen: known.seen }] : [];
  return { state: effects.reduce(begin, known), effects: [...remember, ...effects], phase, because };
}

function learn(state: HaState, event: Event): HaState {
  switch (event.type) {
    case 'tick':
      return state;
    case 'view':
      return learnView(state, event.view, event.askedAt);
    case 'lease':
      return { ...state, lease: event.lease };
    case 'dcs-heard':
      return { ...state, dcsHeardAt: Math.max(event.sentAt, state.dcsHeardAt ?? event.sentAt) };
    case 'leadership-proven': {
      const until = event.sentAt + state.settings.ttl - state.settings.margin;
      return state.proven && state.proven.until > until ? state : { ...state, proven: { epoch: event.epoch, until } };
    }
    case 'database':
      return {
        ...state,
        database: event.database,
        crashes: crashed(state, event.database) ? [...recent(state), state.now] : state.crashes,
        replicas:
          event.database.status === 'primary' && state.database.status === 'primary' ? state.replicas : undefined,
      };
    case 'incarnation':
      // What was told of the former data says nothing of these, which may count again.
      return { ...state, self: { ...state.self, incarnation: event.incarnation }, retired: undefined };
    case 'replicas':
      return { ...state, replicas: event.replicas };
    case 'health':
      return { ...state, health: event.health };
    case 'pledged':
      return { ...state, pledged: { epoch: event.epoch, until: state.now + state.settings.pledge } };
    case 'pledge-received': {
      const { voter, epoch, askedAt } = event;
      const until = askedAt + state.settings.pledge - state.settings.margin;
      return { ...state, pledges: new Map(state.pledges).set(voter.instance, { voter, epoch, until }) };
    }
    case 'primary-heard':
      return { ...state, primaryHeard: { epoch: event.epoch, at: state.now } };
    case 'primary-lost':
      return {
        ...state,
        lostPrimaryOf: event.epoch,
        lostSince:
          event.epoch === undefined ? undefined : event.epoch === state.lostPrimaryOf ? state.lostSince : state.now,
      };
    case 'vow-written':
      return { ...state, vow: Math.max(state.vow, event.epoch), inFlight: { ...state.inFlight, disk: false } };
    case 'vow-failed':
      return { ...state, inFlight: { ...state.inFlight, disk: false }, backOff: later(state, 'write-vow') };
    case 'database-effect-ended':
      return {
        ...state,
        inFlight:
          state.inFlight.database === event.effect ? { ...state.inFlight, database: undefined } : state.inFlight,
        backOff: event.ok ? without(state.backOff, event.effect) : later(state, event.effect),
        copies:
          event.effect === 'clone' || event.effect === 'rewind'
            ? copiesAfter(state, event.effect, event.ok)
            : state.copies,
        startFailures: startFailuresAfter(state, event.effect, event.ok),
      };
    case 'txn-ended':
      return {
        ...state,
        inFlight: { ...state.inFlight, dcs: undefined },
        retired:
          event.purpose === 'retire' && state.retired
            ? { ...state.retired, settled: event.outcome === 'applied' }
            : state.retired,
        syncUnsettled: event.purpose === 'sync' ? stillUnsettled(state, event.outcome) : state.syncUnsettled,
        backOff:
          event.outcome === 'applied'
            ? // A new claim is a new promotion, whatever became of the last.
              without(without(state.backOff, event.purpose), event.purpose === 'claim' ? 'promote' : event.purpose)
            : later(state, event.purpose),
      };
    case 'lease-revoked':
      return {
        ...state,
        inFlight: { ...state.inFlight, dcs: undefined },
        backOff: event.ok ? without(state.backOff, 'revoke-lease') : later(state, 'revoke-lease'),
      };
    case 'ending':
      return { ...state, ending: true };
  }
}

function learnView(state: HaState, view: ClusterView, askedAt: Milliseconds | undefined): HaState {
  const before = state.view;
  const older = before && view.etcdClusterId === before.etcdClusterId && view.revision < before.revision;
  // A late answer must not undo a newer one; but reads don't go back, so an answer to a later question shows that etcd has.
  if (older && (askedAt === undefined || askedAt <= state.viewAt)) return state;
  const leadsAnew = view.epoch !== before?.epoch && view.leader?.value.instance === state.self.instance;
  return {
    ...state,
    view,
    viewAt: state.now,
    seen: seenAfter(state.seen, view),
    lastPositions: positions(state.lastPositions, view),
    primaryHeard: heardThroughEtcd(state, view) ? { epoch: view.epoch, at: state.now } : state.primaryHeard,
    falseAlarms: wasFalseAlarm(state, view)
      ? [...state.falseAlarms.filter((at) => state.now - at < alarmMemory), state.now]
      : state.falseAlarms,
    followedIn: isFollowed(view) ? view.epoch : state.followedIn,
    backOff: leadsAnew ? without(state.backOff, 'promote') : state.backOff,
  };
}

/** Longer than members are silent; who has seen nothing for so long can't tell who has been alive meanwhile. */
const blindness: Milliseconds = 1500;

function heardThroughEtcd({ view: before, viewAt, now }: HaState, view: ClusterView): boolean {
  const leader = (view.leader ?? before?.leader)?.value.instance;
  if (leader === undefined || before === undefined) return false;
  const member = view.members.get(leader);
  return now - viewAt > blindness || (member !== undefined && member !== before.members.get(leader));
}

function seenAfter(seen: Seen, view: ClusterView): Seen {
  const adoptions = view.initialize?.adoptions ?? 0;
  if (adoptions > seen.adoptions) return { adoptions, revision: view.revision, rewound: false };
  return adoptions < seen.adoptions || view.revision < seen.revision || view.rewound !== undefined
    ? { ...seen, rewound: true }
    : { ...seen, revision: view.revision };
}

/** What an acknowledgement may rest on: the epoch and the sync set. Anything else may be forgotten without harm. */
const isWorthRemembering = (before: HaState, after: HaState): boolean =>
  after.view !== undefined &&
  (before.seen.rewound !== after.seen.rewound ||
    before.seen.adoptions !== after.seen.adoptions ||
    before.view?.epoch !== after.view.epoch ||
    before.view.sync?.modRevision !== after.view.sync?.modRevision);

/**
 * Only an applied write proves that earlier ones of unknown outcome can no longer land: all compare the same revision. A
 * refused one has itself changed nothing.
 */
function stillUnsettled(
  { syncUnsettled }: HaState,
  outcome: 'applied' | 'refused' | 'unknown',
): HaState['syncUnsettled'] {
  return outcome === 'applied' ? [] : outcome === 'unknown' ? syncUnsettled : syncUnsettled.slice(0, -1);
}

/** The epoch that this instance had vowed was claimed by the very primary it had lost. */
function isFollowed({ epoch, sync, members }: ClusterView): boolean {
  const following = (sync?.value.members ?? []).filter(({ instance }) => {
    const member = members.get(instance);
    return member?.state === 'streaming' && member.vow === epoch;
  });
  return following.length >= (sync?.value.acknowledgements ?? Infinity);
}

const wasFalseAlarm = ({ view, vow }: HaState, next: ClusterView): boolean =>
  view !== undefined &&
  next.epoch > view.epoch &&
  vow === next.epoch &&
  next.history.get(next.epoch)?.reason === 'PrimaryAlive';

const crashWindow: Milliseconds = 10 * 60_000;
const recent = ({ crashes, now }: HaState): readonly Milliseconds[] => crashes.filter((at) => now - at < crashWindow);

const crashed = ({ database, inFlight }: HaState, after: HaState['database']): boolean =>
  database.status === 'primary' &&
  after.status === 'stopped' &&
  inFlight.database !== 'stop' &&
  inFlight.database !== 'kill';

function positions(before: HaState['lastPositions'], view: ClusterView): HaState['lastPositions'] {
  const moved = [...view.members.values()].filter(
    ({ instance, position }) => position !== undefined && before.get(instance) !== position,
  );
  if (moved.length === 0) return before;
  const after = new Map(before);
  for (const { instance, position } of moved) if (position) after.set(instance, position);
  return after;
}

/** Without a primary that serves, nothing says that other data would start. */
function startFailuresAfter(state: HaState, effect: EffectType, ok: boolean): HaState['startFailures'] {
  if (effect !== 'start' && effect !== 'clone') return state.startFailures;
  const leader = state.view?.leader?.value.instance;
  const served = leader !== undefined && state.view?.members.get(leader)?.state === 'running';
  if (ok || effect === 'clone' || !served) return undefined;
  return { count: (state.startFailures?.count ?? 0) + 1, since: state.startFailures?.since ?? state.now };
}

/** Pauses after a failure: short where others wait for it. */
const pauseAfterFailure = (what: Pausable): Milliseconds =>
  what === 'initialize' ? 5000 : what === 'start' || what === 'write-vow' ? 1000 : 100;

function later(state: HaState, what: Pausable): HaState['backOff'] {
  return new Map(state.backOff).set(what, state.now + pauseAfterFailure(what));
}

function without(backOff: HaState['backOff'], what: Pausable): HaState['backOff'] {
  const rest = new Map(backOff);
  rest.delete(what);
  return rest;
}

/** Notes since when an election could be decided, and since when the leader has been gone. */
function observeTimes(state: HaState): HaState {
  const { view } = state;
  if (!view) return state;
  const { epoch } = view;
  const allowed = judgeTakeover(view, state.self.instance).verdict === 'allowed';
  return {
    ...state,
    quorumSince: !allowed
      ? undefined
      : state.quorumSince?.epoch === epoch
        ? state.quorumSince
        : { epoch, at: state.now },
    leaderGoneSince: view.leader
      ? undefined
      : state.leaderGoneSince?.epoch === epoch
        ? state.leaderGoneSince
        : { epoch, at: state.now },
  };
}

function begin(state: HaState, effect: Effect): HaState {
  switch (effect.type) {
    case 'txn':
      return {
        ...state,
        released: effect.purpose === 'release' ? { epoch: state.view?.epoch ?? 0, at: state.now } : state.released,
        syncUnsettled: [...state.syncUnsettled, ...(effect.purpose === 'sync' ? attemptedSets(effect.txn) : [])],
        inFlight: { ...state.inFlight, dcs: effect.purpose },
        retired: effect.purpose === 'retire' ? retiring(state) : state.retired,
      };
    case 'revoke-lease':
      return { ...state, inFlight: { ...state.inFlight, dcs: 'revoke-lease' } };
    case 'write-vow':
      return { ...state, inFlight: { ...state.inFlight, disk: true } };
    case 'remember':
      return state;
    case 'kill':
      return {
        ...state,
        givingUp:
          effect.givesUp === undefined ? state.givingUp : { epoch: state.view?.epoch ?? 0, reason: effect.givesUp },
        inFlight: { ...state.inFlight, database: 'kill' },
      };
    case 'start':
      return {
        ...state,
        startingFrom: effect.from?.epoch,
        inFlight: { ...state.inFlight, database: 'start' },
      };
    case 'initialize':
    case 'seal':
    case 'follow':
    case 'rewind':
    case 'clone':
    case 'promote':
    case 'open':
    case 'configure-sync':
    case 'stop':
    case 'check-upgrade':
    case 'upgrade':
    case 'take-upgraded':
      return { ...state, inFlight: { ...state.inFlight, database: effect.type } };
  }
}

function retiring({ view, self, retired, now }: HaState): HaState['retired'] {
  const epoch = view?.epoch ?? 0;
  const isTold = view !== undefined && retired?.epoch === epoch && tellsOfReplacement(view, self.instance);
  return { epoch, settled: false, at: now, since: isTold ? retired.since : now };
}

function attemptedSets(txn: Txn): readonly SyncSet[] {
  return txn.writes.flatMap((write) => {
    if (!('put' in write) || write.put !== keys.sync) return [];
    const { members, acknowledgements } = write.value as SyncState;
    return [{ members, acknowledgements }];
  });
}
