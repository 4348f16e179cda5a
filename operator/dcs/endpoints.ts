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
/** When all members failed at once (an election in etcd, say), they are asked again after this. */
const pauseMilliseconds = 100;

/**
 * For calls that may be carried out twice: asks one member after the other, the next as soon as one fails or is slow,
 * while the slow ones may still answer, and again from the first until the deadline. The first good answer wins, the
 * rest is cut. A refusal is an answer.
 */
export function askAny<T>(endpoints: Endpoints, clock: Clock, scope: Scope, attempt: Attempt<T>): Promise<T> {
  const patience = Math.min(scope.milliseconds / 2, patienceMilliseconds);
  const losers = new AbortController();
  const signal = AbortSignal.any([scope.signal, losers.signal]);

  return new Promise((resolve, reject) => {
    let waiting = [...endpoints.inOrder()];
    const running = new Set<HttpPeer>();
    const slow = new Set<HttpPeer>();
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
      const peer = waiting.shift();
      if (!peer) return;
      running.add(peer);
      attempt(peer, signal).then(
        (answer) => onAnswer(peer, () => resolve(answer)),
        (error: unknown) => {
          if (isRefusal(error)) onAnswer(peer, () => reject(asMainstayError(error)));
          else onFailure(peer, error);
        },
      );
      cancelTimer = clock.after(patience, () => {
        slow.add(peer);
        askNext();
      });
    };
    const onAnswer = (peer: HttpPeer, settle: () => void): void => {
      if (over) return;
      finish(settle);
      slow.delete(peer);
      for (const other of slow) endpoints.failed(other);
      endpoints.answered(peer);
    };
    const onFailure = (peer: HttpPeer, error: unknown): void => {
      if (over) return;
      lastFailure = error;
      running.delete(peer);
      slow.delete(peer);
      endpoints.failed(peer);
      if (waiting.length > 0 || running.size > 0) {
        askNext();
        return;
      }
      cancelTimer();
      cancelTimer = clock.after(pauseMilliseconds, () => {
        waiting = [...endpoints.inOrder()];
        askNext();
      });
    };
    const onEnd = (): void => {
      const pending = [...running];
      finish(() => reject(asMainstayError(lastFailure ?? scope.signal.reason)));
      if (!isUnwanted(scope.signal)) for (const peer of pending) endpoints.failed(peer);
    };
    scope.signal.addEventListener('abort', onEnd, { once: true });
    if (scope.signal.aborted) onEnd();
    else askNext();
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
