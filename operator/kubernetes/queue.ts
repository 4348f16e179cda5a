import type { QueueMetrics } from './metrics.ts';
import { surroundingsFrom, type Surroundings } from './surroundings.ts';

export interface WorkQueueOptions extends Partial<Surroundings> {
  readonly name: string;
  readonly metrics?: QueueMetrics | undefined;
}

/** Keys to work on: each is handed to one worker at a time, and added again while worked on it comes once more afterwards. */
export interface WorkQueue {
  readonly name: string;
  /** Keys that wait for a worker. */
  readonly depth: number;
  add(key: string): void;
  /** Adds after a delay; of several pending delays of a key, the earliest counts. */
  addAfter(key: string, milliseconds: number): void;
  /** Adds after the key's own back-off: 5 ms, doubled for each call up to 60 s, until `forget`; later, if many keys come back at once. */
  addWithBackoff(key: string): void;
  forget(key: string): void;
  /** The next key, when there is one; undefined when the queue is shut down. Must be answered by `done`. */
  take(): Promise<string | undefined>;
  done(key: string): void;
  /** Hands out no more keys; pending ones are dropped. */
  shutDown(): void;
}

const FIRST_BACKOFF_MS = 5;
const LONGEST_BACKOFF_MS = 60_000;
/** Up to a quarter less, so that keys that failed together don't come back together. */
const JITTER = 0.25;
/** Of all keys together: what fails for a thousand keys at once must not be asked a thousand times at once again. */
const RETRIES = { atOnce: 100, perSecond: 50 };

export function createQueue({ name, metrics, ...given }: WorkQueueOptions): WorkQueue {
  const { clock, random } = surroundingsFrom(given);
  /** Waiting keys in their order, with the time since when. */
  const ready = new Map<string, number>();
  /** Keys at work, with the time since when. */
  const working = new Map<string, number>();
  /** Keys at work that were added meanwhile. */
  const again = new Set<string>();
  const delayed = new Map<string, { readonly dueAt: number; readonly cancel: () => void }>();
  const failures = new Map<string, number>();
  const takers: ((key: string | undefined) => void)[] = [];
  let open = true;
  /** When the allowance for retries is whole again. */
  let allowanceWholeAt = -Infinity;

  return {
    name,
    get depth() {
      return ready.size;
    },
    add,
    addAfter,
    addWithBackoff(key) {
      const failed = failures.get(key) ?? 0;
      failures.set(key, failed + 1);
      metrics?.retried(name);
      const ownMs = Math.min(FIRST_BACKOFF_MS * 2 ** failed, LONGEST_BACKOFF_MS) * (1 - JITTER * random());
      addAfter(key, Math.max(ownMs, sharedWaitMs()));
    },
    forget: (key) => void failures.delete(key),
    take() {
      if (!open) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        takers.push(resolve);
        handOut();
      });
    },
    done(key) {
      const since = working.get(key);
      if (since === undefined) return;
      working.delete(key);
      metrics?.finished(name, (clock.now() - since) / 1000);
      if (again.delete(key)) add(key);
    },
    shutDown() {
      open = false;
      for (const { cancel } of delayed.values()) cancel();
      delayed.clear();
      ready.clear();
      again.clear();
      for (const taker of takers.splice(0)) taker(undefined);
    },
  };

  function sharedWaitMs(): number {
    const eachMs = 1000 / RETRIES.perSecond;
    allowanceWholeAt = Math.max(allowanceWholeAt, clock.now()) + eachMs;
    return Math.max(allowanceWholeAt - clock.now() - RETRIES.atOnce * eachMs, 0);
  }

  function add(key: string): void {
    if (!open || ready.has(key)) return;
    if (working.has(key)) {
      again.add(key);
      return;
    }
    ready.set(key, clock.now());
    metrics?.added(name, ready.size);
    handOut();
  }

  function addAfter(key: string, milliseconds: number): void {
    if (!open) return;
    if (milliseconds <= 0) {
      add(key);
      return;
    }
    const dueAt = clock.now() + milliseconds;
    const pending = delayed.get(key);
    if (pending !== undefined && pending.dueAt <= dueAt) return;
    pending?.cancel();
    const cancel = clock.after(milliseconds, () => {
      delayed.delete(key);
      add(key);
    });
    delayed.set(key, { dueAt, cancel });
  }

  function handOut(): void {
    for (const [key, since] of ready) {
      const taker = takers.shift();
      if (taker === undefined) return;
      ready.delete(key);
      working.set(key, clock.now());
      metrics?.taken(name, ready.size, (clock.now() - since) / 1000);
      taker(key);
    }
  }
}
