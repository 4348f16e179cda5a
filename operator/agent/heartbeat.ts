/** Asks the primary's agent twice a second whether it is there: the trigger of an early takeover (DESIGN §5, rule 5). */
import { Agent, request } from 'undici';
import { z } from 'zod';
import type { Epoch, Member } from '../api/cluster-state.ts';
import type { Clock } from '../platform/clock.ts';

const period = 500;
const missesUntilLost = 3;

/** What the primary's agent answers. `leading`: its database serves, or is on its way to. */
export const Heartbeat = z.object({ instance: z.string(), epoch: z.int(), leading: z.boolean() });
export type Heartbeat = z.output<typeof Heartbeat>;

export interface Watched {
  readonly epoch: Epoch;
  readonly primary: Member;
}

/** `watched` tells whom to ask, undefined for nobody; `onLost` is told the epoch whose primary is lost, or undefined. */
export async function watchPrimary(
  watched: () => Watched | undefined,
  onLost: (epoch: Epoch | undefined) => void,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const dispatcher = new Agent({ connectTimeout: period, keepAliveTimeout: 10_000, pipelining: 0, allowH2: false });
  let misses = 0;
  let last = '';
  while (!signal.aborted) {
    const startedAt = clock.now();
    const target = watched();
    const key = target ? `${target.epoch} ${target.primary.instance} ${target.primary.address}` : '';
    if (key !== last) {
      [misses, last] = [0, key];
      onLost(undefined);
    }
    if (target) {
      // Raced, since undici leaves an abort unnoticed while it is still connecting.
      const silence = clock.sleep(period, signal).then(
        () => 'silent' as const,
        () => 'silent' as const,
      );
      const answer = await Promise.race([ask(target, dispatcher, signal), silence]);
      misses = answer === 'there' ? 0 : answer === 'gone' ? missesUntilLost : misses + 1;
      if (last === key) onLost(misses >= missesUntilLost ? target.epoch : undefined);
    }
    await clock.sleep(Math.max(10, period - (clock.now() - startedAt)), signal).catch(() => undefined);
  }
  await dispatcher.close().catch(() => undefined);
}

/** `gone`: it says so itself, or its process refuses the connection; anything else is only a missed beat. */
async function ask(
  { epoch, primary }: Watched,
  dispatcher: Agent,
  signal: AbortSignal,
): Promise<'there' | 'gone' | 'silent'> {
  try {
    const { body } = await request(`http://${primary.address}:${primary.agentPort}/heartbeat`, {
      dispatcher,
      signal: AbortSignal.any([signal, AbortSignal.timeout(period)]),
    });
    const beat = Heartbeat.parse(await body.json());
    if (beat.instance !== primary.instance) return 'gone';
    // One that has not heard of its own epoch yet is still becoming primary.
    return beat.leading || beat.epoch < epoch ? 'there' : 'gone';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? 'gone' : 'silent';
  }
}
