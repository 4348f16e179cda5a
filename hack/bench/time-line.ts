/** Where the milliseconds of an outage went, as the agents told it. */
import type { LogLine } from './agent-logs.ts';
import type { Step } from './scenario.ts';

/** What happened around the time between the last write before and the first one after. */
export function timeLine(
  lines: readonly LogLine[],
  gap: { readonly from: string; readonly to: string },
): readonly Step[] {
  const start = Date.parse(gap.from);
  const end = Date.parse(gap.to);
  return [
    ...lines.filter(isTelling).map(({ at, instance, msg, fields }) => ({
      ms: at - start,
      instance,
      what: whatOf(msg, fields),
    })),
    { ms: end - start, instance: 'client', what: 'first write acknowledged' },
  ].toSorted((a, b) => a.ms - b.ms);
}

/** The steps by which a failover is known; each names the first line after which it holds. */
export const milestones = {
  noticed: /^the primary is lost|^(PostgreSQL|MySQL) has ended|^stopping for|^starting the database$|is hung|stalled/,
  released: /^transaction release: applied/,
  sealed: /^seal ended/,
  promised: /^transaction promise: applied/,
  claimed: /^transaction (claim|reclaim): applied/,
  promoted: /^promote ended/,
  opened: /^open ended/,
  routed: /^the service points here/,
  'first write': /^first write acknowledged/,
} as const;
export type Milestone = keyof typeof milestones;

/** When each was reached, in milliseconds since the last write; what was not seen is left out. */
export function reached(steps: readonly Step[]): Readonly<Partial<Record<Milestone, number>>> {
  return Object.fromEntries(
    Object.entries(milestones).flatMap(([name, pattern]) => {
      const step = steps.find(({ what }) => pattern.test(what));
      return step === undefined ? [] : [[name, step.ms]];
    }),
  );
}

function whatOf(msg: string, { ms, why, logger }: LogLine['fields']): string {
  if (logger === 'postgres') return `postgres: ${msg}`.slice(0, 160);
  const details = [...(typeof ms === 'number' ? [`${ms} ms`] : []), ...(typeof why === 'string' ? [why] : [])];
  return (details.length === 0 ? msg : `${msg} (${details.join(', ')})`).slice(0, 160);
}

/** Of PostgreSQL's own lines only those that tell of a change of state. */
function isTelling({ fields, msg }: LogLine): boolean {
  if (fields['logger'] !== 'postgres') return true;
  return /shut down|shutting down|ready to accept|promote request|recovery complete|checkpoint|terminat|starting up|redo|replication terminated|started streaming|standby/.test(
    msg,
  );
}
