/** What to do next about the operations of one cluster. Level-triggered; etcd's record is what makes each happen at most once. */
import { deadlineOf, type ClusterOperation } from '../../api/cluster-operation.ts';
import type { OperationRecord } from '../../api/cluster-state.ts';
import { currentRuntime } from '../database-cluster/facts.ts';
import type { OperationFacts, RunningRecord } from './facts.ts';
import { isOver, judge, orphans, progress, standingRequest, type Standing } from './judge.ts';
import type { Asked, Plan } from './procedure.ts';

export type Action =
  /** The record and the request, both or neither, and only if nobody has asked the same. */
  | {
      readonly type: 'begin-operation' | 'continue-operation';
      readonly name: string;
      readonly record: OperationRecord;
      /** Of the record it replaces; undefined if there was none. */
      readonly modRevision: number | undefined;
      readonly request: { readonly key: string; readonly value: object } | undefined;
      readonly removes?: { readonly key: string; readonly modRevision: number };
    }
  /** The outcome, and with it the request's end if it still stands. */
  | {
      readonly type: 'conclude-operation';
      readonly name: string;
      readonly record: OperationRecord;
      /** Of the record it replaces; undefined if there was none. */
      readonly modRevision: number | undefined;
      readonly withdraw: { readonly key: string; readonly modRevision: number } | undefined;
    }
  | { readonly type: 'forget-operation'; readonly name: string; readonly modRevision: number }
  | {
      readonly type: 'delete-operation';
      readonly name: string;
      readonly seen: { readonly uid: string; readonly resourceVersion: string };
    };

/** Names that can't be used again, for each cluster. Agents read them along with everything else of theirs. */
export const keptRecords = 100;

export function decide(facts: OperationFacts): readonly Action[] {
  return [...advances(facts), ...conclusionsOfOrphans(facts), ...forgotten(facts), ...expired(facts)];
}

function advances(facts: OperationFacts): readonly Action[] {
  const actions = facts.operations.flatMap((operation) => actionFor(facts, operation) ?? []);
  // One at a time: whether the next may begin is judged when the first has.
  const first = actions.find(({ type }) => type === 'begin-operation');
  return actions.filter((action) => action.type !== 'begin-operation' || action === first);
}

/** What etcd has to be told of an operation before people are. */
export function actionFor(facts: OperationFacts, operation: ClusterOperation): Action | undefined {
  if (isOver(operation)) return undefined;
  const standing = judge(facts, operation);
  if (standing.state === 'begins') return begin(facts, operation, standing.plan);
  if (standing.state === 'proceeds') {
    const { course, record } = standing;
    return {
      ...asking(operation, { ...record, message: course.message, done: course.done }, course.asks),
      type: 'continue-operation',
      modRevision: facts.cluster && currentRuntime(facts.cluster)?.operations.get(operation.metadata.name)?.modRevision,
    };
  }
  const runtime = facts.cluster && currentRuntime(facts.cluster);
  if (!runtime || standing.state !== 'over' || standing.record || operation.spec.dryRun) return undefined;
  const { name, uid } = operation.metadata;
  const kept = runtime.operations.get(name);
  // What happened under this name before stays as it is.
  if (kept && kept.record?.uid !== uid) return undefined;
  // It was begun on an etcd that has forgotten it: nothing that could be written there would be true.
  if (!kept && operation.status.startedAt !== undefined) return undefined;
  const record = kept?.record ?? newRecord(facts, operation);
  return conclude(facts, { name, record, modRevision: kept?.modRevision }, standing);
}

function begin(
  facts: OperationFacts,
  operation: ClusterOperation,
  plan: Extract<Plan, { readonly verdict: 'begin' }>,
): Action {
  const record: OperationRecord = {
    ...newRecord(facts, operation),
    message: plan.message,
    startedAt: new Date(facts.now).toISOString(),
    ...(plan.to !== undefined && { to: plan.to }),
    targets: plan.targets ?? [],
  };
  return {
    ...asking(operation, record, plan.asks),
    type: 'begin-operation',
    modRevision: undefined,
    ...(plan.removes && { removes: plan.removes }),
  };
}

function asking(operation: ClusterOperation, record: OperationRecord, asks: Asked | undefined) {
  const { name, uid } = operation.metadata;
  if (!asks) return { name, record, request: undefined };
  const { key, instance } = asks;
  // One id for each thing that it asks for: an answer tells which.
  const id = instance === undefined ? uid : `${uid}-${key.split('/').at(1) ?? ''}-${instance}`;
  const reason = operation.spec.reason ?? `ClusterOperation ${name}`;
  return {
    name,
    record: { ...record, request: { key, id, ...(instance !== undefined && { instance }) } },
    request: { key, value: { id, ...asks.request, reason, deadline: record.deadline } },
  };
}

function conclusionsOfOrphans(facts: OperationFacts): readonly Action[] {
  const { cluster, now } = facts;
  const runtime = cluster && currentRuntime(cluster);
  if (!runtime) return [];
  return orphans(facts).flatMap((orphan) => {
    const standing = progress({ now, facts: cluster, runtime }, orphan, true);
    return standing.state === 'over' ? [conclude(facts, orphan, standing)] : [];
  });
}

function conclude(
  { now, cluster }: OperationFacts,
  kept: { readonly name: string; readonly record: OperationRecord; readonly modRevision: number | undefined },
  { outcome, reason, message }: Extract<Standing, { readonly state: 'over' }>,
): Action {
  const runtime = cluster && currentRuntime(cluster);
  return {
    type: 'conclude-operation',
    name: kept.name,
    record: { ...kept.record, state: outcome, reason, message, finishedAt: new Date(now).toISOString() },
    modRevision: kept.modRevision,
    // What was carried out and still stands is meant to: a fence.
    withdraw: runtime && outcome === 'failed' ? standingRequest(runtime, kept.record) : undefined,
  };
}

function newRecord({ cluster }: OperationFacts, operation: ClusterOperation): OperationRecord {
  const runtime = cluster && currentRuntime(cluster);
  const primary = runtime?.leader?.instance;
  return {
    uid: operation.metadata.uid,
    type: operation.spec.type,
    state: 'running',
    reason: '',
    message: '',
    deadline: new Date(deadlineOf(operation)).toISOString(),
    epoch: runtime?.epoch ?? 0,
    targets: [],
    done: [],
    ...(primary !== undefined && { primary }),
  };
}

/** The oldest that have ended, beyond what is kept; those whose object is there go last. */
function forgotten({ cluster, operations }: OperationFacts): readonly Action[] {
  const runtime = cluster && currentRuntime(cluster);
  const excess = (runtime?.operations.size ?? 0) - keptRecords;
  if (!runtime || excess <= 0) return [];
  const names = new Set(operations.map(({ metadata }) => metadata.name));
  return [...runtime.operations]
    .filter((entry): entry is [string, RunningRecord] => entry[1].record !== undefined)
    .filter(([name, { record }]) => record.state !== 'running' && !names.has(name))
    .toSorted(([, a], [, b]) => ((a.record.finishedAt ?? '') < (b.record.finishedAt ?? '') ? -1 : 1))
    .slice(0, excess)
    .map(([name, { modRevision }]) => ({ type: 'forget-operation', name, modRevision }));
}

function expired({ now, operations }: OperationFacts): readonly Action[] {
  return operations.flatMap((operation): readonly Action[] => {
    const at = expiryOf(operation);
    const { uid, resourceVersion, name, deletionTimestamp } = operation.metadata;
    if (at === undefined || now < at || resourceVersion === undefined || deletionTimestamp !== undefined) return [];
    return [{ type: 'delete-operation', name, seen: { uid, resourceVersion } }];
  });
}

/** When the object of an operation that is over is to go; undefined: never. */
export function expiryOf(operation: ClusterOperation): number | undefined {
  const { spec, status } = operation;
  if (!isOver(operation) || spec.ttlSecondsAfterFinished === undefined || status.finishedAt === undefined)
    return undefined;
  return Date.parse(status.finishedAt) + spec.ttlSecondsAfterFinished * 1000;
}
