/** Effects carried out one after the other, whatever a stalled disk does to them. */
import type { DatabaseState } from '../ha/state.ts';
import type { Clock } from '../platform/clock.ts';
import { endedBy } from '../platform/deadline.ts';
import type { Logger } from '../platform/log.ts';
import { patienceWithDisk } from './disk-patience.ts';
import type { EffectInContext, Engine } from './engine.ts';

/** Without a server on whose health one could go. */
const effectsOnDisk: ReadonlySet<string> = new Set<EffectInContext['type']>(['initialize', 'start', 'rewind', 'clone']);

/** What an effect may take after its end has come, in milliseconds: a server that has just begun is killed. */
const cleaningUp = 5000;

const nothing = (): void => undefined;

/**
 * `run`, but an effect that a stalled disk holds up counts as failed soon after its limit. It goes on all the same, and would do
 * what it does into whatever came next: nothing else is begun before it has ended. `volume`: a folder on the disk.
 */
export function oneAtATime(run: Engine['run'], volume: string, clock: Clock, log: Logger): Engine['run'] {
  /** What has been begun and has not ended. */
  let heldUp: { readonly effect: string; readonly ended: Promise<void> } | undefined;
  return async (effect, context, signal): Promise<DatabaseState> => {
    if (heldUp) {
      log.warn({ effect: effect.type, heldUp: heldUp.effect }, 'waiting for what the disk still holds up');
      await endedBy(signal, 0, clock, heldUp.effect, heldUp.ended);
    }
    const disk = effectsOnDisk.has(effect.type) ? patienceWithDisk(volume, clock) : undefined;
    const limit = disk ? AbortSignal.any([signal, disk.signal]) : signal;
    const work = run(effect, context, limit);
    const mine = { effect: effect.type, ended: work.then(nothing, nothing) };
    heldUp = mine;
    void mine.ended.then(() => {
      disk?.stop();
      if (heldUp === mine) heldUp = undefined;
    });
    return endedBy(limit, cleaningUp, clock, effect.type, work);
  };
}
