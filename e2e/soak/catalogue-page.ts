/** docs/compatibility/fault-catalogue.md: each entry, where it is made, or why not. */
import path from 'node:path';
import { format } from 'prettier';
import { scenarios } from '../scenario.ts';
import '../scenarios/all.ts';
import { catalogue, type Entry } from './catalogue.ts';
import { faultKinds, faultNames, type FaultName } from './fault-kinds.ts';

export const cataloguePageFile = path.join(import.meta.dirname, '../../docs/compatibility/fault-catalogue.md');

/** Kinds of the soak that are this entry. */
export function overlappingFaultsOf({ id }: Pick<Entry, 'id'>): readonly FaultName[] {
  return faultNames.filter((name) => faultKinds[name].entries.includes(id));
}

export async function cataloguePage(): Promise<string> {
  const entries = catalogue.flatMap((chapter) => chapter.entries);
  const overlapping = entries.filter((entry) => overlappingFaultsOf(entry).length > 0).length;
  const nowhere = entries.filter((entry) => placesOf(entry).length === 0).length;
  const lines = [
    '# The fault catalogue',
    '',
    '<!-- Written by `node e2e/soak/write-pages.ts` from e2e/soak/catalogue.ts and fault-kinds.ts; edit nothing here. -->',
    '',
    'What an operator of databases must survive, after the bugs and tests of Patroni, CloudNativePG, pg_auto_failover, stolon, moco, mysync, Acto, Sieve and Jepsen, ' +
      `and where it is made to happen here. **In bold**: faults that [\`make soak\`](../benchmarks/soak.md) lets overlap on the local cluster (${overlapping} of ${entries.length} entries). ` +
      'Rows: of the [kill matrix](kill-matrix.md), one fault at a time (`make soak MATRIX=1`). The rest are scenarios, tests on real servers or a real API server ' +
      '(`make faults`), or bugs put into the protocol on purpose, which the simulator must catch. ' +
      `${nowhere} entries are made nowhere, with the reason.`,
    '',
    ...catalogue.flatMap(({ title, entries: own }) => [
      `## ${title}`,
      '',
      '| Entry | Fault | Where | What is not done |',
      '| --- | --- | --- | --- |',
      ...own.map(
        (entry) => `| ${[entry.id, entry.what, placesOf(entry).join(', '), entry.without ?? ''].join(' | ')} |`,
      ),
      '',
    ]),
  ];
  return format(lines.join('\n'), { parser: 'markdown', printWidth: 120 });
}

function placesOf(entry: Entry): readonly string[] {
  const { matrix = [], scenarios: titles = [], tests = [] } = entry;
  return [
    ...overlappingFaultsOf(entry).map((name) => `**${name}**`),
    ...(matrix.length === 0 ? [] : [`[row${matrix.length > 1 ? 's' : ''} ${matrix.join(', ')}](kill-matrix.md)`]),
    ...titles.map((title) => `[${title}](../../e2e/scenarios/${fileOf(title)})`),
    ...tests.map(([file, says]) => `[${says}](../../${file})`),
  ];
}

function fileOf(title: string): string {
  const found = scenarios().find((scenario) => scenario.title === title);
  if (found === undefined) throw new Error(`the catalogue names “${title}”, but no scenario is called so`);
  return found.file;
}
