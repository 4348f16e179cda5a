import { expect, test } from '@jest/globals';
import { run } from './samples.ts';
import { availability, betterThanMainstay, contendersIn, labelOf, summariesOf } from './summary.ts';

const patroni = { system: 'Patroni', settings: 'ttl 20' } as const;

test('Mainstay comes first, whatever was measured first', () => {
  expect(contendersIn([run(patroni), run({})]).map(labelOf)).toEqual(['Mainstay (defaults)', 'Patroni (ttl 20)']);
});

test('runs of one case and contender are summed up; those of others are not', () => {
  const outages = [1_000, 3_000, 2_000].map((outage_ms, number) => run({ outage_ms, run: number, lost: number }));
  const [own, ...others] = summariesOf([...outages, run({ case: 'switchover' })], 'node-lost');
  expect(own).toMatchObject({ p50: 2_000, p95: 3_000, max: 3_000, acked: 300, lost: 3, censored: 0 });
  expect(others).toEqual([]);
});

test('who is noticeably faster than Mainstay is told, and who is not is not', () => {
  const compared = (outage_ms: number) =>
    betterThanMainstay(summariesOf([run({ outage_ms: 1_000 }), run({ ...patroni, outage_ms })], 'node-lost'));
  expect(compared(900).map(({ contender }) => contender.system)).toEqual(['Patroni']);
  expect(compared(950)).toEqual([]);
  expect(compared(2_000)).toEqual([]);
});

test('availability is the share of runs that are not in a gap', () => {
  const runs = [
    run({ gaps: [[-10, 1_000]] }),
    run({
      gaps: [
        [100, 500],
        [2_000, 3_000],
      ],
    }),
    run({ gaps: [] }),
  ];
  expect(availability(runs)).toEqual([
    { ms: 0, share: 2 / 3 },
    { ms: 100, share: 1 / 3 },
    { ms: 500, share: 2 / 3 },
    { ms: 1_000, share: 1 },
    { ms: 2_000, share: 2 / 3 },
    { ms: 3_000, share: 1 },
  ]);
});
