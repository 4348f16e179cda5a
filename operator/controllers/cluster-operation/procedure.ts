/** What one type of operation is made of. Each is a request to the agents, so that who carries it out is who can. */
import type { ClusterOperationSpec, OperationType } from '../../api/cluster-operation.ts';
import type { InstanceName, OperationRecord } from '../../api/cluster-state.ts';
import { adopt } from './adopt.ts';
import { failover } from './failover.ts';
import type { ClusterNow } from './facts.ts';
import { fence, unfence } from './fence.ts';
import { reinitialize } from './reinitialize.ts';
import { restart } from './restart.ts';
import { switchover } from './switchover.ts';
import { upgrade } from './upgrade.ts';

/** Whether an operation may begin. */
export type Plan =
  | { readonly verdict: 'refused'; readonly because: string }
  /** Not now, but perhaps before the deadline. */
  | { readonly verdict: 'wait'; readonly because: string }
  /** Things are as they are asked to be. */
  | { readonly verdict: 'nothing-to-do'; readonly message: string }
  | {
      readonly verdict: 'begin';
      /** What will happen. */
      readonly message: string;
      /** Of the record: the instance that shall lead, if one was asked for. */
      readonly to?: InstanceName;
      /** Of the record: instances to work on. */
      readonly targets?: readonly InstanceName[];
      /** The first thing asked of the agents, in the transaction that makes the record. */
      readonly asks: Asked | undefined;
      /** What ends with that, if nobody has changed it. */
      readonly removes?: { readonly key: string; readonly modRevision: number };
    };

export interface Asked {
  /** Under the cluster's prefix; nothing may be asked there already. */
  readonly key: string;
  /** With `id`, `reason` and `deadline` added. */
  readonly request: object;
  /** Whom it is about. */
  readonly instance?: InstanceName;
}

/** How far one under way has come. */
export type Course =
  | { readonly verdict: 'running'; readonly message: string }
  /** The next thing to ask of the agents. */
  | { readonly verdict: 'next'; readonly message: string; readonly done: readonly InstanceName[]; readonly asks: Asked }
  | { readonly verdict: 'complete'; readonly message: string }
  | { readonly verdict: 'failed'; readonly message: string };

export interface Procedure {
  /** Waits while another operation of the cluster is under way. An emergency doesn't. */
  readonly waitsForOthers: boolean;
  readonly plan: (spec: ClusterOperationSpec, cluster: ClusterNow) => Plan;
  /** Asked as long as no agent has refused. `standing`: nobody has taken the last request up yet. */
  readonly course: (record: OperationRecord, cluster: ClusterNow, standing: boolean) => Course;
  /** Whether a request that still stands can be withdrawn without harm. */
  readonly mayTakeBack: (record: OperationRecord, cluster: ClusterNow) => boolean;
}

const procedures: Readonly<Record<OperationType, Procedure>> = {
  Switchover: switchover,
  Failover: failover,
  Adopt: adopt,
  Restart: restart,
  Reinitialize: reinitialize,
  Fence: fence,
  Unfence: unfence,
  Upgrade: upgrade,
};

/** Undefined for a type that only another version of the operator knows. */
export const procedureOf = (type: string): Procedure | undefined =>
  Object.hasOwn(procedures, type) ? procedures[type as OperationType] : undefined;
