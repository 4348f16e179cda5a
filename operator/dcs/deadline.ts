import type { Clock } from '../platform/clock.ts';
import type { Deadline } from './dcs.ts';

/** The signal that ends all parts of one call, and how long the call had when it began. */
export interface Scope {
  readonly milliseconds: number;
  readonly signal: AbortSignal;
}

/** Why a scope ended, if not by its caller's wish. */
export class DeadlinePassed extends Error {
  constructor(milliseconds: number) {
    super(`no answer within ${milliseconds} ms`);
    this.name = 'DeadlinePassed';
  }
}

export async function within<T>(clock: Clock, deadline: Deadline, act: (scope: Scope) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const cancelTimeout = clock.after(deadline.milliseconds, () =>
    controller.abort(new DeadlinePassed(deadline.milliseconds)),
  );
  const signal = deadline.signal ? AbortSignal.any([controller.signal, deadline.signal]) : controller.signal;
  try {
    return await act({ milliseconds: deadline.milliseconds, signal });
  } finally {
    cancelTimeout();
  }
}

/** The caller lost interest: nobody's fault. */
export function isUnwanted(signal: AbortSignal): boolean {
  return signal.aborted && !(signal.reason instanceof DeadlinePassed);
}
