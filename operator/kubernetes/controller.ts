import type { ControllerMetrics } from './metrics.ts';
import type { WorkQueue } from './queue.ts';
import type { Surroundings } from './surroundings.ts';

export interface ReconcileResult {
  /** Look at this key again after so long, even if nothing changes. */
  readonly requeueAfterMs?: number | undefined;
}

export interface ControllerOptions extends Partial<Surroundings> {
  readonly name: string;
  readonly queue: WorkQueue;
  /** Level-triggered: brings the world closer to what the key's object asks for. The signal aborts at the deadline and at the end. */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<ReconcileResult>;
  /** Keys worked on at the same time; 4 by default. */
  readonly workers?: number;
  /** For one reconcile; 60 s by default. */
  readonly deadlineMs?: number;
  /** Ends the controller. */
  readonly signal: AbortSignal;
  readonly metrics?: ControllerMetrics;
}

/** Works on the queue's keys until the signal aborts and the last reconcile has ended; never rejects. */
export function runController(_options: ControllerOptions): Promise<void> {
  throw new Error('not yet');
}
