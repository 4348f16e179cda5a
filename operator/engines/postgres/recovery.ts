/** How long a stopped server would take to let sessions in again: an estimate that a hand-over is weighed against. */
import { parseLsn } from '../../ha/position.ts';

/** Replay of WAL that is still in the page cache, on small machines; a cold disk or one large transaction may be slower. */
const bytesPerMillisecond = 100_000;
/** Of a start that has nothing to replay. */
const startMilliseconds = 300;

/**
 * Milliseconds, from pg_controldata's text and the end of the log as it was last seen (undefined: not in this process's
 * life). Undefined where it can't be told.
 */
export function recoveryEstimate(control: string, lastFlushed: bigint | undefined): number | undefined {
  const field = (name: string): string | undefined => new RegExp(`^${name}:\\s+(.+)$`, 'm').exec(control)?.[1]?.trim();
  const state = field('Database cluster state');
  if (state === 'shut down') return startMilliseconds;
  const redo = field("Latest checkpoint's REDO location");
  const consistent = field('Minimum recovery ending location');
  if (redo === undefined) return undefined;
  // A standby is consistent, and lets sessions in, from there on; of a primary that crashed nothing is noted.
  const noted = consistent === undefined || consistent === '0/0' ? undefined : parseLsn(consistent);
  const end = noted === undefined || (lastFlushed !== undefined && lastFlushed > noted) ? lastFlushed : noted;
  if (end === undefined) return undefined;
  const bytes = Math.max(0, Number(end - parseLsn(redo)));
  return startMilliseconds + Math.round(bytes / bytesPerMillisecond);
}
