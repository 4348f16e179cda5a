/** The short table for people who only want the figures, in the pages that have a place for it. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { format } from 'prettier';
import { repository } from '../testbed/cluster-access.ts';
import { inSeconds, markdownTable, withBlock } from './markdown.ts';
import type { Series } from './results.ts';
import { percentile } from './statistics.ts';

export const pagesWithFigures = ['docs/failover.md'] as const;

export async function publishFigures(series: Readonly<Record<string, Series>>): Promise<void> {
  for (const page of pagesWithFigures) {
    const file = path.join(repository, page);
    const text = withFigures(await readFile(file, 'utf8'), series);
    await writeFile(file, await format(text, { parser: 'markdown', printWidth: 120 }));
  }
}

export const withFigures = (page: string, series: Readonly<Record<string, Series>>): string =>
  withBlock(page, 'figures', figures(series));

function figures(series: Readonly<Record<string, Series>>): string {
  const rows = Object.values(series)
    // What it takes without operator or API server stands on the page of the benchmark.
    .filter(({ title, runs }) => runs.length > 0 && !title.includes(', without '))
    .map(({ title, runs, date }) => {
      const outages = runs.map((run) => run.outageMs);
      const lost = runs.reduce((sum, run) => sum + run.lost, 0);
      return [
        title,
        inSeconds(percentile(outages, 50)),
        inSeconds(Math.max(...outages)),
        String(lost),
        String(runs.length),
        date,
      ];
    });
  const head = ['What happened to the primary', 'Outage, p50', 'max', 'Writes lost', 'Runs', 'Measured'];
  return markdownTable([head, ...rows]).join('\n');
}
