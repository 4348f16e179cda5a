import type { V1Lease } from '@kubernetes/client-node';
import type { KubernetesClient } from './client.ts';
import { leases, type Wire } from './kinds.ts';
import type { LeadershipMetrics } from './metrics.ts';
import { microTime } from './micro-time.ts';
import { surroundingsFrom, type Surroundings } from './surroundings.ts';
import { timeLimit } from './time-limit.ts';

export interface LeaderElectionOptions extends Partial<Surroundings> {
  readonly client: KubernetesClient;
  /** The Lease. */
  readonly namespace: string;
  readonly name: string;
  /** Unique to this process, such as the Pod's name with a random end. */
  readonly identity: string;
  /** How long others wait for a silent leader: 15 s. */
  readonly leaseDurationMs?: number;
  /** How long a leader tries to renew before it gives up: 10 s. */
  readonly renewDeadlineMs?: number;
  /** 2 s. */
  readonly retryPeriodMs?: number;
  /**
   * Called once; the signal aborts when leadership ends. What it returns is awaited before the lease is released, so that
   * the next leader doesn't start while this one still works; if it rejects, leadership is given up as lost.
   */
  readonly onElected: (signal: AbortSignal) => void | Promise<void>;
  /** Leadership was lost while running: the caller should exit the process, nothing here fences its calls under way. */
  readonly onLost: () => void;
  readonly metrics?: LeadershipMetrics | undefined;
}

export interface LeaderElection {
  /** Campaigns, leads, and ends: when the signal aborts (the lease is released) or after onLost. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  isLeader(): boolean;
  /** Identity of the present leader as last seen. */
  leader(): string | undefined;
}

type Lease = Wire<V1Lease>;

/**
 * One leader among the processes that share a Lease, in the manner of client-go: whoever holds it renews; the others count
 * the holder's silence on their own clocks, never by comparing timestamps of two machines.
 */
export function createLeaderElection(options: LeaderElectionOptions): LeaderElection {
  const { client, namespace, name, identity, metrics } = options;
  const { leaseDurationMs = 15_000, renewDeadlineMs = 10_000, retryPeriodMs = 2_000 } = options;
  const { clock, random, log } = surroundingsFrom(options);
  /** The Lease as last seen, and since when it has looked so. */
  let seen: { readonly lease: Lease; readonly at: number } | undefined;
  /** When the last successful renewal was begun. */
  let renewedAt: number | undefined;

  const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
    clock.sleep(milliseconds, signal).catch(() => undefined);
  const isLeader = (): boolean => renewedAt !== undefined && clock.now() - renewedAt < leaseDurationMs;
  return {
    isLeader,
    leader: () => seen?.lease.spec?.holderIdentity,
    async run(signal) {
      metrics?.leading(name, false);
      if (!(await campaign(signal))) return;
      metrics?.leading(name, true);
      log.info({ lease: name, identity }, 'elected');
      const term = new AbortController();
      const work = lead(term);
      const outcome = await renew(signal, AbortSignal.any([signal, term.signal]));
      term.abort(new Error('leadership ended'));
      if (outcome === 'stopped') await release(work);
      renewedAt = undefined;
      metrics?.leading(name, false);
      if (outcome === 'lost') {
        log.error({ lease: name, identity, leader: seen?.lease.spec?.holderIdentity }, 'leadership lost');
        options.onLost();
      }
    },
  };

  async function campaign(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      if ((await attempt(renewDeadlineMs, signal)) === 'held') return true;
      await pause(retryPeriodMs * (1 + 0.2 * random()), signal);
    }
    return false;
  }

  async function lead(term: AbortController): Promise<void> {
    try {
      await options.onElected(term.signal);
    } catch (error) {
      log.error({ err: error }, 'what the leader does has failed');
      term.abort(error);
    }
  }

  async function renew(signal: AbortSignal, termOrStop: AbortSignal): Promise<'stopped' | 'lost'> {
    for (;;) {
      const remaining = (): number => renewDeadlineMs - (clock.now() - (renewedAt ?? -Infinity));
      await pause(Math.min(retryPeriodMs, remaining()), termOrStop);
      if (signal.aborted) return 'stopped';
      if (termOrStop.aborted || remaining() <= 0) return 'lost';
      if ((await attempt(remaining(), signal)) === 'taken') return 'lost';
    }
  }

  /** One try to get or keep the lease; an unknown outcome is settled by the next one. */
  async function attempt(timeoutMs: number, signal: AbortSignal): Promise<'held' | 'taken' | 'failed'> {
    const startedAt = clock.now();
    const limit = timeLimit(clock, timeoutMs, signal);
    try {
      const current = await observe(limit.signal);
      const holder = current?.spec?.holderIdentity ?? '';
      if (holder !== '' && holder !== identity && !hasExpired()) return 'taken';
      const lease = wanted(current, holder);
      const written = await (current === undefined
        ? client.create(leases, lease, { signal: limit.signal, timeoutMs })
        : client.update(leases, lease, {}, { signal: limit.signal, timeoutMs }));
      remember(written);
      renewedAt = startedAt;
      return 'held';
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error, lease: name }, 'the lease could not be read or written');
      return 'failed';
    } finally {
      limit.end();
    }
  }

  async function observe(signal: AbortSignal): Promise<Lease | undefined> {
    const current = await client.get(leases, { namespace, name }, { signal });
    if (current !== undefined) remember(current);
    return current;
  }

  function remember(lease: Lease): void {
    // Only a change of what the holder writes is a sign of life; anyone may label the object.
    const alike = seen !== undefined && JSON.stringify(seen.lease.spec) === JSON.stringify(lease.spec);
    seen = { lease, at: alike && seen !== undefined ? seen.at : clock.now() };
  }

  function hasExpired(): boolean {
    if (seen === undefined) return true;
    const durationMs = (seen.lease.spec?.leaseDurationSeconds ?? leaseDurationMs / 1000) * 1000;
    return clock.now() - seen.at >= durationMs;
  }

  function wanted(current: Lease | undefined, holder: string): Lease {
    const now = microTime(clock.wall());
    const changesHands = holder !== identity;
    const transitions = current?.spec?.leaseTransitions ?? 0;
    return {
      metadata: { ...current?.metadata, namespace, name },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
        acquireTime: changesHands ? now : (current?.spec?.acquireTime ?? now),
        renewTime: now,
        leaseTransitions: changesHands && current !== undefined ? transitions + 1 : transitions,
      },
    };
  }

  /** Hands over at once, if the work ends while the lease is surely ours; else the lease just runs out. */
  async function release(work: Promise<void>): Promise<void> {
    const timeoutMs = renewDeadlineMs - (clock.now() - (renewedAt ?? -Infinity));
    if (timeoutMs <= 0) return;
    const limit = timeLimit(clock, timeoutMs);
    try {
      await Promise.race([work, rejection(limit.signal)]);
      // Read again: the stop may have cut a renewal that nevertheless arrived.
      const current = await observe(limit.signal);
      if (current?.spec?.holderIdentity !== identity) return;
      const lease: Lease = {
        metadata: { ...current.metadata },
        spec: { ...current.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime(clock.wall()) },
      };
      remember(await client.update(leases, lease, {}, { signal: limit.signal, timeoutMs }));
    } catch (error) {
      log.warn({ err: error, lease: name }, 'the lease could not be released; it will run out');
    } finally {
      limit.end();
    }
  }
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
