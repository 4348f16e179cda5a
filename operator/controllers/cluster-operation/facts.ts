/** What a look at the operations of one cluster knows. */
import type { ClusterOperation } from '../../api/cluster-operation.ts';
import type { OperationRecord } from '../../api/cluster-state.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';
import type { Facts } from '../database-cluster/facts.ts';

export interface OperationFacts {
  /** Wall-clock time in milliseconds. */
  readonly now: number;
  /** Undefined: there is no such cluster. */
  readonly cluster: Facts | undefined;
  /** All that name the cluster, finished ones included. */
  readonly operations: readonly ClusterOperation[];
  /** UIDs of more whose spec can't be read: they are there. */
  readonly unreadable: readonly string[];
}

/** What a procedure sees: a cluster that is there, and what etcd says of it now. */
export interface ClusterNow {
  readonly now: number;
  readonly facts: Facts;
  readonly runtime: ClusterRuntime;
}

export interface RunningRecord {
  readonly name: string;
  readonly record: OperationRecord;
  readonly modRevision: number;
}
