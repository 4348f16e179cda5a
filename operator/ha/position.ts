import type { GtidPosition, LsnPosition, Position } from '../api/cluster-state.ts';
import { contains, countOf, parseGtidSet, subtract } from './gtid-set.ts';

/** "16/B374D848" → its byte offset. */
export function parseLsn(lsn: string): bigint {
  const [high, low] = lsn.split('/');
  return (BigInt(`0x${high ?? '0'}`) << 32n) + BigInt(`0x${low ?? '0'}`);
}

export function formatLsn(offset: bigint): string {
  return `${(offset >> 32n).toString(16).toUpperCase()}/${(offset & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** Each of the two may have something that the other lacks: then nobody but a person can say which of them to go on with. */
export type Order = -1 | 0 | 1 | 'incomparable';

/**
 * Orders the ends of two logs: the epoch of the last record decides, then what they hold. Length alone would let the
 * unacknowledged tail of an old epoch beat a newer epoch's log (model/findings.md, F7). Within an epoch one log is the
 * beginning of the other, unless somebody has written to a replica.
 */
export function comparePositions(a: Position, b: Position): Order {
  if (a.epoch !== b.epoch) return a.epoch < b.epoch ? -1 : 1;
  if (isLsn(a) && isLsn(b)) return sign(parseLsn(a.lsn) - parseLsn(b.lsn));
  if (isLsn(a) || isLsn(b)) return 'incomparable';
  if (a.gtids === b.gtids) return 0;
  const [x, y] = [parseGtidSet(a.gtids), parseGtidSet(b.gtids)];
  const [hasAll, isWithin] = [contains(x, y), contains(y, x)];
  if (hasAll && isWithin) return 0;
  return hasAll ? 1 : isWithin ? -1 : 'incomparable';
}

/** For certain: never of positions that can't be compared. */
export function notAbove(a: Position, b: Position): boolean {
  const order = comparePositions(a, b);
  return order === -1 || order === 0;
}

/** An order of all positions, for choices among those that may be chosen: whatever holds all of another comes after it. */
export const compareLengths = (a: Position, b: Position): -1 | 0 | 1 =>
  a.epoch === b.epoch ? sign(lengthOf(a) - lengthOf(b)) : a.epoch < b.epoch ? -1 : 1;

/** How much of `a` is known to be missing from `b`. */
export function lackOf(a: Position, b: Position): { readonly amount: number; readonly of: 'bytes' | 'transactions' } {
  if (isLsn(a) || isLsn(b))
    return { amount: isLsn(a) && isLsn(b) ? Math.max(0, Number(parseLsn(a.lsn) - parseLsn(b.lsn))) : 0, of: 'bytes' };
  return { amount: Number(countOf(subtract(parseGtidSet(a.gtids), parseGtidSet(b.gtids)))), of: 'transactions' };
}

/** Of a log that is known by its bytes; nothing else's position reaches who asks. */
export const lsnOf = (position: Position): string => (isLsn(position) ? position.lsn : '0/0');

/** For people. */
export const positionText = (position: Position): string => (isLsn(position) ? position.lsn : position.gtids);

const isLsn = (position: Position): position is LsnPosition => 'lsn' in position;
const lengthOf = (position: LsnPosition | GtidPosition): bigint =>
  isLsn(position) ? parseLsn(position.lsn) : countOf(parseGtidSet(position.gtids));
const sign = (difference: bigint): -1 | 0 | 1 => (difference < 0n ? -1 : difference > 0n ? 1 : 0);
