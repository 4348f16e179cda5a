/** One reconcile: observe → status → decide → apply. */
import { apiVersion } from '../../api/api-group.ts';
import type { ClusterKind, ClusterStatus } from '../../api/database-cluster.ts';
import type { ReconcileResult } from '../../kubernetes/controller.ts';
import type { ApiObject } from '../../kubernetes/kinds.ts';
import { MainstayError } from '../../platform/errors.ts';
import type { EventReason } from '../../api/event-reasons.ts';
import { isConflict } from '../../kubernetes/api-error.ts';
import { apply, fieldManager, type Effector } from './apply.ts';
import { eventsBetween, type ClusterEvent } from './cluster-events.ts';
import type { OperatorMetrics } from '../metrics.ts';
import { decide } from './decide.ts';
import type { Facts } from './facts.ts';
import { observe, type Observer } from './observe.ts';
import { recheckInMs } from './recheck.ts';
import { clusterResource, type StoredCluster } from './cluster-sources.ts';
import { statusFor } from './status.ts';
import { positionsEveryMs, statusChange, statusPatch } from './status-change.ts';
import { outageNotices } from './outage-notices.ts';
import { invalidSpecStatus } from './invalid-spec.ts';

export interface DatabaseClusterController {
  readonly observer: Observer;
  readonly effector: Effector;
  readonly metrics: Pick<OperatorMetrics, 'conditions' | 'certificates'>;
  readonly note: (regarding: ApiObject, reason: EventReason, note: string) => void;
}

const callTimeoutMs = 10_000;

export function databaseClusterReconciler({
  observer,
  effector,
  metrics,
  note,
}: DatabaseClusterController): (key: string, signal: AbortSignal) => Promise<ReconcileResult> {
  /** When a cluster's status was last written, to hold back positions. */
  const writtenAt = new Map<string, number>();
  const outages = outageNotices();

  return async (key, signal) => {
    const facts = await observeOrReport(key, signal);
    if (!facts) {
      if (!observer.sources.clusters.get(key)) {
        writtenAt.delete(key);
        outages.forget(key);
        observer.streaks.forget(key);
        metrics.conditions(key, undefined);
        metrics.certificates(key, undefined);
      }
      return {};
    }
    const regarding = reference(facts);
    // A status that can't be written must not keep the cluster from being looked after.
    const written = await settled(writeStatus(key, facts, signal));
    await act(key, facts, regarding, signal);
    if (written.status === 'rejected') throw written.reason;
    const waits = [written.value, recheckInMs(facts), tellOfOutage(key, facts)].filter(
      (milliseconds) => milliseconds !== undefined,
    );
    return waits.length === 0 ? {} : { requeueAfterMs: Math.max(Math.min(...waits), 100) };
  };

  async function observeOrReport(key: string, signal: AbortSignal): Promise<Facts | undefined> {
    try {
      return await observe(observer, key, 'cached', signal);
    } catch (error) {
      const stored = observer.sources.clusters.get(key);
      if (!(error instanceof MainstayError) || error.code !== 'ResourceInvalid' || !stored) throw error;
      await reportInvalid(stored, error.message, signal);
      return undefined;
    }
  }

  async function act(key: string, facts: Facts, regarding: ApiObject, signal: AbortSignal): Promise<void> {
    if (decide(facts).length === 0) return;
    // The local copies may be behind, or outlive what they copy: what is to be done is decided anew on what is true now.
    const now = await observe(observer, key, 'now', signal);
    if (now?.cluster.metadata.uid !== facts.cluster.metadata.uid) return;
    const actions = decide(now);
    try {
      await apply(effector, now, actions, (reason, text) => note(regarding, reason, text), signal);
    } catch (error) {
      const isWorthTelling = !isConflict(error) && !(error instanceof MainstayError && error.retryable);
      if (isWorthTelling && error instanceof Error) note(regarding, 'ReconcileFailed', error.message);
      throw error;
    }
  }

  /** Milliseconds for which news of positions are held back; undefined if there are none. */
  async function writeStatus(key: string, facts: Facts, signal: AbortSignal): Promise<number | undefined> {
    const before = facts.cluster.status;
    const after = statusFor(facts);
    const now = observer.clock.now();
    metrics.conditions(key, after.conditions);
    metrics.certificates(key, facts.certificates.lifetimes);
    const change = statusChange(before, after);
    if (change === 'none') return undefined;
    const sinceMs = now - (writtenAt.get(key) ?? -Infinity);
    if (change === 'positions-only' && sinceMs < positionsEveryMs) return positionsEveryMs - sinceMs;
    await patchStatus(reference(facts), before, after, signal);
    writtenAt.set(key, now);
    const news = [...adoption(facts), ...eventsBetween(before, after, facts.cluster.spec.instances)];
    for (const event of news) note(reference(facts), event.reason, event.note);
    return undefined;
  }

  async function reportInvalid(stored: StoredCluster, message: string, signal: AbortSignal): Promise<void> {
    const { before, after } = invalidSpecStatus(stored, message, observer.clock.wall());
    metrics.conditions(`${stored.metadata?.namespace ?? ''}/${stored.metadata?.name ?? ''}`, after.conditions);
    if (statusChange(before, after) === 'none') return;
    const { namespace, name, uid } = stored.metadata ?? {};
    const regarding = { apiVersion, kind: stored.kind, metadata: { namespace, name, uid } };
    await patchStatus(regarding, before, after, signal);
    note(regarding, 'SpecInvalid', message);
  }

  async function patchStatus(
    regarding: ApiObject & { readonly kind: ClusterKind },
    before: ClusterStatus,
    after: ClusterStatus,
    signal: AbortSignal,
  ): Promise<void> {
    const { namespace, name = '', uid } = regarding.metadata ?? {};
    await observer.client.patch(
      clusterResource(regarding.kind),
      { namespace, name },
      // With the uid: never into another cluster of the same name.
      { metadata: { uid }, status: statusPatch(before, after) },
      { fieldManager, subresource: 'status' },
      { signal, timeoutMs: callTimeoutMs },
    );
  }

  /** Milliseconds after which a missing primary is worth telling of; undefined if none is missing, or all is told. */
  function tellOfOutage(key: string, facts: Facts): number | undefined {
    const { notices, lookAgainInMs } = outages.judge(key, statusFor(facts), facts.now);
    for (const event of notices) note(reference(facts), event.reason, event.note);
    return lookAgainInMs;
  }
}

async function settled<T>(work: Promise<T>): Promise<PromiseSettledResult<T>> {
  const [result] = await Promise.allSettled([work]);
  return result;
}

function reference({ cluster }: Facts): ApiObject & { readonly kind: ClusterKind } {
  const { namespace, name, uid } = cluster.metadata;
  return { apiVersion, kind: cluster.kind, metadata: { namespace, name, uid } };
}

/** A cluster seen for the first time, with volumes of an earlier life. */
function adoption({ cluster, dataUid, volumes }: Facts): readonly ClusterEvent[] {
  if (cluster.status.observedGeneration >= 0 || dataUid === cluster.metadata.uid) return [];
  const names = volumes.filter((volume) => volume.dataUid === dataUid).map((volume) => volume.instance);
  return [
    { reason: 'VolumeAdopted', note: `Volumes ${names.sort().join(', ')} hold data of an earlier life (${dataUid}).` },
  ];
}
