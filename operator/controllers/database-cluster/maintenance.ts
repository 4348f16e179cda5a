/** spec.maintenance: when the operator may begin, of its own accord, what moves a primary. */
import type { DatabaseCluster } from '../../api/database-cluster.ts';

type Window = DatabaseCluster['spec']['maintenance']['windows'][number];

const minuteMs = 60_000;
const weekMinutes = 7 * 24 * 60;
const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'] as const;

/** Milliseconds until a window is open: 0 while one is, or where none is given. */
export function opensInMs({ spec }: DatabaseCluster, now: number): number {
  const { windows, timeZone } = spec.maintenance;
  if (windows.length === 0) return 0;
  const minute = minuteOfWeek(now, timeZone);
  return (
    Math.min(...windows.flatMap((window) => startsOf(window).map((start) => untilOpen(window, start, minute)))) *
    minuteMs
  );
}

/** Of one occurrence in the week, which may reach into the next one. */
function untilOpen({ durationMinutes }: Window, start: number, minute: number): number {
  const since = (minute - start + weekMinutes) % weekMinutes;
  return since < durationMinutes ? 0 : weekMinutes - since;
}

/** In minutes from the beginning of Sunday. */
function startsOf({ days: chosen, start }: Window): readonly number[] {
  const [hours = 0, minutes = 0] = start.split(':').map(Number);
  return days.flatMap((day, index) =>
    chosen.length === 0 || chosen.includes(day) ? [(index * 24 + hours) * 60 + minutes] : [],
  );
}

/** By the clock on the wall there: a window keeps its place when clocks are put forward or back. */
function minuteOfWeek(now: number, timeZone: string): number {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(now);
  const part = (type: Intl.DateTimeFormatPartTypes): string => parts.find((one) => one.type === type)?.value ?? '';
  const day = days.findIndex((one) => one === part('weekday'));
  return (day * 24 + Number(part('hour'))) * 60 + Number(part('minute'));
}
