/** One step of an instance: what happened changes what is known, and what is known decides what to do. */
import type { Voter } from '../api/cluster-state.ts';
import { decide } from './decide.ts';
import { judgeTakeover } from './takeover.ts';
import {
  defaultSettings,
  type Effect,
  type EffectType,
  type Event,
  type HaState,
  type Milliseconds,
  type Settings,
  type TxnPurpose,
} from './state.ts';

export interface Step {
  readonly state: HaState;
  readonly effects: readonly Effect[];
  /** Why, for people. */
  readonly because: string;
}

export function initialState(
  self: Voter & { readonly address: string },
  vow: number,
  time: { readonly now: Milliseconds; readonly wall: string },
  settings: Settings = defaultSettings,
): HaState {
  return {
    self,
    settings,
    ...time,
    view: undefined,
    lease: undefined,
    proven: undefined,
    vow,
    database: { status: 'unknown' },
    lostPrimaryOf: undefined,
    replicas: undefined,
    ending: false,
    quorumSince: undefined,
    leaderGoneSince: undefined,
    inFlight: { database: undefined, dcs: undefined, disk: false },
    syncUnsettled: false,
    retired: undefined,
    backOff: new Map(),
  };
}

export function step(before: HaState, event: Event, time: { readonly now: Milliseconds; readonly wall: string }): Step {
  const known = observeTimes(learn({ ...before, ...time }, event));
  const { effects, because } = decide(known);
  return { state: effects.reduce(begin, known), effects, because };
}

function learn(state: HaState, event: Event): HaState {
  switch (event.type) {
    case 'tick':
      return state;
    case 'view':
      // A late answer must not undo a newer one.
      return state.view &&
        event.view.revision < state.view.revision &&
        event.view.etcdClusterId === state.view.etcdClusterId
        ? state
        : { ...state, view: event.view };
    case 'lease':
      return { ...state, lease: event.lease };
    case 'leadership-proven': {
      const until = event.sentAt + state.settings.ttl - state.settings.margin;
      return state.proven && state.proven.until > until ? state : { ...state, proven: { epoch: event.epoch, until } };
    }
    case 'database':
      return {
        ...state,
        database: event.database,
        replicas:
          event.database.status === 'primary' && state.database.status === 'primary' ? state.replicas : undefined,
      };
    case 'incarnation':
      return { ...state, self: { ...state.self, incarnation: event.incarnation } };
    case 'replicas':
      return { ...state, replicas: event.replicas };
    case 'primary-lost':
      return { ...state, lostPrimaryOf: event.epoch };
    case 'vow-written':
      return { ...state, vow: Math.max(state.vow, event.epoch), inFlight: { ...state.inFlight, disk: false } };
    case 'database-effect-ended':
      return {
        ...state,
        inFlight:
          state.inFlight.database === event.effect ? { ...state.inFlight, database: undefined } : state.inFlight,
        backOff: event.ok ? without(state.backOff, event.effect) : later(state, event.effect),
      };
    case 'txn-ended':
      return {
        ...state,
        inFlight: { ...state.inFlight, dcs: undefined },
        retired:
          event.purpose === 'retire' && state.retired
            ? { ...state.retired, settled: event.outcome === 'applied' }
            : state.retired,
        syncUnsettled: event.purpose === 'sync' ? settles(state, event.outcome) : state.syncUnsettled,
        backOff:
          event.outcome === 'applied'
            ? // A new claim is a new promotion, whatever became of the last.
              without(without(state.backOff, event.purpose), event.purpose === 'claim' ? 'promote' : event.purpose)
            : later(state, event.purpose),
      };
    case 'lease-revoked':
      return { ...state, inFlight: { ...state.inFlight, dcs: undefined } };
    case 'ending':
      return { ...state, ending: true };
  }
}

/** Only an applied write proves that an earlier one of unknown outcome can no longer land: both compare the same revision. */
const settles = (state: HaState, outcome: 'applied' | 'refused' | 'unknown'): boolean =>
  outcome === 'unknown' || (outcome === 'refused' && state.syncUnsettled);

/** Pauses after a failure: long where the effect copies data, short where others wait for it. */
const pauseAfterFailure = (what: EffectType | TxnPurpose): Milliseconds =>
  what === 'clone' || what === 'rewind' || what === 'initialize' ? 5000 : what === 'start' ? 1000 : 100;

function later(state: HaState, what: EffectType | TxnPurpose): HaState['backOff'] {
  return new Map(state.backOff).set(what, state.now + pauseAfterFailure(what));
}

function without(backOff: HaState['backOff'], what: EffectType | TxnPurpose): HaState['backOff'] {
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
        inFlight: { ...state.inFlight, dcs: effect.purpose },
        retired: effect.purpose === 'retire' ? { epoch: state.view?.epoch ?? 0, settled: false } : state.retired,
      };
    case 'revoke-lease':
      return { ...state, inFlight: { ...state.inFlight, dcs: 'revoke-lease' } };
    case 'write-vow':
      return { ...state, inFlight: { ...state.inFlight, disk: true } };
    case 'kill':
    case 'initialize':
    case 'start':
    case 'seal':
    case 'follow':
    case 'rewind':
    case 'clone':
    case 'promote':
    case 'open':
    case 'configure-sync':
    case 'stop':
      return { ...state, inFlight: { ...state.inFlight, database: effect.type } };
  }
}
