import { expect, test } from '@jest/globals';
import { parseLsn } from '../../ha/position.ts';
import { recoveryEstimate } from './recovery.ts';

const control = (state: string, redo: string, consistent = '0/0'): string =>
  [
    'pg_control version number:            1800',
    `Database cluster state:               ${state}`,
    `Latest checkpoint location:           ${redo}`,
    `Latest checkpoint's REDO location:    ${redo}`,
    `Minimum recovery ending location:     ${consistent}`,
    "Min recovery ending loc's timeline:   0",
    '',
  ].join('\n');

test.each([
  ['a clean stop has nothing to replay', control('shut down', '0/5000028'), undefined, 300],
  ['a crash replays from the checkpoint on', control('in production', '0/5000000'), parseLsn('0/F000000'), 300 + 1678],
  ['nothing since the checkpoint', control('in production', '0/5000000'), parseLsn('0/4000000'), 300],
  ['unknown where it ended', control('in production', '0/5000000'), undefined, undefined],
  ['a standby, by what it noted', control('in archive recovery', '0/5000000', '0/6000000'), undefined, 300 + 168],
  ['or by more that was seen', control('in archive recovery', '0/5000000', '0/6000000'), parseLsn('0/F000000'), 1978],
  ['no control file to speak of', '', parseLsn('0/F000000'), undefined],
])('%s', (_name, text, flushed, expected) => expect(recoveryEstimate(text, flushed)).toBe(expected));
