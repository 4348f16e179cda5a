import type { MainstayError } from '../platform/errors.ts';

export type LeaseId = string;

/** The id that etcd shows on a key without a lease. */
export const noLease: LeaseId = '0';

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly lease: LeaseId;
}

/** Everything under a prefix at one revision; keys are whole, not relative to the prefix. */
export interface Snapshot {
  readonly revision: number;
  /** Identity of the etcd cluster; a restore from a snapshot makes a new one. */
  readonly clusterId: string;
  readonly entries: ReadonlyMap<string, KeyValue>;
}

export type Compare =
  | { readonly key: string; readonly is: 'absent' }
  | { readonly key: string; readonly is: 'present' }
  | { readonly key: string; readonly is: 'value'; readonly value: string }
  | { readonly key: string; readonly is: 'modRevision'; readonly modRevision: number };

export type Write =
  { readonly put: string; readonly value: string; readonly lease?: LeaseId } | { readonly delete: string };

/** What became of a transaction. `unknown`: it may have been applied, may be applied later, or never. */
export type TxnResult =
  | { readonly outcome: 'applied'; readonly revision: number }
  | { readonly outcome: 'refused'; readonly revision: number }
  | { readonly outcome: 'unknown'; readonly cause: MainstayError };

export type WatchEvent =
  | { readonly type: 'put'; readonly entry: KeyValue }
  | { readonly type: 'delete'; readonly key: string; readonly modRevision: number };

/** Milliseconds within which a call must settle, and a signal that may end it earlier. */
export interface Deadline {
  readonly milliseconds: number;
  readonly signal?: AbortSignal;
}

/** etcd, as far as the protocol needs it. No call retries a write; what can't be known is said to be unknown. */
export interface Dcs {
  /** Linearizable read of all keys under `prefix`. */
  read(prefix: string, deadline: Deadline): Promise<Snapshot>;
  /** Applies `writes` if every comparison holds. Throws only if etcd certainly did not apply it. */
  txn(compare: readonly Compare[], writes: readonly Write[], deadline: Deadline): Promise<TxnResult>;
  /**
   * Changes under `prefix` from `fromRevision` on (0: from now); the first item, without events, says that the watch
   * stands. Everything up to an item's `revision` has been told: a later watch may begin at the one after it.
   * Throws DcsUnreachable when the stream is lost, DcsCompacted when the history is gone: read again, then watch from
   * there. Ends without an error when `signal` aborts.
   */
  watch(
    prefix: string,
    fromRevision: number,
    signal: AbortSignal,
  ): AsyncIterable<{ readonly revision: number; readonly events: readonly WatchEvent[] }>;
  grantLease(ttlSeconds: number, deadline: Deadline): Promise<LeaseId>;
  /** Renews once; the seconds left, 0 when the lease is gone. */
  keepAliveOnce(lease: LeaseId, deadline: Deadline): Promise<number>;
  /** Ends a lease and deletes its keys; no error if it is gone already. */
  revokeLease(lease: LeaseId, deadline: Deadline): Promise<void>;
  close(): Promise<void>;
}
