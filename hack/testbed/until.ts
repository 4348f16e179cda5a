/** The one way in which tests and the demo wait: look again, often, until a deadline; say what was seen last. */
import { setTimeout as delay } from 'node:timers/promises';

export type Seen<T> = { readonly done: true; readonly value: T } | { readonly done: false; readonly seen: string };

export function yes<T>(value: T): Seen<T> {
  return { done: true, value };
}

export function notYet(seen: string): Seen<never> {
  return { done: false, seen };
}

export interface Waiting {
  readonly within: number;
  readonly everyMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export function seconds(count: number): number {
  return count * 1_000;
}

const defaultEveryMs = 150;

/** A probe that throws is a probe that saw an error: the API server may be busy for a moment. */
export async function until<T>(what: string, probe: () => Promise<Seen<T>>, waiting: Waiting): Promise<T> {
  const start = performance.now();
  for (;;) {
    waiting.signal?.throwIfAborted();
    const answer = await probe().catch((error: unknown): Seen<T> =>
      notYet(error instanceof Error ? error.message : String(error)),
    );
    if (answer.done) return answer.value;
    const elapsed = performance.now() - start;
    if (elapsed > waiting.within) {
      throw new Error(`${what}: not within ${(waiting.within / 1000).toFixed(0)} s; last seen: ${answer.seen}`);
    }
    // An abort only ends the pause; its reason is thrown above.
    await delay(waiting.everyMs ?? defaultEveryMs, undefined, waiting.signal && { signal: waiting.signal }).catch(
      () => undefined,
    );
  }
}
