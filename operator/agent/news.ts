/** What of an instance's own words is worth a write to etcd, which wakes all agents and the operator. */
import type { Member } from '../api/cluster-state.ts';
import { lackOf } from '../ha/position.ts';

/** A primary without clients writes less in many seconds (it probes itself), a busy one far more in one. */
const smallBytes = 64 * 1024;

/** Whether `now` says something that `told` does not, but for an end of the log that has moved by a little. */
export function isNews(told: Member | undefined, now: Member): boolean {
  if (!told || withoutProgress(told) !== withoutProgress(now)) return true;
  return (
    Math.abs((now.backlog ?? 0) - (told.backlog ?? 0)) >= smallBytes ||
    told.position?.epoch !== now.position?.epoch ||
    hasMoved(told.position, now.position)
  );
}

const withoutProgress = (member: Member): string =>
  JSON.stringify({ ...member, position: undefined, backlog: undefined });

function hasMoved(from: Member['position'], to: Member['position']): boolean {
  if (!from || !to) return from !== to;
  const [lacks, exceeds] = [lackOf(to, from), lackOf(from, to)];
  const least = lacks.of === 'bytes' ? smallBytes : 1;
  return lacks.amount >= least || exceeds.amount >= least;
}
