import { expect, test } from '@jest/globals';
import { linesOf, parseRecords, renewed, wrongIn } from './record.ts';
import { cost, failed, run } from './samples.ts';

test('records survive being written and read', () => {
  const records = [run({}), failed({})];
  expect(parseRecords(`${linesOf(records)}\n`)).toEqual(records);
});

test('a line that is no record is named', () => {
  expect(() => parseRecords(`${linesOf([run({})])}{"kind":"run"}\n`)).toThrow('line 2 is no record of the benchmark');
});

test('what is measured anew replaces all that was known of the same, and nothing else', () => {
  const former = [
    run({ case: 'node-lost', run: 0 }),
    failed({ case: 'node-lost', run: 1 }),
    run({ case: 'node-lost', system: 'Patroni', settings: 'defaults' }),
    run({ case: 'switchover' }),
  ];
  const fresh = [run({ case: 'node-lost', outage_ms: 7 })];
  expect(renewed(former, fresh)).toEqual([...former.slice(2), ...fresh]);
});

test('lost writes, violations and runs that could not be judged are wrong; an outage is not', () => {
  expect(wrongIn(run({ lost: 2, violations: ['two primaries'] }))).toEqual([
    'node-lost 0: 2 acknowledged writes lost',
    'node-lost 0: two primaries',
  ]);
  expect(wrongIn(failed({}))).toEqual(['node-lost 1: not whole']);
  expect([run({ censored: true }), cost({})].flatMap(wrongIn)).toEqual([]);
});
