import { isConflict } from './api-error.ts';
import type { ControllerMetrics, ReconcileOutcome } from './metrics.ts';
import type { WorkQueue } from './queue.ts';
import { surroundingsFrom, type Surroundings } from './surroundings.ts';
import { timeLimit } from './time-limit.ts';

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
  readonly metrics?: ControllerMetrics | undefined;
}

const DEFAULT_WORKERS = 4;
const DEFAULT_DEADLINE_MS = 60_000;

/** Works on the queue's keys until the signal aborts and the last reconcile has ended; never rejects. */
export async function runController(options: ControllerOptions): Promise<void> {
  const { name, queue, reconcile, signal, metrics, workers = DEFAULT_WORKERS } = options;
  const { deadlineMs = DEFAULT_DEADLINE_MS } = options;
  const { clock, log } = surroundingsFrom(options);

  metrics?.workers(name, workers);
  const stop = (): void => queue.shutDown();
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  await Promise.all(Array.from({ length: workers }, work));
  signal.removeEventListener('abort', stop);

  async function work(): Promise<void> {
    for (;;) {
      const key = await queue.take();
      if (key === undefined) return;
      await reconcileOne(key);
      queue.done(key);
    }
  }

  async function reconcileOne(key: string): Promise<void> {
    const startedAt = clock.now();
    // Past the deadline we ask to end, but still wait: two reconciles of one key at a time would be worse than a late one.
    const limit = timeLimit(clock, deadlineMs, signal);
    let outcome: ReconcileOutcome = 'success';
    metrics?.started(name);
    try {
      const { requeueAfterMs } = await reconcile(key, limit.signal);
      queue.forget(key);
      if (requeueAfterMs !== undefined) {
        outcome = 'requeue_after';
        queue.addAfter(key, requeueAfterMs);
      }
    } catch (error) {
      outcome = 'error';
      queue.addWithBackoff(key);
      const level = signal.aborted || isConflict(error) ? 'debug' : 'warn';
      log[level](
        { err: error, controller: name, key, timedOut: limit.expired },
        'reconcile failed; it will be tried again',
      );
    } finally {
      limit.end();
      metrics?.ended(name, outcome, (clock.now() - startedAt) / 1000, limit.expired);
    }
  }
}
