/** A client of the in-memory etcd, with a network in between that can fail like a real one. */
import type { Clock } from '../platform/clock.ts';
import { MainstayError } from '../platform/errors.ts';
import type { Dcs, WatchEvent } from './dcs.ts';
import { within, type Scope } from './deadline.ts';
import { createMailbox } from './mailbox.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';

/** The way between one client and etcd. */
export const linkStates = [
  'up',
  'refused', // nobody listens: every call fails at once, certainly without effect
  'silent', // requests vanish
  'answers-lost', // requests take effect, their answers vanish
  'late', // requests take effect after the caller gave up
] as const;
export type LinkState = (typeof linkStates)[number];

export interface Link {
  state(): LinkState;
  set(state: LinkState): void;
  /** Calls back on every change until the returned function is called. */
  whenChanged(onChange: () => void): () => void;
}

export interface MemoryOptions {
  readonly clock: Clock;
  /** Shared by the clients of one etcd; a new one if absent. */
  readonly store?: MemoryStore;
  readonly link?: Link;
  /** Round trip of the next call; 0 if absent. */
  readonly latencyMilliseconds?: () => number;
}

/** As long as the watchdog of the real client needs to give up a silent watch. */
const silenceMilliseconds = 7_000;
/** How long after its deadline a `late` request arrives. */
const lateMilliseconds = 1_000;

export function memoryDcs(options: MemoryOptions): Dcs {
  const { clock } = options;
  const store = options.store ?? createMemoryStore({ clock });
  const link = options.link ?? createLink();
  const latency = options.latencyMilliseconds ?? ((): number => 0);
  const closing = new AbortController();

  async function deliver<T>(scope: Scope, act: () => T): Promise<T> {
    const roundTrip = latency();
    await pause(roundTrip / 2, scope);
    const state = store.hasQuorum() || link.state() === 'refused' ? link.state() : 'silent';
    switch (state) {
      case 'refused':
        throw new NotSent();
      case 'silent':
        return never(scope);
      case 'answers-lost':
        act();
        return never(scope);
      case 'late':
        clock.after(scope.milliseconds + lateMilliseconds, () => {
          try {
            act();
          } catch {
            // Refused, and nobody is there to hear it.
          }
        });
        return never(scope);
      case 'up': {
        const answer = act();
        await pause(roundTrip / 2, scope);
        return answer;
      }
    }
  }

  async function pause(milliseconds: number, scope: Scope): Promise<void> {
    if (milliseconds > 0) await clock.sleep(milliseconds, scope.signal);
    // Never answers within the caller's own turn, as no network does.
    else await Promise.resolve();
    scope.signal.throwIfAborted();
  }

  function call<T>(deadline: { milliseconds: number; signal?: AbortSignal }, act: () => T): Promise<T> {
    const signal = deadline.signal ? AbortSignal.any([closing.signal, deadline.signal]) : closing.signal;
    return within(clock, { milliseconds: deadline.milliseconds, signal }, (scope) => deliver(scope, act));
  }

  async function orUnreachable<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw asMainstayError(error);
    }
  }

  return {
    read: (prefix, deadline) =>
      orUnreachable(
        call(deadline, () => ({
          revision: store.revision(),
          clusterId: store.clusterId,
          entries: store.range(prefix),
        })),
      ),
    txn: async (compare, writes, deadline) => {
      try {
        const { succeeded, revision } = await call(deadline, () => store.txn(compare, writes));
        return { outcome: succeeded ? 'applied' : 'refused', revision };
      } catch (error) {
        const cause = asMainstayError(error);
        if (cause.code === 'DcsRejected' || error instanceof NotSent) throw cause;
        return { outcome: 'unknown', cause };
      }
    },
    grantLease: (ttlSeconds, deadline) => orUnreachable(call(deadline, () => store.grantLease(ttlSeconds))),
    keepAliveOnce: (lease, deadline) => orUnreachable(call(deadline, () => store.renewLease(lease))),
    revokeLease: (lease, deadline) =>
      orUnreachable(
        call(deadline, () => {
          store.revokeLease(lease);
        }),
      ),
    watch: (prefix, fromRevision, signal) =>
      watchMemory(store, link, clock, { prefix, fromRevision, signal, closing: closing.signal }),
    close: () => {
      closing.abort(new Error('client closed'));
      return Promise.resolve();
    },
  };
}

export function createLink(): Link {
  const listeners = new Set<() => void>();
  let current: LinkState = 'up';
  return {
    state: () => current,
    set: (state) => {
      current = state;
      for (const onChange of [...listeners]) onChange();
    },
    whenChanged: (onChange) => {
      listeners.add(onChange);
      return () => listeners.delete(onChange);
    },
  };
}

interface WatchItem {
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}

interface Watching {
  readonly prefix: string;
  readonly fromRevision: number;
  readonly signal: AbortSignal;
  readonly closing: AbortSignal;
}

async function* watchMemory(
  store: MemoryStore,
  link: Link,
  clock: Clock,
  { prefix, fromRevision, signal, closing }: Watching,
): AsyncGenerator<WatchItem, void> {
  if (isAborted(signal)) return;
  if (link.state() === 'refused' || closing.aborted) throw asMainstayError(new NotSent());
  const mailbox = createMailbox<WatchItem>();
  const close = (why: string): void => mailbox.close(asMainstayError(new Error(why)));
  const onAbort = (): void => close('aborted');
  signal.addEventListener('abort', onAbort, { once: true });
  closing.addEventListener('abort', onAbort, { once: true });

  // What happens while the link is disturbed arrives when it heals, unless the watch was given up before.
  let onTheWay: WatchItem[] = [];
  const send = (item: WatchItem): void => {
    if (link.state() === 'up') mailbox.push(item);
    else onTheWay.push(item);
  };
  let cancelSilence = (): void => undefined;
  const onChange = (): void => {
    cancelSilence();
    if (link.state() === 'refused') close('connection reset');
    else if (link.state() !== 'up') {
      cancelSilence = clock.after(silenceMilliseconds, () => close('the watch fell silent'));
    } else {
      for (const item of onTheWay) mailbox.push(item);
      onTheWay = [];
    }
  };
  const forgetLink = link.whenChanged(onChange);
  onChange();

  let unwatch = (): void => undefined;
  try {
    send({ revision: fromRevision > 0 ? fromRevision - 1 : store.revision(), events: [] });
    unwatch = store.watch(prefix, fromRevision, (revision, events) => send({ revision, events }));
    for (;;) yield await mailbox.take();
  } catch (error) {
    if (isAborted(signal)) return;
    throw asMainstayError(error);
  } finally {
    unwatch();
    forgetLink();
    cancelSilence();
    signal.removeEventListener('abort', onAbort);
    closing.removeEventListener('abort', onAbort);
  }
}

class NotSent extends Error {
  constructor() {
    super('connection refused');
  }
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function never(scope: Scope): Promise<never> {
  return new Promise((_, reject) => {
    const onEnd = (): void => reject(scope.signal.reason as Error);
    if (scope.signal.aborted) onEnd();
    else scope.signal.addEventListener('abort', onEnd, { once: true });
  });
}

function asMainstayError(error: unknown): MainstayError {
  if (error instanceof MainstayError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new MainstayError('DcsUnreachable', `No answer from etcd in memory: ${message}`, {
    retryable: true,
    cause: error,
  });
}
