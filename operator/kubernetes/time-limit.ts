import type { Clock } from '../platform/clock.ts';

/** A signal that aborts with its parent or when its time is up, whichever comes first. */
export interface TimeLimit {
  readonly signal: AbortSignal;
  readonly expired: boolean;
  /** Aborts at once. */
  cut(reason: Error): void;
  /** Time no longer counts, the parent still does. */
  lift(): void;
  /** Lets go of timer and parent. (AbortSignal.any would keep dependants of a long-lived parent for as long as it lives.) */
  end(): void;
}

export function timeLimit(clock: Clock, milliseconds: number, parent?: AbortSignal): TimeLimit {
  const controller = new AbortController();
  let expired = false;
  const lift = clock.after(milliseconds, () => {
    expired = true;
    controller.abort(new DOMException(`Not done within ${String(milliseconds)} ms`, 'TimeoutError'));
  });
  const follow = (): void => controller.abort(parent?.reason);
  if (parent?.aborted === true) follow();
  else parent?.addEventListener('abort', follow, { once: true });
  return {
    signal: controller.signal,
    get expired() {
      return expired;
    },
    cut: (reason) => controller.abort(reason),
    lift,
    end() {
      lift();
      parent?.removeEventListener('abort', follow);
    },
  };
}
