/** What the worlds of a run have met: a rule, state, effect or fault that never occurs is not tested, whatever passes. */
import { memberStates } from '../api/cluster-state.ts';
import { phases, type Phase } from '../ha/phases.ts';
import type { DatabaseState, Effect, Event, TxnPurpose } from '../ha/state.ts';
import { faultKinds } from './faults.ts';

type Names<T extends string> = Readonly<Record<T, true>>;

/** Complete by their types: what operator/ha gains must be named here, and met. */
const events = {
  tick: true,
  view: true,
  lease: true,
  'dcs-heard': true,
  'leadership-proven': true,
  database: true,
  incarnation: true,
  replicas: true,
  health: true,
  'primary-lost': true,
  'primary-heard': true,
  pledged: true,
  'pledge-received': true,
  'vow-written': true,
  'vow-failed': true,
  'database-effect-ended': true,
  'txn-ended': true,
  'lease-revoked': true,
  ending: true,
} satisfies Names<Event['type']>;

const effects = {
  kill: true,
  initialize: true,
  start: true,
  seal: true,
  follow: true,
  rewind: true,
  clone: true,
  promote: true,
  open: true,
  'configure-sync': true,
  stop: true,
  'check-upgrade': true,
  upgrade: true,
  'take-upgraded': true,
  'write-vow': true,
  remember: true,
  txn: true,
  'revoke-lease': true,
} satisfies Names<Effect['type']>;

const purposes = {
  bootstrap: true,
  initialize: true,
  promise: true,
  claim: true,
  reclaim: true,
  sync: true,
  release: true,
  history: true,
  retire: true,
  'refuse-switchover': true,
  'refuse-failover': true,
  'answer-restart': true,
  'refuse-upgrade': true,
  upgrade: true,
  'answer-reinitialize': true,
  'offer-adoption': true,
  adopt: true,
  'warn-of-rewind': true,
} satisfies Names<TxnPurpose>;

/** All but the first moment's `unknown`. */
const databases = {
  absent: true,
  broken: true,
  stopped: true,
  replica: true,
  primary: true,
} satisfies Names<Exclude<DatabaseState['status'], 'unknown'>>;

const outcomes = ['applied', 'refused', 'unknown'] as const;

/** Positions here are LSNs, of which one is always the greater; sets of GTIDs need not be (operator/ha/takeover.test.ts). */
const incomparable: Phase = 'blocked-diverged';

const expected = {
  phase: Object.keys(phases).filter((phase) => phase !== incomparable),
  event: Object.keys(events),
  effect: Object.keys(effects),
  txn: Object.keys(purposes),
  outcome: outcomes,
  database: Object.keys(databases),
  member: memberStates,
  fault: faultKinds,
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Aspect = keyof typeof expected;
/** How often, by `aspect name`. */
export type Counts = ReadonlyMap<string, number>;

/** What instances were seen to do. */
export interface Machine {
  /** `from to`, or `start to`. */
  readonly turns: ReadonlySet<string>;
  /** `phase effect`, with the purpose of a transaction. */
  readonly acts: ReadonlySet<string>;
}

export interface Coverage {
  readonly met: (aspect: Aspect, name: string) => void;
  /** An instance has decided this, having been in that phase before. */
  readonly decided: (from: Phase | undefined, to: Phase, effects: readonly Effect[]) => void;
  readonly machine: Machine;
  readonly counts: Counts;
}

export function createCoverage(): Coverage {
  const byAspect = new Map<Aspect, Map<string, number>>();
  const turns = new Set<string>();
  const acts = new Set<string>();
  function met(aspect: Aspect, name: string): void {
    let counts = byAspect.get(aspect);
    if (!counts) byAspect.set(aspect, (counts = new Map<string, number>()));
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return {
    met,
    machine: { turns, acts },
    decided: (from, to, effects) => {
      for (const effect of effects) acts.add(`${to} ${effect.type === 'txn' ? effect.purpose : effect.type}`);
      if (from === to) return;
      met('phase', to);
      turns.add(`${from ?? 'start'} ${to}`);
    },
    get counts() {
      const flat = new Map<string, number>();
      for (const [aspect, counts] of byAspect) for (const [name, times] of counts) flat.set(`${aspect} ${name}`, times);
      return flat;
    },
  };
}

export function addCounts(to: Map<string, number>, counts: Counts): void {
  for (const [key, times] of counts) to.set(key, (to.get(key) ?? 0) + times);
}

/** One line an aspect; and what was never met, which is a gap in the test. */
export function coverageReport(counts: Counts): {
  readonly lines: readonly string[];
  readonly gaps: readonly string[];
} {
  const lines: string[] = [];
  const gaps: string[] = [];
  for (const [aspect, names] of Object.entries(expected)) {
    const times = (name: string): number => counts.get(`${aspect} ${name}`) ?? 0;
    lines.push(`${aspect}: ${names.map((name) => `${name}=${times(name)}`).join(' ')}`);
    gaps.push(...names.filter((name) => times(name) === 0).map((name) => `${aspect} ${name}`));
  }
  return { lines, gaps };
}
