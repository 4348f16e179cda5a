import { expect, test } from '@jest/globals';
import type { HistoryEntry } from '../../api/cluster-state.ts';
import { formatGtidSet, noGtids, parseGtidSet } from '../../ha/gtid-set.ts';
import type { BinaryLog } from './binlog.ts';
import { beatSource } from './names.ts';
import { judgeTail, logThatWon, theirs } from './tail.ts';

const system = '6d61696e-7374-6179-8123-0123456789ab';
const beat = beatSource(system);
const a = 'aaaaaaaa-0000-4000-8000-000000000000';

const log = (previous: string, transactions: readonly string[], inUse = true): BinaryLog => ({
  file: 'binlog.000002',
  inUse,
  previous: parseGtidSet(previous),
  transactions: transactions.map((gtid, index) => ({ gtid, at: 1000 + 100 * index })),
  headerEnd: 200,
});
const won = parseGtidSet(`${system}:2,${a}:1-5`);

test.each([
  ['nothing that the primary lacks', log(`${system}:2,${a}:1-3`, [`${a}:4`, `${a}:5`]), { verdict: 'none' }],
  ['its end', log(`${system}:2,${a}:1-3`, [`${a}:4`, `${a}:5`, `${a}:6`, `${a}:7`]), { verdict: 'cut', at: 1200 }],
  ['a marker that nobody acknowledged', log(`${system}:2,${a}:1-5`, [`${system}:3`]), { verdict: 'cut', at: 1000 }],
  ['only a beat', log(`${system}:2,${a}:1-5`, [`${beat}:1`]), { verdict: 'none' }],
  ['an end with a beat in it', log(`${system}:2`, [`${a}:6`, `${beat}:1`, `${a}:7`]), { verdict: 'cut', at: 1000 }],
  ['an older file', log(`${system}:2,${a}:1-6`, [`${a}:7`]), { verdict: 'clone' }],
  ['a log that was closed', log(`${system}:2,${a}:1-5`, [`${a}:6`], false), { verdict: 'clone' }],
  ['something between', log(`${system}:2,${a}:1-3`, [`${a}:6`, `${a}:4`]), { verdict: 'clone' }],
])('%s', (_, binlog, expected) => {
  expect(judgeTail(binlog, won)).toMatchObject(expected);
});

test('what InnoDB must undo of a tail: neither markers nor beats, which are empty', () => {
  expect(theirs([`${a}:6`, `${beat}:1`, `${a}:7`, `${system}:3`])).toEqual([`${a}:6`, `${a}:7`]);
});

test('the log that won is that of the first winner since', () => {
  const entry = (epoch: number, timeline: number, gtids?: string): readonly [number, HistoryEntry] => [
    epoch,
    { epoch, winner: 'x', reason: '', timeline, at: '', ...(gtids !== undefined && { position: { epoch, gtids } }) },
  ];
  const history = new Map([entry(1, 2), entry(2, 3, `${a}:1-3`), entry(3, 3), entry(4, 5, `${a}:1-9`)]);
  const text = (own: string): string => formatGtidSet(logThatWon(history, parseGtidSet(own)) ?? noGtids);
  expect(text(`${system}:2,${a}:1-4`)).toBe(`${a}:1-3`);
  expect(text(`${system}:2-3`)).toBe(`${a}:1-9`);
  expect(text(`${system}:2-5`)).toBe('');
});
