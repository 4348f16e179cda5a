import { expect, test } from '@jest/globals';
import { walLimits } from './wal-limits.ts';

const gibibyte = 1024 ** 3;
const segmentBytes = 16 * 1024 * 1024;

test.each([
  ['the smallest volume', { bytes: gibibyte / 2, segmentBytes, separate: false }, ['64MB', '64MB', '64MB']],
  ['a usual one', { bytes: 20 * gibibyte, segmentBytes, separate: false }, ['2048MB', '512MB', '1024MB']],
  ['a large one', { bytes: 1000 * gibibyte, segmentBytes, separate: false }, ['102400MB', '512MB', '1024MB']],
  ['one of its own', { bytes: 20 * gibibyte, segmentBytes, separate: true }, ['10240MB', '512MB', '5120MB']],
  ['large segments', { bytes: gibibyte, segmentBytes: 4 * segmentBytes, separate: false }, ['256MB', '256MB', '256MB']],
])('%s', (_, volume, [slots, kept, checkpoints]) =>
  expect(walLimits(volume)).toEqual({
    max_slot_wal_keep_size: slots,
    wal_keep_size: kept,
    max_wal_size: checkpoints,
  }),
);
