/** What the benchmark measures: one fault each, what it may cost, and what comes of it. */
import type { EngineName } from '../../operator/api/cluster-state.ts';
import type { Primary } from '../testbed/database-cluster.ts';
import type { Arena } from './arena.ts';

/** Milliseconds; `undefined`: no goal is set. */
export interface Goal {
  readonly p50?: number;
  readonly max?: number;
}

/** What doesn't run while the fault happens. */
export interface Without {
  readonly operator: boolean;
  readonly apiServer: boolean;
}

export interface Fault {
  readonly kind: 'fault';
  readonly name: string;
  readonly title: string;
  readonly goal: Goal;
  /** With MySQL, where it is another one. */
  readonly mysqlGoal?: Goal;
  /** The only one with which it is called so. */
  readonly engine?: EngineName;
  readonly durability: 'Strict' | 'Async';
  /** Where etcd's leader runs: it decides how long etcd itself takes to answer again. Default: it doesn't matter. */
  readonly etcdLeader?: 'beside the primary' | 'elsewhere';
  /** A fault through which the same database serves on, if under another epoch. Default: another primary follows. */
  readonly keepsPrimary?: true;
  /** A second client on the primary's node that stays with the old primary whatever happens. */
  readonly rivalClient?: true;
  /** The old database must be dead before another primary is elected; in Strict it need not, as nobody acknowledges its writes any more. */
  readonly deadFirst?: true;
  /** Made once before the runs; what it resolves with takes it back. */
  readonly prepare?: (arena: Arena) => Promise<() => Promise<void>>;
  /** Resolves as soon as the fault is there; what it resolves with heals it. */
  readonly strike: (arena: Arena, primary: Primary) => Promise<Heal>;
}

export type Heal = () => void | Promise<void>;

export interface Measurement {
  readonly kind: 'measurement';
  readonly name: string;
  readonly title: string;
  readonly measure: (arena: Arena, options: { readonly minutes: number | undefined }) => Promise<Measured>;
}

export interface Measured {
  readonly passed: boolean;
  /** What people read, a line each. */
  readonly lines: readonly string[];
  readonly data: object;
}

export interface Step {
  /** Milliseconds since the last acknowledged write before the outage. */
  readonly ms: number;
  readonly instance: string;
  readonly what: string;
}

/** One strike, as it is kept in build/bench. */
export interface Run {
  readonly scenario: string;
  readonly run: number;
  readonly at: string;
  readonly node: string;
  readonly primary: string;
  readonly successor: string;
  /** The longest gap between acknowledged writes, from the strike until all was well again. */
  readonly outageMs: number;
  readonly from: string;
  readonly to: string;
  readonly epochs: number;
  readonly acked: number;
  readonly unknown: number;
  readonly lost: number;
  /** When the client that stays with the old primary got its last acknowledgement, in milliseconds since the other's last one. */
  readonly oldPrimaryMs?: number;
  /** When the old primary's database was dead, counted likewise; absent: it outlived the run. */
  readonly oldDatabaseDeadMs?: number;
  readonly steps: readonly Step[];
}

export interface FailedRun {
  readonly scenario: string;
  readonly run: number;
  readonly at: string;
  readonly failure: string;
}
