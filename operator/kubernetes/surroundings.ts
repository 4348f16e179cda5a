import { systemClock, type Clock } from '../platform/clock.ts';
import { createLogger, type Logger } from '../platform/log.ts';

/** Time, chance and the log, as every part of this folder takes them; what is left out is the real one. */
export interface Surroundings {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Logger;
}

export function surroundingsFrom(given: Partial<Surroundings>): Surroundings {
  return {
    clock: given.clock ?? systemClock,
    // eslint-disable-next-line no-restricted-properties -- the one default source of chance; tests and the simulator inject theirs
    random: given.random ?? (() => Math.random()),
    log: given.log ?? createLogger('kubernetes'),
  };
}
