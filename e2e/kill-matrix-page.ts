/** docs/compatibility/kill-matrix.md, and -mysql.md: each row, its scenarios, its goal, and what the last soak has measured. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { format } from 'prettier';
import { testedEngines } from '../hack/testbed/engines.ts';
import type { EngineName } from '../operator/api/cluster-state.ts';
import { killMatrixOf, type Row } from './kill-matrix.ts';
import { isUsual, scenarios } from './scenario.ts';
import './scenarios/all.ts';

export interface Measured {
  readonly date: string;
  readonly plays: number;
  /** Without an acknowledged write, the worst of all plays. */
  readonly longestGapMs: number;
  readonly writes: number;
}

const folder = path.join(import.meta.dirname, '../docs/compatibility');
const fileOf = (engine: EngineName, extension: 'md' | 'json'): string =>
  path.join(folder, `kill-matrix${engine === 'postgres' ? '' : `-${engine}`}.${extension}`);
export const pageOf = (engine: EngineName): string => fileOf(engine, 'md');

/** Replaces what was measured anew, and leaves the rest. */
export async function publishKillMatrix(engine: EngineName, fresh: Readonly<Record<string, Measured>>): Promise<void> {
  const known = { ...(await measuredSoFar(engine)), ...fresh };
  const titles = killMatrixOf(engine).flatMap((row) => row.scenarios);
  const measured = Object.fromEntries(Object.entries(known).filter(([title]) => titles.includes(title)));
  await mkdir(folder, { recursive: true });
  const kept = await format(JSON.stringify(measured), { parser: 'json', printWidth: 120 });
  await writeFile(fileOf(engine, 'json'), kept);
  await writeFile(pageOf(engine), await killMatrixPage(engine, measured));
}

export async function measuredSoFar(engine: EngineName): Promise<Readonly<Record<string, Measured>>> {
  return readFile(fileOf(engine, 'json'), 'utf8').then(
    (text) => JSON.parse(text) as Readonly<Record<string, Measured>>,
    () => ({}),
  );
}

export async function killMatrixPage(
  engine: EngineName,
  measured: Readonly<Record<string, Measured>>,
): Promise<string> {
  const isFirst = engine === 'postgres';
  const { product } = testedEngines[engine];
  const rows = killMatrixOf(engine);
  const lines = [
    `# The kill matrix${isFirst ? '' : ` with ${product}`}`,
    '',
    '<!-- Written by e2e/kill-matrix-page.ts from e2e/kill-matrix.ts and what `make soak MATRIX=1` has measured; edit nothing here. -->',
    '',
    'Ways to hurt a cluster, after the tests of Patroni, stolon, pg_auto_failover, mysync and Jepsen, most of which none of them has. ' +
      (isFirst
        ? 'The same is played with MySQL: [its page](kill-matrix-mysql.md). '
        : 'These are the scenarios of [PostgreSQL](kill-matrix.md), with MySQL in its place. ') +
      `\`make soak MATRIX=1${isFirst ? '' : ' ENGINE=mysql'}\` plays all of ` +
      'them in random order, one fault at a time (`ROUNDS=3`, `HOURS=8`, `SEED=…` to repeat one), half of them without an operator, and ends at the first violation with a dump ' +
      'of the state in `build/e2e`. `make test` plays those that are printed in bold. A client writes over three connections all the time; at the end ' +
      'its history is compared with the table ([verdict.ts](../../hack/writer/verdict.ts)): every acknowledged write is there once, under the timeline that ' +
      'acknowledged it and in the order of real time; an acknowledgement of an older timeline that comes late is right only if the newer log holds the ' +
      'write; nothing that was sent after a newer timeline had acknowledged may be acknowledged by an older one. ' +
      '_Longest gap_ is the worst time without an acknowledged write in all plays, on a small machine that does all of it at once, power cycles included; ' +
      '[How long a failover takes](../benchmarks/failover.md) has the careful figures.',
    '',
    '| Row | What | Scenario | Goal | Plays | Longest gap | Acknowledged, all found |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows.flatMap((row) => rowLines(engine, row, measured)),
    '',
    '## What is not done as the row says',
    '',
    ...rows.flatMap(({ number, what, without }) =>
      without === undefined ? [] : [`- Row ${number} (${what}): ${without}.`],
    ),
    '',
  ];
  return format(lines.join('\n'), { parser: 'markdown', printWidth: 120 });
}

function rowLines(
  engine: EngineName,
  { number, what, goal, scenarios: titles }: Row,
  measured: Readonly<Record<string, Measured>>,
): readonly string[] {
  const cells = (...texts: readonly string[]): string => `| ${texts.join(' | ')} |`;
  if (titles.length === 0) return [cells(String(number), what, 'none, see below', goal, '', '', '')];
  return titles.map((title, index) => {
    const about = index === 0 ? [String(number), what, goal] : ['', '', ''];
    const known = measured[title];
    const figures =
      known === undefined
        ? ['not yet', '', '']
        : [`${known.plays}`, `${(known.longestGapMs / 1000).toFixed(1)} s`, `${known.writes}`];
    return cells(about[0] ?? '', about[1] ?? '', linkTo(engine, title), about[2] ?? '', ...figures);
  });
}

function linkTo(engine: EngineName, title: string): string {
  const found = scenarios().find((scenario) => scenario.title === title);
  if (found === undefined) throw new Error(`the kill matrix names “${title}”, but no scenario is called so`);
  const name = isUsual(found, engine) ? `**${title}**` : title;
  return `[${name}](../../e2e/scenarios/${found.file})`;
}
