/** What a server's log holds: executed, and received from its primary. */
import { contains, highestOf, parseGtidSet, unionOf, type GtidSet } from '../../ha/gtid-set.ts';
import { systemIn } from './names.ts';
import { textOf, type Session } from './sql.ts';

export interface Held {
  readonly executed: GtidSet;
  /** Executed, or received and waiting to be. */
  readonly all: GtidSet;
}

/** Without what is in a primary's log and waits to be acknowledged: that is in no set (mysql-lab.md). */
export async function heldBy(session: Session): Promise<Held> {
  // In this order: what moves from one to the other meanwhile is seen twice, and not missed.
  const rows = await session.query(
    'SELECT received_transaction_set AS received FROM performance_schema.replication_connection_status',
  );
  const received = rows.map((row) => parseGtidSet(textOf(row, 'received')));
  const [row] = await session.query('SELECT @@global.gtid_executed AS executed');
  const executed = parseGtidSet(textOf(row, 'executed'));
  return { executed, all: unionOf(executed, ...received) };
}

/** Number of the last marker in it; 1 before the first, since the protocol counts from there. */
export function timelineOf(gtids: GtidSet): number {
  const system = systemIn(gtids);
  return system === undefined ? 1 : Math.max(1, Number(highestOf(gtids, system)));
}

export const isApplied = ({ executed, all }: Held): boolean => contains(executed, all);

/** Bytes that were received and not applied yet, by what the server tells of its files. */
export async function backlogOf(session: Session, held: Held): Promise<number> {
  if (isApplied(held)) return 0;
  const [row] = await session.query('SHOW REPLICA STATUS');
  const number = (name: string): number => Number(row?.[name] ?? 0);
  return row?.['Source_Log_File'] === row?.['Relay_Source_Log_File']
    ? Math.max(1, number('Read_Source_Log_Pos') - number('Exec_Source_Log_Pos'))
    : Math.max(1, number('Relay_Log_Space'));
}
