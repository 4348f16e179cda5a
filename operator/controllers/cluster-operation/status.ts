/** What people see of an operation: computed from the facts; once it is over, it stays as it was. */
import { deadlineOf, type ClusterOperation, type ClusterOperationStatus } from '../../api/cluster-operation.ts';
import type { OperationConditionReason, OperationConditionType } from '../../api/conditions.ts';
import type { Condition } from '../../api/cluster-status.ts';
import type { EventReason } from '../../api/event-reasons.ts';
import { actionFor } from './decide.ts';
import type { OperationFacts } from './facts.ts';
import { isOver, judge, type Outcome, type Standing } from './judge.ts';

export function statusFor(facts: OperationFacts, operation: ClusterOperation): ClusterOperationStatus {
  const { metadata, status } = operation;
  // What comes after the end changes nothing but the generation.
  if (isOver(operation)) return { ...status, observedGeneration: metadata.generation };
  // Until etcd knows, there is nothing to tell.
  if (actionFor(facts, operation)) return status;
  const standing = judge(facts, operation);
  const record = 'record' in standing ? standing.record : undefined;
  const uid = facts.cluster?.cluster.metadata.uid;
  const startedAt = record?.startedAt ?? status.startedAt;
  const finishedAt = record?.finishedAt ?? new Date(facts.now).toISOString();
  const message = messageOf(standing);
  return {
    observedGeneration: metadata.generation,
    summary: summaryOf(standing),
    message: message.slice(0, 1024),
    deadline: seconds(new Date(deadlineOf(operation)).toISOString()),
    ...(startedAt !== undefined && { startedAt: seconds(startedAt) }),
    ...(startedAt !== undefined && uid !== undefined && { clusterUid: status.clusterUid ?? uid }),
    ...(standing.state === 'over' && { finishedAt: seconds(finishedAt) }),
    conditions: conditionsOf(standing, message).map((it) => stamped(it, status, metadata.generation, facts.now)),
  };
}

/** Of an operation whose spec this operator can't read. */
export function unreadableStatus(
  before: ClusterOperationStatus,
  problem: string,
  generation: number,
  now: number,
): ClusterOperationStatus {
  const standing = { state: 'over', outcome: 'failed', reason: 'SpecInvalid', record: undefined } as const;
  return {
    ...before,
    observedGeneration: generation,
    summary: 'Failed',
    message: problem.slice(0, 1024),
    finishedAt: seconds(new Date(now).toISOString()),
    conditions: conditionsOf({ ...standing, message: problem }, problem).map((it) =>
      stamped(it, before, generation, now),
    ),
  };
}

export interface OperationEvent {
  readonly reason: EventReason;
  readonly note: string;
}

export function eventsBetween(
  before: ClusterOperationStatus,
  after: ClusterOperationStatus,
): readonly OperationEvent[] {
  const is = (status: ClusterOperationStatus, type: OperationConditionType): boolean =>
    status.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false;
  const note = after.message ?? '';
  return [
    ...(after.startedAt !== undefined && before.startedAt === undefined
      ? [{ reason: 'OperationStarted' as const, note }]
      : []),
    ...(is(after, 'Complete') && !is(before, 'Complete') ? [{ reason: 'OperationComplete' as const, note }] : []),
    ...(is(after, 'Failed') && !is(before, 'Failed') ? [{ reason: 'OperationFailed' as const, note }] : []),
  ];
}

function messageOf(standing: Standing): string {
  switch (standing.state) {
    case 'begins':
      return standing.plan.message;
    case 'proceeds':
      return standing.course.message;
    case 'waiting':
    case 'running':
    case 'over':
      return standing.message;
  }
}

function summaryOf(standing: Standing): string {
  switch (standing.state) {
    case 'waiting':
    case 'begins':
      return 'Waiting';
    case 'running':
    case 'proceeds': {
      const { done, targets } = standing.record;
      return targets.length > 1 ? `Running ${done.length}/${targets.length}` : 'Running';
    }
    case 'over':
      if (standing.outcome === 'complete') return standing.reason === 'DryRunPassed' ? 'Dry run passed' : 'Complete';
      return standing.reason === 'Refused' || standing.reason === 'Aborted' ? standing.reason : 'Failed';
  }
}

type Judgement = {
  readonly [Type in OperationConditionType]: {
    readonly type: Type;
    readonly status: Condition['status'];
    readonly reason: OperationConditionReason<Type>;
    readonly message: string;
  };
}[OperationConditionType];

function conditionsOf(standing: Standing, message: string): readonly Judgement[] {
  if (standing.state !== 'over') {
    const reason = standing.state === 'waiting' ? standing.reason : 'Running';
    return [
      { type: 'Complete', status: 'False', reason: 'NotFinished', message },
      { type: 'Failed', status: 'False', reason: 'NotFinished', message },
      { type: 'Reconciling', status: 'True', reason, message },
      { type: 'Stalled', status: 'False', reason: 'Progressing', message },
    ];
  }
  return [...outcomeOf(standing, message), { type: 'Reconciling', status: 'False', reason: 'Finished', message }];
}

function outcomeOf(outcome: Outcome, message: string): readonly Judgement[] {
  return outcome.outcome === 'complete'
    ? [
        { type: 'Complete', status: 'True', reason: outcome.reason, message },
        { type: 'Failed', status: 'False', reason: 'NotFailed', message },
        { type: 'Stalled', status: 'False', reason: 'Progressing', message },
      ]
    : [
        { type: 'Complete', status: 'False', reason: 'NotComplete', message },
        { type: 'Failed', status: 'True', reason: outcome.reason, message },
        { type: 'Stalled', status: 'True', reason: 'OperationFailed', message },
      ];
}

function stamped(judgement: Judgement, before: ClusterOperationStatus, generation: number, now: number): Condition {
  const former = before.conditions?.find(({ type }) => type === judgement.type);
  return {
    type: judgement.type,
    status: judgement.status,
    observedGeneration: generation,
    lastTransitionTime:
      former?.status === judgement.status ? former.lastTransitionTime : seconds(new Date(now).toISOString()),
    reason: judgement.reason,
    message: judgement.message.slice(0, 2048),
  };
}

/** Times of Kubernetes have no fractions. */
const seconds = (time: string): string => time.replace(/\.\d+Z$/, 'Z');
