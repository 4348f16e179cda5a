import { systemClock, type Clock } from '../../operator/platform/clock.ts';

/** Time that passes so many times faster: what an operator waits for in minutes, a test waits for in seconds. */
export function fastClock(factor: number): Clock {
  const origin = { now: systemClock.now(), wall: systemClock.wall().getTime() };
  const now = (): number => (systemClock.now() - origin.now) * factor;
  return {
    now,
    wall: () => new Date(origin.wall + now()),
    sleep: (milliseconds, signal) => systemClock.sleep(milliseconds / factor, signal),
    after: (milliseconds, callback) => systemClock.after(milliseconds / factor, callback),
  };
}
