/** Where each operation stands: what both the decision what to do next and the status that people see are made from. */
import { deadlineOf, type ClusterOperation } from '../../api/cluster-operation.ts';
import type { OperationConditionReason } from '../../api/conditions.ts';
import type { OperationRecord } from '../../api/cluster-state.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';
import { currentRuntime } from '../database-cluster/facts.ts';
import type { ClusterNow, OperationFacts, RunningRecord } from './facts.ts';
import { procedureOf, type Course, type Plan } from './procedure.ts';

export type Outcome =
  | { readonly outcome: 'complete'; readonly reason: Exclude<OperationConditionReason<'Complete'>, Unfinished> }
  | { readonly outcome: 'failed'; readonly reason: Exclude<OperationConditionReason<'Failed'>, Unfinished> };
type Unfinished = 'NotFinished' | 'NotComplete' | 'NotFailed';

export type Standing =
  | {
      readonly state: 'waiting';
      readonly reason: Exclude<OperationConditionReason<'Reconciling'>, 'Running' | 'Finished'>;
      readonly message: string;
    }
  | { readonly state: 'begins'; readonly plan: Extract<Plan, { readonly verdict: 'begin' }> }
  /** One thing is done, and the next is to be asked for. */
  | {
      readonly state: 'proceeds';
      readonly record: OperationRecord;
      readonly course: Extract<Course, { readonly verdict: 'next' }>;
    }
  | { readonly state: 'running'; readonly record: OperationRecord; readonly message: string }
  | (Outcome & {
      readonly state: 'over';
      readonly message: string;
      /** As etcd holds it; undefined if it does not, or says otherwise. */
      readonly record: OperationRecord | undefined;
    });

/** Clocks differ: the agents get the first word on whether a request has expired. */
const graceMs = 5_000;

export const isOver = ({ status }: ClusterOperation): boolean =>
  status.conditions?.some(({ type, status: is }) => (type === 'Complete' || type === 'Failed') && is === 'True') ??
  false;

/** Of an operation that isn't over by its own status. */
export function judge(facts: OperationFacts, operation: ClusterOperation): Standing {
  const { cluster } = facts;
  const wasBegun = operation.status.startedAt !== undefined;
  const { kind, name } = operation.spec.clusterRef;
  if (cluster?.cluster.kind !== kind || cluster.cluster.metadata.deletionTimestamp !== undefined) {
    const absent = `There is no ${kind} ${name} in this namespace.`;
    if (wasBegun) return failed('ClusterGone', 'The cluster was deleted meanwhile.');
    return calledOff(facts, operation, absent) ?? waiting('ClusterNotFound', absent);
  }
  const runtime = currentRuntime(cluster);
  if (!runtime) return waiting('RuntimeUnknown', 'etcd can’t be read.');
  const now: ClusterNow = { now: facts.now, facts: cluster, runtime };
  const kept = runtime.operations.get(operation.metadata.name);
  if (!kept) {
    if (wasBegun)
      return failed('RecordLost', 'It was begun, and etcd does not know of it any more: look what became of it.');
    return beforeBegin(facts, now, operation);
  }
  const { record, modRevision } = kept;
  if (record?.uid !== operation.metadata.uid) return failed('AlreadyCarriedOut', repetition(operation, record));
  if (record.state !== 'running') return ended(record);
  const called = isCalledOff(operation);
  return progress(now, { name: operation.metadata.name, record, modRevision }, called);
}

/** Records under way whose object is gone, or was over when its cluster was deleted and came back: both call it off. */
export function orphans({ cluster, operations, unreadable }: OperationFacts): readonly RunningRecord[] {
  const runtime = cluster && currentRuntime(cluster);
  if (!runtime) return [];
  const followed = operations.filter((operation) => !isOver(operation));
  const present = new Set([...followed.map(({ metadata }) => metadata.uid), ...unreadable]);
  return [...runtime.operations].flatMap(([name, { record, modRevision }]) => {
    if (record?.state !== 'running' || present.has(record.uid)) return [];
    return [{ name, record, modRevision }];
  });
}

/** Of one that was begun. */
export function progress(cluster: ClusterNow, { record }: RunningRecord, isCalled: boolean): Standing {
  const { runtime, now } = cluster;
  const procedure = procedureOf(record.type);
  if (!procedure) {
    // Of another version of the operator; it must not hold up the others for ever.
    const unknown = `Operations of type ${record.type} are not known here.`;
    return isPast(record, now) ? failed('DeadlineExceeded', unknown) : { state: 'running', record, message: unknown };
  }
  if (runtime.answer?.outcome === 'refused' && runtime.answer.id === record.request?.id)
    return failed('Refused', sentence(`${runtime.answer.instance}: ${runtime.answer.reason}`));
  const isStanding = standingRequest(runtime, record) !== undefined;
  const course = procedure.course(record, cluster, isStanding);
  switch (course.verdict) {
    case 'complete':
      return complete('Succeeded', course.message);
    case 'failed':
      return failed('Unsuccessful', course.message);
    case 'next':
      if (isCalled) return failed('Aborted', `${leftOver(record, course)} It was called off.`);
      if (now > Date.parse(record.deadline)) return failed('DeadlineExceeded', leftOver(record, course));
      return { state: 'proceeds', record, course };
    case 'running':
      break;
  }
  const isLate = isPast(record, now);
  if ((isCalled || isLate) && isStanding && procedure.mayTakeBack(record, cluster))
    return isCalled
      ? failed('Aborted', 'It was called off before anybody had taken it up.')
      : failed('DeadlineExceeded', 'Nobody has taken it up in time; it is withdrawn.');
  if (isLate && !isStanding)
    return failed('DeadlineExceeded', `${course.message} It was taken up and is not over in time.`);
  const tooLate = isCalled ? ' It is too late to call it off.' : '';
  return { state: 'running', record, message: course.message + tooLate };
}

const isPast = ({ deadline }: OperationRecord, now: number): boolean => now > Date.parse(deadline) + graceMs;

/** What is asked of the agents for this operation, if nobody has taken it up yet. */
export function standingRequest(
  runtime: ClusterRuntime,
  record: OperationRecord,
): { readonly key: string; readonly modRevision: number } | undefined {
  const key = record.request?.key ?? '';
  const request = runtime.requests.get(key);
  return request && request.id === record.request?.id ? { key, modRevision: request.modRevision } : undefined;
}

function leftOver({ targets }: OperationRecord, { done }: { readonly done: readonly string[] }): string {
  const left = targets.filter((target) => !done.includes(target));
  return `Done: ${done.length === 0 ? 'none' : done.join(', ')}. Left: ${left.join(', ')}.`;
}

function beforeBegin(facts: OperationFacts, cluster: ClusterNow, operation: ClusterOperation): Standing {
  const { spec } = operation;
  const procedure = procedureOf(spec.type);
  if (!procedure) return failed('SpecInvalid', `Operations of type ${spec.type} are not known here.`);
  const plan = procedure.plan(spec, cluster);
  const obstacle = obstacleFor(facts, cluster, operation);
  const wait = plan.verdict === 'wait' ? sentence(plan.because) : undefined;
  const off = calledOff(facts, operation, obstacle?.message ?? wait ?? 'The operator was not there.');
  if (off) return off;
  const hold = (reason: Obstacle['reason'], message: string): Standing =>
    spec.dryRun ? failed('Refused', `It could not begin now: ${message}`) : waiting(reason, message);
  // What comes first may change whether this may begin, or whether anything is left to do.
  if (obstacle) return hold(obstacle.reason, obstacle.message);
  if (plan.verdict === 'refused') return failed('Refused', sentence(plan.because));
  if (plan.verdict === 'nothing-to-do') return complete(spec.dryRun ? 'DryRunPassed' : 'Succeeded', plan.message);
  if (plan.verdict === 'wait') return hold('NotReady', sentence(plan.because));
  return spec.dryRun ? complete('DryRunPassed', `It could begin now: ${plan.message}`) : { state: 'begins', plan };
}

type Obstacle = Pick<Extract<Standing, { readonly state: 'waiting' }>, 'reason' | 'message'>;

function obstacleFor(
  facts: OperationFacts,
  { facts: cluster, runtime }: ClusterNow,
  operation: ClusterOperation,
): Obstacle | undefined {
  // A person's emergency is not what pausing is to keep away.
  if (cluster.cluster.spec.paused && (procedureOf(operation.spec.type)?.waitsForOthers ?? true))
    return { reason: 'ClusterPaused', message: 'The cluster is paused: set its spec.paused to false.' };
  const other = whatComesFirst(facts, runtime, operation);
  return other === undefined ? undefined : { reason: 'OtherOperation', message: `Waiting for the end of ${other}.` };
}

/** Under way, or older and waiting as well. */
function whatComesFirst(
  facts: OperationFacts,
  runtime: ClusterRuntime,
  operation: ClusterOperation,
): string | undefined {
  const waits = (type: string): boolean => procedureOf(type)?.waitsForOthers ?? true;
  if (!waits(operation.spec.type)) return undefined;
  const running = [...runtime.operations].find(
    ([name, { record }]) => name !== operation.metadata.name && record?.state === 'running' && waits(record.type),
  );
  if (running) return running[0];
  return facts.operations
    .filter(
      (other) =>
        !isOver(other) &&
        !isCalledOff(other) &&
        !other.spec.dryRun &&
        waits(other.spec.type) &&
        facts.now <= deadlineOf(other) &&
        // One whose name is taken will never begin.
        !runtime.operations.has(other.metadata.name),
    )
    .toSorted(byAge)
    .find((other) => byAge(other, operation) < 0)?.metadata.name;
}

function byAge({ metadata: a }: ClusterOperation, { metadata: b }: ClusterOperation): number {
  const [age, other] = [a.creationTimestamp ?? '', b.creationTimestamp ?? ''];
  if (age !== other) return age < other ? -1 : 1;
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

const isCalledOff = ({ metadata, spec }: ClusterOperation): boolean =>
  spec.abort || metadata.deletionTimestamp !== undefined;

function calledOff({ now }: OperationFacts, operation: ClusterOperation, why: string): Standing | undefined {
  if (isCalledOff(operation)) return failed('Aborted', 'It was called off before it began.');
  return now > deadlineOf(operation) ? failed('DeadlineExceeded', `It did not begin in time. ${why}`) : undefined;
}

function ended(record: OperationRecord): Standing {
  const { message } = record;
  return record.state === 'complete'
    ? { ...complete('Succeeded', message), record }
    : { ...failed(failureIn(record.reason), message), record };
}

/** Reasons that a record of ours can hold. */
function failureIn(reason: string): Extract<Outcome, { readonly outcome: 'failed' }>['reason'] {
  const known = ['Refused', 'DeadlineExceeded', 'Aborted', 'SpecInvalid'] as const;
  return known.find((one) => one === reason) ?? 'Unsuccessful';
}

function repetition({ metadata }: ClusterOperation, record: OperationRecord | undefined): string {
  const what = record
    ? `An operation ${metadata.name} was ${record.startedAt === undefined ? 'refused' : 'carried out'} on this cluster before (${record.finishedAt ?? record.startedAt ?? ''}: ${record.message})`
    : `An operation ${metadata.name} was carried out on this cluster before`;
  return `${what.replace(/\.\)$/, ')')}. To do it again, make one with another name.`;
}

const failed = (reason: Extract<Outcome, { readonly outcome: 'failed' }>['reason'], message: string) =>
  ({ state: 'over', outcome: 'failed', reason, message, record: undefined }) as const;

const complete = (reason: Extract<Outcome, { readonly outcome: 'complete' }>['reason'], message: string) =>
  ({ state: 'over', outcome: 'complete', reason, message, record: undefined }) as const;

const waiting = (reason: Obstacle['reason'], message: string): Standing => ({ state: 'waiting', reason, message });

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);
