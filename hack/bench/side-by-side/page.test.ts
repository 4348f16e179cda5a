import { describe, expect, test } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { repository } from '../../testbed/cluster-access.ts';
import { plotsOf, shortTable, sideBySidePage } from './page.ts';
import { ticksUntil } from './plot.ts';
import { pagesOf, publishedRecords } from './publish.ts';
import { cost, failed, run } from './samples.ts';

const patroni = { system: 'Patroni', settings: 'ttl 20' } as const;
const pageOf = (records: Parameters<typeof shortTable>[0]): string => sideBySidePage({ records, cluster: {} });

describe('the page', () => {
  test('says first where Mainstay is slower', () => {
    const page = pageOf([run({ outage_ms: 2_000 }), run({ ...patroni, outage_ms: 100 })]);
    expect(page).toContain('**node power-off**: Patroni (ttl 20) is out for 0.10 s (median), Mainstay for 2.00 s.');
    expect(page.indexOf('Where Mainstay is behind')).toBeLessThan(page.indexOf('## How it was measured'));
  });

  test('tells of lost writes, of violations, and of runs that could not be judged', () => {
    const page = pageOf([run({ lost: 3, violations: ['two primaries'] }), failed({ failure: 'not whole' })]);
    expect(page).toContain('Mainstay (defaults) lost 3 of 100 acknowledged writes.');
    expect(page).toContain('Mainstay (defaults): two primaries');
    expect(page).toContain('a run of Mainstay (defaults) could not be judged: not whole');
  });

  test('an outage that was ended by us is at least so long', () => {
    expect(pageOf([run({ ...patroni, outage_ms: 61_000, censored: true })])).toContain('| ≥ 61.00 s |');
  });

  test('has what it costs, the costlier replica for all', () => {
    expect(pageOf([run({}), cost({})])).toContain('a replica (the costlier) | 95 MiB | 55 MiB | 1.5 % |');
  });

  test('says first where Mainstay costs more', () => {
    const cheap = { role: 'primary', residentMiB: 50, ownMiB: 30, cpuPercent: 0.5 } as const;
    const page = pageOf([run({}), run(patroni), cost({}), cost({ ...patroni, agents: [cheap] })]);
    const told = page.indexOf('**cost at rest**, beside the primary: Mainstay 100 MiB resident and 2.0 % of a core');
    expect(told).toBeGreaterThan(0);
    expect(told).toBeLessThan(page.indexOf('## How it was measured'));
  });

  test('has a plot for each case that was measured, with a line for each contender', () => {
    const plots = plotsOf([run({}), run(patroni), run({ case: 'switchover' })]);
    expect([...plots.keys()]).toEqual(['side-by-side/switchover.svg', 'side-by-side/node-lost.svg']);
    expect(plots.get('side-by-side/node-lost.svg')?.match(/<polyline/g)).toHaveLength(2);
  });

  test('the short table has a column for each contender', () => {
    expect(shortTable([run({}), run({ ...patroni, outage_ms: 22_001 })])).toContain(
      '| node power-off | 1.00 s (max 1.00 s) | 22.01 s (max 22.01 s) | 0 / 0 | 1 |',
    );
  });
});

test('plots have at most ten steps of time', () => {
  expect(ticksUntil(1_050)).toEqual([0, 200, 400, 600, 800, 1_000]);
  expect(ticksUntil(63_000)).toEqual([0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
});

test('what is published is what its raw data make of it', async () => {
  const pages = await pagesOf(await publishedRecords());
  expect(pages.size).toBeGreaterThan(2);
  for (const [file, text] of pages)
    expect([file, await readFile(path.join(repository, file), 'utf8')]).toEqual([file, text]);
});
