/** Begins and ends a round's faults when their time has come, one step after another. */
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../play.ts';
import type { End } from './injection.ts';
import { stepsOf, wordsOf, type Fault, type Round } from './schedule.ts';

/** Everything that was begun is ended, come what may. Resolves with the faults that could not be made. */
export async function hurt(
  round: Pick<Round, 'faults'>,
  inject: (fault: Fault) => Promise<End>,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<{ readonly missed: readonly Fault[]; readonly lastedMs: number }> {
  const start = performance.now();
  const elapsed = (): number => performance.now() - start;
  const ends = new Map<Fault, End>();
  const missed: Fault[] = [];
  const end = async (fault: Fault): Promise<void> => {
    const over = ends.get(fault);
    ends.delete(fault);
    await over?.();
  };
  try {
    for (const { atMs, does, fault } of stepsOf(round)) {
      if (atMs > elapsed()) await delay(atMs - elapsed(), undefined, { signal });
      if (does === 'end') await end(fault);
      else
        await inject(fault).then(
          (over) => ends.set(fault, over),
          (error: unknown) => {
            // Another fault has taken its target away: that is what overlapping is. Alone it must be possible.
            if (fault === round.faults[0]) throw error;
            missed.push(fault);
            say(`         ${at(elapsed())} not made: ${wordsOf(fault)}: ${messageOf(error)}`);
          },
        );
      if (!missed.includes(fault)) say(`         ${at(elapsed())} ${does === 'begin' ? '+' : '−'} ${wordsOf(fault)}`);
    }
  } finally {
    for (const fault of [...ends.keys()]) await end(fault);
  }
  return { missed, lastedMs: Math.round(elapsed()) };
}

function at(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1).padStart(5)} s`;
}
