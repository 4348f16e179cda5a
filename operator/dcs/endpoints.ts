/** The members of one etcd cluster, and how a call chooses among them. */
import type { Clock } from '../platform/clock.ts';
import { isUnwanted, type Scope } from './deadline.ts';
import { asMainstayError, isCertainlyUnsent, isRefusal } from './etcd-errors.ts';
import type { HttpPeer } from './http-exchange.ts';

export interface Endpoints {
  /** All members, the last good one first. */
  inOrder(): readonly HttpPeer[];
  /** Calls `onSuspicion` whenever a call found `peer` failing or slow, until the returned function is called. */
  whenSuspected(peer: HttpPeer, onSuspicion: () => void): () => void;
  answered(peer: HttpPeer): void;
  failed(peer: HttpPeer): void;
  close(): Promise<void>;
}

export type Attempt<T> = (peer: HttpPeer, signal: AbortSignal) => Promise<T>;

export function createEndpoints(peers: readonly HttpPeer[]): Endpoints {
  const listeners = new Map<HttpPeer, Set<() => void>>(peers.map((peer) => [peer, new Set()]));
  let preferred = 0;
  return {
    inOrder: () => [...peers.slice(preferred), ...peers.slice(0, preferred)],
    whenSuspected: (peer, onSuspicion) => {
      listeners.get(peer)?.add(onSuspicion);
      return () => listeners.get(peer)?.delete(onSuspicion);
    },
    answered: (peer) => {
      preferred = peers.indexOf(peer);
    },
    failed: (peer) => {
      if (peers[preferred] === peer) preferred = (preferred + 1) % peers.length;
      for (const suspect of listeners.get(peer) ?? []) suspect();
    },
    close: async () => {
      await Promise.all(peers.map((peer) => peer.close()));
    },
  };
}

/** A member that has not answered by then gets company; far above a healthy round trip, far below any deadline. */
const patienceMilliseconds = 400;
/** When all members that don’t hang have failed (an election in etcd, say), they are asked again after this. */
const pauseMilliseconds = 100;

/**
 * For calls that may be carried out twice: asks one member after the other, the next as soon as one fails or is slow,
 * while the slow ones may still answer, and again from the first until the deadline. The first good answer wins, the
 * rest is cut. A refusal is an answer.
 *
 * Members that hang are asked anew too, each round twice as patiently: a follower that has forwarded a lease's renewal
 * to a leader which has just frozen waits for that one, however soon another is elected (etcd's LeaseRenew).
 */
export function askAny<T>(endpoints: Endpoints, clock: Clock, scope: Scope, attempt: Attempt<T>): Promise<T> {
  const patience = Math.min(scope.milliseconds / 2, patienceMilliseconds);
  let roundPatience = patience;
  const losers = new AbortController();
  const signal = AbortSignal.any([scope.signal, losers.signal]);

  return new Promise((resolve, reject) => {
    let waiting = [...endpoints.inOrder()];
    /** With the time at which each was first asked. */
    const running = new Map<HttpPeer, number>();
    let over = false;
    let lastFailure: unknown;
    let cancelTimer = (): void => undefined;

    const finish = (settle: () => void): void => {
      over = true;
      cancelTimer();
      scope.signal.removeEventListener('abort', onEnd);
      losers.abort(new Error('another member answered'));
      settle();
    };
    const askNext = (): void => {
      cancelTimer();
      if (waiting.length === 0) {
        waiting = [...endpoints.inOrder()];
        roundPatience *= 2;
      }
      const peer = waiting.shift();
      if (!peer) return;
      running.set(peer, running.get(peer) ?? clock.now());
      attempt(peer, signal).then(
        (answer) => onAnswer(peer, () => resolve(answer)),
        (error: unknown) => {
          if (isRefusal(error)) onAnswer(peer, () => reject(asMainstayError(error)));
          else onFailure(peer, error);
        },
      );
      cancelTimer = clock.after(roundPatience, askNext);
    };
    const onAnswer = (peer: HttpPeer, settle: () => void): void => {
      if (over) return;
      finish(settle);
      running.delete(peer);
      for (const [other, since] of running) if (clock.now() - since >= patience) endpoints.failed(other);
      endpoints.answered(peer);
    };
    const onFailure = (peer: HttpPeer, error: unknown): void => {
      if (over) return;
      lastFailure = error;
      running.delete(peer);
      endpoints.failed(peer);
      if (waiting.length > 0) {
        askNext();
        return;
      }
      // One that hangs must not keep us from those that fail now and may be well again in a moment.
      cancelTimer();
      cancelTimer = clock.after(pauseMilliseconds, () => {
        waiting = endpoints.inOrder().filter((other) => !running.has(other));
        askNext();
      });
    };
    const onEnd = (): void => {
      const pending = [...running.keys()];
      finish(() => reject(asMainstayError(lastFailure ?? scope.signal.reason)));
      if (!isUnwanted(scope.signal)) for (const peer of pending) endpoints.failed(peer);
    };
    scope.signal.addEventListener('abort', onEnd, { once: true });
    if (scope.signal.aborted) onEnd();
    else askNext();
  });
}

/** For logins: how long one member has before the next is asked too, at first and at most. */
const loginPatience = { first: 2_000, longest: 16_000 };

/**
 * For calls that cost etcd much. A password takes 0.1 s of a core to check, and etcd goes on with it when its client has
 * given up; a crowd that asks again too early (after etcd's restart) keeps it busy for nobody. So: one member after the
 * other, each with more time than the one before, and what was asked is never cut. Ends with an answer or the signal.
 */
export function askPatiently<T>(
  endpoints: Endpoints,
  clock: Clock,
  signal: AbortSignal,
  attempt: Attempt<T>,
): Promise<T> {
  const losers = new AbortController();
  const running = AbortSignal.any([signal, losers.signal]);

  return new Promise((resolve, reject) => {
    let patience = loginPatience.first;
    let cancelTimer = (): void => undefined;

    const finish = (settle: () => void): void => {
      cancelTimer();
      signal.removeEventListener('abort', onEnd);
      losers.abort(new Error('the login is over'));
      settle();
    };
    const ask = (turn: number): void => {
      const peers = endpoints.inOrder();
      const peer = peers[turn % peers.length];
      if (!peer) return;
      attempt(peer, running).then(
        (answer) => {
          if (running.aborted) return;
          endpoints.answered(peer);
          finish(() => resolve(answer));
        },
        (error: unknown) => {
          if (running.aborted) return;
          if (isRefusal(error)) {
            finish(() => reject(asMainstayError(error)));
            return;
          }
          // No longer the first in order; the order, not the turn, goes on to the next.
          endpoints.failed(peer);
          cancelTimer();
          cancelTimer = clock.after(pauseMilliseconds, () => ask(0));
        },
      );
      cancelTimer();
      cancelTimer = clock.after(patience, () => {
        patience = Math.min(patience * 2, loginPatience.longest);
        ask(turn + 1);
      });
    };
    const onEnd = (): void => finish(() => reject(asMainstayError(signal.reason)));
    signal.addEventListener('abort', onEnd, { once: true });
    if (signal.aborted) onEnd();
    else ask(0);
  });
}

/** For writes: one member, the next one only if the request certainly never left. Rejects with what `attempt` did. */
export async function askOne<T>(endpoints: Endpoints, scope: Scope, attempt: Attempt<T>): Promise<T> {
  let last: unknown;
  for (const peer of endpoints.inOrder()) {
    try {
      const answer = await attempt(peer, scope.signal);
      endpoints.answered(peer);
      return answer;
    } catch (error) {
      last = error;
      if (isRefusal(error) || isUnwanted(scope.signal)) throw error;
      endpoints.failed(peer);
      if (!isCertainlyUnsent(error) || scope.signal.aborted) throw error;
    }
  }
  throw last;
}
