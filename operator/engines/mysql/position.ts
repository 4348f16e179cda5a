import type { Position } from '../../api/cluster-state.ts';
import { formatGtidSet, parseGtidSet, type GtidSet } from '../../ha/gtid-set.ts';
import { MainstayError } from '../../platform/errors.ts';

export const positionAt = (epoch: number, gtids: GtidSet): Position => ({ epoch, gtids: formatGtidSet(gtids) });

export function gtidsOf(position: Position): GtidSet {
  if ('gtids' in position) return parseGtidSet(position.gtids);
  throw new MainstayError('DatabaseUnreachable', `No position of a MySQL log: ${JSON.stringify(position)}`);
}
