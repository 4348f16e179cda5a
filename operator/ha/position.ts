import type { Position } from '../api/cluster-state.ts';

/** "16/B374D848" → its byte offset. */
export function parseLsn(lsn: string): bigint {
  const [high, low] = lsn.split('/');
  return (BigInt(`0x${high ?? '0'}`) << 32n) + BigInt(`0x${low ?? '0'}`);
}

export function formatLsn(offset: bigint): string {
  return `${(offset >> 32n).toString(16).toUpperCase()}/${(offset & 0xffffffffn).toString(16).toUpperCase()}`;
}

/**
 * Orders the ends of two logs: the epoch of the last record decides, then the length. Length alone would let the
 * unacknowledged tail of an old epoch beat a newer epoch's log (model/findings.md, F7).
 */
export function comparePositions(a: Position, b: Position): -1 | 0 | 1 {
  if (a.epoch !== b.epoch) return a.epoch < b.epoch ? -1 : 1;
  const [x, y] = [parseLsn(a.lsn), parseLsn(b.lsn)];
  return x < y ? -1 : x > y ? 1 : 0;
}

export const notAbove = (a: Position, b: Position): boolean => comparePositions(a, b) <= 0;
