/** One reconcile of a cluster's operations: observe → decide → apply, and what people see of each. */
import { isDeepStrictEqual } from 'node:util';
import { ClusterOperationStatusSchema } from '../../api/cluster-operation-status.ts';
import { deadlineOf, type ClusterOperation, type ClusterOperationStatus } from '../../api/cluster-operation.ts';
import type { EventReason } from '../../api/event-reasons.ts';
import { apiVersion } from '../../api/api-group.ts';
import type { ReconcileResult } from '../../kubernetes/controller.ts';
import type { ApiObject } from '../../kubernetes/kinds.ts';
import { fieldManager } from '../database-cluster/apply.ts';
import { statusPatch } from '../database-cluster/status-change.ts';
import { apply, type OperationEffector } from './apply.ts';
import { decide, expiryOf } from './decide.ts';
import type { OperationFacts } from './facts.ts';
import { isOver } from './judge.ts';
import { observeOperations, type Observed, type OperationObserver } from './observe.ts';
import { clusterOperations } from './sources.ts';
import { eventsBetween, statusFor, unreadableStatus } from './status.ts';

export interface ClusterOperationController {
  readonly observer: OperationObserver;
  readonly effector: OperationEffector;
  readonly note: (regarding: ApiObject, reason: EventReason, note: string) => void;
}

const callTimeoutMs = 10_000;
/** What an operation waits for may come without a word: a Pod that becomes ready, time that passes. */
const lookAgainMs = 2_000;

export function clusterOperationReconciler({
  observer,
  effector,
  note,
}: ClusterOperationController): (key: string, signal: AbortSignal) => Promise<ReconcileResult> {
  return async (key, signal) => {
    if (!concernsOperations(observer, key)) return {};
    const cached = await observeOperations(observer, key, 'cached', signal);
    await act(key, cached.facts, signal);
    await writeStatuses(cached, signal);
    return again(cached.facts);
  };

  async function act(key: string, cached: OperationFacts, signal: AbortSignal): Promise<void> {
    if (decide(cached).length === 0) return;
    // The local copies may be behind: what is to be done is decided anew on what is true now.
    const { facts } = await observeOperations(observer, key, 'now', signal);
    const [namespace = '', name = ''] = key.split('/');
    const uid = facts.cluster?.dataUid ?? '';
    await apply(effector, { namespace, name, uid }, decide(facts), signal);
  }

  async function writeStatuses({ facts, unreadable }: Observed, signal: AbortSignal): Promise<void> {
    for (const operation of facts.operations)
      await writeStatus(operation.metadata, operation.status, statusFor(facts, operation), signal);
    for (const { stored, problem } of unreadable) {
      const { name = '', namespace = '', uid = '', generation = 0 } = stored.metadata ?? {};
      const before = ClusterOperationStatusSchema.safeParse(stored.status ?? {}).data ?? { observedGeneration: -1 };
      if (before.observedGeneration === generation) continue;
      const after = unreadableStatus(before, problem, generation, facts.now);
      await writeStatus({ name, namespace, uid }, before, after, signal);
    }
  }

  async function writeStatus(
    { namespace, name, uid }: Pick<ClusterOperation['metadata'], 'namespace' | 'name' | 'uid'>,
    before: ClusterOperationStatus,
    after: ClusterOperationStatus,
    signal: AbortSignal,
  ): Promise<void> {
    if (isDeepStrictEqual(before, after)) return;
    await observer.clusters.client.patch(
      clusterOperations,
      { namespace, name },
      // With the uid: never into another operation of the same name.
      { metadata: { uid }, status: statusPatch(before, after) },
      { fieldManager, subresource: 'status' },
      { signal, timeoutMs: callTimeoutMs },
    );
    const regarding = { apiVersion, kind: 'ClusterOperation', metadata: { namespace, name, uid } };
    for (const event of eventsBetween(before, after)) note(regarding, event.reason, event.note);
  }
}

/** Most clusters have none most of the time, and looking at one in full has its price. */
function concernsOperations({ clusters, operations }: OperationObserver, key: string): boolean {
  if (operations.withIndex(key).length > 0) return true;
  const stored = clusters.sources.clusters.get(key);
  if (!stored) return false;
  const [namespace = '', name = ''] = key.split('/');
  const uid = (stored.status as { readonly dataUid?: string } | undefined)?.dataUid ?? stored.metadata?.uid ?? '';
  const runtime = clusters.view.of({ namespace, name, uid });
  return [...(runtime?.operations.values() ?? [])].some(({ record }) => record?.state === 'running');
}

function again({ now, operations, cluster }: OperationFacts): ReconcileResult {
  const open = operations.filter((operation) => !isOver(operation));
  // One that waits for a cluster hears of it by the cluster's own events.
  const waits = open.map((operation) => (cluster ? lookAgainMs : Math.max(deadlineOf(operation) - now, 0) + 100));
  const expiries = operations
    .flatMap((operation) => expiryOf(operation) ?? [])
    .map((at) => Math.max(at - now, 0) + 100);
  const moments = [...waits, ...expiries];
  return moments.length === 0 ? {} : { requeueAfterMs: Math.min(...moments, longestMs) };
}

/** Timers take no more than 24 days. */
const longestMs = 86_400_000;
