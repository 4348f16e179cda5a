import { systemClock, type Clock } from '../../operator/platform/clock.ts';

/**
 * Time that passes so many times faster: what an operator waits for in minutes, a test waits for in seconds. Not that of the
 * wall, because the API server's stamps are compared with it.
 */
export function fastClock(factor: number): Clock {
  return {
    now: () => systemClock.now() * factor,
    wall: () => systemClock.wall(),
    sleep: (milliseconds, signal) => systemClock.sleep(milliseconds / factor, signal),
    after: (milliseconds, callback) => systemClock.after(milliseconds / factor, callback),
  };
}
