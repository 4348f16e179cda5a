import type { EventReason } from '../../api/event-reasons.ts';
import { runController } from '../../kubernetes/controller.ts';
import type { ApiObject } from '../../kubernetes/kinds.ts';
import type { RuntimeMetrics } from '../../kubernetes/metrics.ts';
import { createQueue } from '../../kubernetes/queue.ts';
import type { Surroundings } from '../../kubernetes/surroundings.ts';
import type { Observer } from '../database-cluster/observe.ts';
import { fencingReconciler } from './controller.ts';
import { createFencingSources } from './sources.ts';

export interface FencingOptions {
  readonly observer: Observer;
  /** Of the operator. */
  readonly namespace: string;
  readonly note: (regarding: ApiObject, reason: EventReason, note: string) => void;
  readonly metrics: RuntimeMetrics;
  readonly surroundings: Surroundings;
}

export interface Fencing {
  /** A node has changed. */
  look(): void;
  /** Until the signal aborts; never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

const onlyKey = 'nodes';

export function createFencing({ observer, namespace, note, metrics, surroundings }: FencingOptions): Fencing {
  const queue = createQueue({ ...surroundings, name: 'fencing', metrics });
  const look = (): void => queue.add(onlyKey);
  const { client } = observer;
  const sources = createFencingSources({ ...surroundings, client, namespace, onChange: look });
  const reconcile = fencingReconciler({
    observer: { clusters: observer, sources, namespace },
    effector: { client, namespace, log: surroundings.log },
    note,
  });
  return {
    look,
    run: async (signal) => {
      const following = sources.start(signal);
      await sources.whenSynced(signal).then(
        () => runController({ ...surroundings, name: 'fencing', queue, reconcile, workers: 1, signal, metrics }),
        () => undefined,
      );
      await following;
    },
  };
}
