/** What the agent of a member knows, and what it can do: the group elects; the agent forms it, follows, routes and fences. */
import type { InstanceName, Voter } from '../../api/cluster-state.ts';
import type { DatabaseState, Health, Txn } from '../state.ts';
import type { ClusterView } from '../view.ts';
import type { Sight } from './sight.ts';

export interface MemberFacts {
  readonly self: Voter;
  readonly lease: string | undefined;
  /** Wall-clock time, ISO 8601. */
  readonly wall: string;
  readonly view: ClusterView | undefined;
  /** Highest number of a group that it has joined, as written on the instance's own disk. */
  readonly vow: number;
  readonly database: DatabaseState;
  readonly health: Health;
  /** Undefined: no server answers. */
  readonly sight: Sight | undefined;
  /** Of this process: by it etcd says that this one, and no later life of it, may bootstrap a group. */
  readonly right: string;
  /** Highest number for which this process has begun to bootstrap. */
  readonly spent: number;
  /**
   * Number of the group that etcd has let this process join, with no promise sent since: one that was sent before and comes late
   * finds its key rewritten, and fails.
   */
  readonly permit: number | undefined;
  /** Attempts to join the present group that failed one after the other. */
  readonly failedJoins: number;
}

export type Purpose = 'bootstrap' | 'found' | 'promise' | 'permit' | 'form' | 'lead' | 'release' | 'record' | 'answer';

export type MemberAction =
  | { readonly type: 'wait' }
  | { readonly type: 'txn'; readonly purpose: Purpose; readonly txn: Txn }
  | { readonly type: 'initialize' }
  | { readonly type: 'start' }
  | { readonly type: 'stop' }
  | { readonly type: 'kill' }
  | { readonly type: 'clone'; readonly source: InstanceName }
  /** Written to the own disk before joining. */
  | { readonly type: 'vow'; readonly number: number }
  | { readonly type: 'join'; readonly number: number; readonly seeds: readonly InstanceName[] }
  | { readonly type: 'form'; readonly number: number }
  | { readonly type: 'leave' }
  | { readonly type: 'open' }
  | { readonly type: 'shut' }
  | { readonly type: 'hand-over'; readonly to: Voter };

export interface MemberDecision {
  readonly action: MemberAction;
  /** What the instance does or waits for, for people. */
  readonly because: string;
}
