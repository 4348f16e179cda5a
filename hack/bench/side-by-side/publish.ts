/** docs/benchmarks/side-by-side.*, and the README's part of it. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { format } from 'prettier';
import { repository } from '../../testbed/cluster-access.ts';
import { withBlock } from '../markdown.ts';
import { keptSeries } from '../results.ts';
import { plotsOf, shortTable, sideBySidePage } from './page.ts';
import { linesOf, parseRecords, renewed, type BenchRecord } from './record.ts';

const folder = path.join(repository, 'docs/benchmarks');
const raw = path.join(folder, 'side-by-side.jsonl');
const readme = path.join(repository, 'README.md');

export const publishedRecords = async (): Promise<readonly BenchRecord[]> =>
  parseRecords(await readFile(raw, 'utf8').catch(() => ''));

/** Replaces what was measured anew, and makes page, plots and table again. */
export async function publish(fresh: readonly BenchRecord[]): Promise<void> {
  const records = renewed(await publishedRecords(), fresh);
  if (records.length === 0) return;
  await writeFile(raw, linesOf(records));
  await mkdir(path.join(folder, 'side-by-side'), { recursive: true });
  await rm(path.join(folder, 'side-by-side'), { recursive: true });
  await mkdir(path.join(folder, 'side-by-side'));
  for (const [file, text] of await pagesOf(records)) await writeFile(path.join(repository, file), text);
}

/** By their names in the repository: what the records make of them. */
export async function pagesOf(records: readonly BenchRecord[]): Promise<ReadonlyMap<string, string>> {
  if (records.length === 0) return new Map();
  const markdown = (text: string): Promise<string> => format(text, { parser: 'markdown', printWidth: 120 });
  const page = sideBySidePage({ records, cluster: await keptSeries() });
  return new Map([
    ['docs/benchmarks/side-by-side.md', await markdown(page)],
    ['README.md', await markdown(withBlock(await readFile(readme, 'utf8'), 'side by side', shortTable(records)))],
    ...[...plotsOf(records)].map(([file, text]): [string, string] => [`docs/benchmarks/${file}`, text]),
  ]);
}
