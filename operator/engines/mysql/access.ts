import type { Clock } from '../../platform/clock.ts';
import type { Session } from './sql.ts';

/** A running server, for one effect. */
export interface ServerAccess {
  /** The agent's own session, which is there before anybody else's: a login may hang where commits wait (mysql-lab.md §1). */
  control<T>(use: (session: Session) => Promise<T>, timeoutMs?: number): Promise<T>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}
