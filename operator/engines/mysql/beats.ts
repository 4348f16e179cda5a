/** Empty transactions with numbers of our own: they wait for acknowledgements as all others do, and prove all that went before. */
import type { Clock } from '../../platform/clock.ts';
import { within } from '../../platform/deadline.ts';
import { beatSource } from './names.ts';
import { connect, type Connection, type Where } from './sql.ts';

export interface Beats {
  /** Resolves when enough have acknowledged it. After the limit the commit waits on, only not here. */
  commit(gtid: string, limitMs: number): Promise<void>;
  /** The next of the numbers that mean nothing. */
  beat(limitMs: number): Promise<void>;
  close(): void;
}

const loginLimit = 2000;

/** `last`: the highest number of beats in the log. */
export function beats(where: Where, systemIdentifier: string, last: bigint, clock: Clock): Beats {
  const closed = new AbortController();
  const open = (): Promise<Connection> => {
    const opened = connect(where, loginLimit, closed.signal);
    opened.catch(() => undefined);
    return opened;
  };
  // Opened before it is needed: a login may hang where commits wait.
  let spare = open();
  let number = last;
  const commit = async (gtid: string, limitMs: number): Promise<void> => {
    const taken = spare;
    spare = open();
    const work = (async () => {
      const connection = await taken.catch(() => connect(where, loginLimit, closed.signal));
      try {
        await connection.query(`SET gtid_next = '${gtid}'`);
        await connection.query('BEGIN');
        await connection.query('COMMIT');
      } finally {
        connection.close();
      }
    })();
    work.catch(() => undefined);
    await within(limitMs, clock, `the acknowledgement of ${gtid}`, work);
  };
  return {
    commit,
    beat: (limitMs) => commit(`${beatSource(systemIdentifier)}:${++number}`, limitMs),
    close: () => closed.abort(new Error('closed')),
  };
}
