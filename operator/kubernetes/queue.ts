import type { QueueMetrics } from './metrics.ts';
import type { Surroundings } from './surroundings.ts';

export interface WorkQueueOptions extends Partial<Surroundings> {
  readonly name: string;
  readonly metrics?: QueueMetrics;
}

/** Keys to work on: each is handed to one worker at a time, and added again while worked on it comes once more afterwards. */
export interface WorkQueue {
  readonly name: string;
  /** Keys that wait for a worker. */
  readonly depth: number;
  add(key: string): void;
  /** Adds after a delay; of several pending delays of a key, the earliest counts. */
  addAfter(key: string, milliseconds: number): void;
  /** Adds after the key's own back-off: 5 ms, doubled for each call up to 60 s, until `forget`. */
  addWithBackoff(key: string): void;
  forget(key: string): void;
  /** The next key, when there is one; undefined when the queue is shut down. Must be answered by `done`. */
  take(): Promise<string | undefined>;
  done(key: string): void;
  /** Hands out no more keys; pending ones are dropped. */
  shutDown(): void;
}

export function createQueue(_options: WorkQueueOptions): WorkQueue {
  throw new Error('not yet');
}
