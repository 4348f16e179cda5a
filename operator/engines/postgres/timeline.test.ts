import { describe, expect, test } from '@jest/globals';
import { mkdtemp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { HistoryEntry } from '../../api/cluster-state.ts';
import { compatibility, listWal, parseHistory, reserveTimelinesBelow } from './timeline.ts';

test('a history file is the way through earlier timelines; stubs are none', () => {
  expect(parseHistory('1\t0/403C780\tno recovery target specified\n\n5\t0/50392E0\treason\n')).toEqual([
    { timeline: 1, end: '0/403C780' },
    { timeline: 5, end: '0/50392E0' },
  ]);
  expect(parseHistory('# reserved by mainstay\n')).toEqual([]);
});

describe('whether a log belongs to the primary’s history', () => {
  const lineage = [
    { timeline: 1, end: '0/100' },
    { timeline: 2, end: '0/200' },
  ];
  const untold: HistoryEntry = {
    epoch: 3,
    winner: 'b',
    reason: '',
    timeline: 3,
    position: { epoch: 2, lsn: '0/210' },
    at: '',
  };
  const primary = { ...untold, lineage };
  test.each([
    ['on the primary’s own timeline', { timeline: 3, epoch: 3, replayed: '0/900' }, primary, 'same'],
    [
      'under the same number as the primary’s, but begun by another',
      { timeline: 3, epoch: 3, replayed: '0/900', marker: 'b' },
      { ...primary, marker: 'a' },
      'mistaken',
    ],
    [
      'on the primary’s own timeline, begun by the same',
      { timeline: 3, epoch: 3, replayed: '0/900', marker: 'a' },
      { ...primary, marker: 'a' },
      'same',
    ],
    ['left where the primary left it, or before', { timeline: 2, epoch: 2, replayed: '0/200' }, primary, 'same'],
    ['beyond', { timeline: 2, epoch: 2, replayed: '0/201' }, primary, 'diverged'],
    ['on a timeline that the primary never was on', { timeline: 7, epoch: 2, replayed: '0/1' }, primary, 'diverged'],
    [
      'not told yet, but not longer than the primary when it claimed',
      { timeline: 2, epoch: 2, replayed: '0/210' },
      untold,
      'same',
    ],
    ['not told yet, and longer', { timeline: 2, epoch: 2, replayed: '0/211' }, untold, 'unknown'],
    ['not told yet, of another epoch', { timeline: 1, epoch: 1, replayed: '0/1' }, untold, 'unknown'],
    ['nothing known of the primary', { timeline: 2, epoch: 2, replayed: '0/1' }, undefined, 'unknown'],
  ] as const)('%s', (_name, own, entry, expected) => expect(compatibility(own, entry)).toBe(expected));
});

test('stubs fill the gap below the wanted timeline and spare what is there', async () => {
  const data = await mkdtemp(join(tmpdir(), 'mainstay-'));
  try {
    const wal = join(data, 'pg_wal');
    await mkdir(wal);
    await writeFile(join(wal, '00000002.history'), '1\t0/1\t\n');
    await writeFile(join(wal, '000000020000000000000001'), '');
    await reserveTimelinesBelow(data, 6);
    expect((await readdir(wal)).toSorted()).toEqual([
      '00000002.history',
      '000000020000000000000001',
      '00000003.history',
      '00000004.history',
      '00000005.history',
    ]);
    expect(await listWal(data)).toMatchObject({ highest: 5, withSegments: [2] });
  } finally {
    await rm(data, { recursive: true });
  }
});
