/** The short table for people who only want the figures, in the pages that have a place for it. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { format } from 'prettier';
import { repository } from '../testbed/cluster-access.ts';
import type { Series } from './results.ts';
import { percentile } from './statistics.ts';

export const pagesWithFigures = ['README.md', 'docs/failover.md'] as const;

const begin = '<!-- figures: written by make bench -->';
const end = '<!-- figures: end -->';

export async function publishFigures(series: Readonly<Record<string, Series>>): Promise<void> {
  for (const page of pagesWithFigures) {
    const file = path.join(repository, page);
    const text = withFigures(await readFile(file, 'utf8'), series);
    await writeFile(file, await format(text, { parser: 'markdown', printWidth: 120 }));
  }
}

/** An error if the page has no place for them. */
export function withFigures(page: string, series: Readonly<Record<string, Series>>): string {
  const [before, rest] = page.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`no place for figures: ${begin} … ${end}`);
  return `${before}${begin}\n\n${figures(series)}\n\n${end}${after}`;
}

function figures(series: Readonly<Record<string, Series>>): string {
  const rows = Object.values(series)
    // What it takes without operator or API server stands on the page of the benchmark.
    .filter(({ title, runs }) => runs.length > 0 && !title.includes(', without '))
    .map(({ title, runs, date }) => {
      const outages = runs.map((run) => run.outageMs);
      const lost = runs.reduce((sum, run) => sum + run.lost, 0);
      return [
        title,
        seconds(percentile(outages, 50)),
        seconds(Math.max(...outages)),
        String(lost),
        String(runs.length),
        date,
      ];
    });
  const head = ['What happened to the primary', 'Outage, p50', 'max', 'Writes lost', 'Runs', 'Measured'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Rounded up: nothing looks better than it was. */
const seconds = (milliseconds: number): string => `${(Math.ceil(milliseconds / 10) / 100).toFixed(2)} s`;
