/** For tests: a replica's end of the heartbeat, and what it makes of each answer. */
import type { Member } from '../api/cluster-state.ts';
import { systemClock } from '../platform/clock.ts';
import { createAlarm } from './alarm.ts';
import { watchPrimary, type PledgeQuery } from './heartbeat.ts';
import type { IdentitySource } from './peer-credentials.ts';

export interface Watching {
  /** Resolves when what is told next is as wanted, with the milliseconds that took and the reason. */
  readonly told: (
    isWanted: (lost: boolean, why: string | undefined) => boolean,
  ) => Promise<{ readonly took: number; readonly why: string | undefined }>;
  end(): Promise<void>;
}

/** Watches the primary of epoch 3, giving `word` if it may. */
export function startWatching(
  at: Partial<Member>,
  {
    identity = () => undefined,
    word,
  }: { readonly identity?: IdentitySource; readonly word?: Omit<PledgeQuery, 'stamp'> } = {},
): Watching {
  const stop = new AbortController();
  let listener: (lost: boolean, why: string | undefined) => void = () => undefined;
  const primary = { instance: 'orders-1', address: '127.0.0.1', ...at } as Member;
  const running = watchPrimary(
    () => ({ epoch: 3, primary }),
    (epoch, why) => listener(epoch !== undefined, why),
    () => undefined,
    () => word,
    createAlarm(systemClock, stop.signal),
    identity,
    systemClock,
    stop.signal,
  );
  return {
    told: (isWanted) =>
      new Promise((resolve) => {
        const since = systemClock.now();
        listener = (lost, why) => {
          if (isWanted(lost, why)) resolve({ took: systemClock.now() - since, why });
        };
      }),
    end: async () => {
      stop.abort();
      await running;
    },
  };
}
