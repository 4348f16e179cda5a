/** What is kept of all runs, and the page made of it. */
import { execFile } from 'node:child_process';
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { format } from 'prettier';
import { repository } from '../testbed/cluster-access.ts';
import type { TestedEngine } from '../testbed/engines.ts';
import type { FailedRun, Goal, Run } from './scenario.ts';
import { publishFigures } from './figures.ts';
import { markdownTable } from './markdown.ts';
import { percentile } from './statistics.ts';
import { milestones, reached, type Milestone } from './time-line.ts';

export interface Series {
  readonly title: string;
  readonly goal: Goal;
  readonly deadFirst?: true;
  readonly keepsPrimary?: true;
  readonly date: string;
  readonly commit: string;
  readonly runs: readonly Summary[];
  /** Runs after which the cluster did not become whole, or that could not be judged. */
  readonly failures: readonly string[];
}

type Summary = Pick<
  Run,
  | 'node'
  | 'primary'
  | 'successor'
  | 'outageMs'
  | 'epochs'
  | 'acked'
  | 'unknown'
  | 'lost'
  | 'oldPrimaryMs'
  | 'oldDatabaseDeadMs'
> & { readonly reached: Readonly<Partial<Record<Milestone, number>>> };

export interface Published {
  readonly machine: string;
  readonly series: Readonly<Record<string, Series>>;
  readonly measurements: Readonly<
    Record<string, { readonly title: string; readonly date: string; readonly lines: readonly string[] }>
  >;
}

const fileOf = ({ name }: Pick<TestedEngine, 'name'>, extension: 'md' | 'json'): string =>
  path.join(repository, `docs/benchmarks/failover${name === 'postgres' ? '' : `-${name}`}.${extension}`);
const rawFolder = path.join(repository, 'build/bench');

/** Appends to build/bench, a line each. */
export function rawResults(name: string): (result: Run | FailedRun | object) => Promise<void> {
  const file = path.join(rawFolder, `${name}.jsonl`);
  return async (result) => {
    await mkdir(rawFolder, { recursive: true });
    await appendFile(file, `${JSON.stringify(result)}\n`);
  };
}

export async function seriesOf(
  about: Pick<Series, 'title' | 'goal' | 'deadFirst' | 'keepsPrimary'>,
  runs: readonly Run[],
  failures: readonly FailedRun[],
): Promise<Series> {
  return {
    ...about,
    date: new Date().toISOString().slice(0, 10),
    commit: await commit(),
    runs: runs.map((run) => ({
      node: run.node,
      primary: run.primary,
      successor: run.successor,
      outageMs: run.outageMs,
      epochs: run.epochs,
      acked: run.acked,
      unknown: run.unknown,
      lost: run.lost,
      ...(run.oldPrimaryMs === undefined ? {} : { oldPrimaryMs: run.oldPrimaryMs }),
      ...(run.oldDatabaseDeadMs === undefined ? {} : { oldDatabaseDeadMs: run.oldDatabaseDeadMs }),
      reached: reached(run.steps),
    })),
    failures: failures.map(({ failure }) => failure),
  };
}

/** Replaces what was measured anew in docs/benchmarks, and leaves the rest. */
export async function publish(fresh: Omit<Published, 'machine'>, engine: TestedEngine): Promise<void> {
  const [page, kept] = [fileOf(engine, 'md'), fileOf(engine, 'json')];
  const former = await keptResults(engine);
  const published: Published = {
    machine: machine(),
    series: { ...former?.series, ...fresh.series },
    measurements: { ...former?.measurements, ...fresh.measurements },
  };
  await mkdir(path.dirname(page), { recursive: true });
  await writeFile(kept, await format(JSON.stringify(published), { parser: 'json', printWidth: 120 }));
  await writeFile(page, await format(markdown(published, engine), { parser: 'markdown', printWidth: 120 }));
  if (engine.name === 'postgres') await publishFigures(published.series);
}

/** As published last, if ever. */
const keptResults = (engine: Pick<TestedEngine, 'name'>): Promise<Published | undefined> =>
  readFile(fileOf(engine, 'json'), 'utf8').then(
    (text) => JSON.parse(text) as Published,
    () => undefined,
  );

export const keptSeries = async (): Promise<Published['series']> =>
  (await keptResults({ name: 'postgres' }))?.series ?? {};

export function markdown(
  { machine: host, series, measurements }: Published,
  { name: engine, kind, product }: Pick<TestedEngine, 'name' | 'kind' | 'product'>,
): string {
  const all = Object.entries(series);
  return [
    `# How long a failover takes${engine === 'postgres' ? '' : `, with ${product}`}`,
    '',
    '<!-- Written by hack/bench; edit nothing here. -->',
    '',
    `Measured by \`make bench-cluster${engine === 'postgres' ? '' : ` ENGINE=${engine}`}\` on the local cluster (three nodes on one machine: ${host}), a ${kind} of three instances, ` +
      'idle otherwise. Outage: the longest time without an acknowledged write, from the fault until all instances were back, for a ' +
      'client that writes a row every 10 ms through the Service `-rw` and reconnects. Every acknowledged write is looked up ' +
      'afterwards; *lost* counts those that are not there. The primary’s node is another one in each run.',
    '',
    ...markdownTable([
      ['Scenario', 'n', 'p50 ms', 'max ms', 'goal', 'acknowledged', 'lost', 'failed runs', 'measured'],
      ...all.map(([name, one]) => {
        const outages = one.runs.map((run) => run.outageMs);
        return [
          `${one.title} (\`${name}\`)`,
          String(one.runs.length),
          outages.length === 0 ? '–' : String(percentile(outages, 50)),
          outages.length === 0 ? '–' : String(Math.max(...outages)),
          goalText(one),
          String(sum(one.runs.map((run) => run.acked))),
          String(sum(one.runs.map((run) => run.lost))),
          String(one.failures.length),
          `${one.date}, ${one.commit}`,
        ];
      }),
    ]),
    '',
    '## Where the time goes',
    '',
    'Milliseconds since the last acknowledged write until each step was reached, median of the runs in which it was seen. ' +
      'A step that the fault makes superfluous is missing; *routed* may come before the promotion is over.',
    '',
    ...markdownTable([
      ['Scenario', ...Object.keys(milestones)],
      ...all.map(([name, one]) => [
        `\`${name}\``,
        ...(Object.keys(milestones) as Milestone[]).map((step) => {
          const seen = one.runs.flatMap((run) => run.reached[step] ?? []);
          return seen.length === 0 ? '' : String(percentile(seen, 50));
        }),
      ]),
    ]),
    ...Object.entries(measurements).flatMap(([name, { title, date, lines }]) => [
      '',
      `## ${title} (\`${name}\`, ${date})`,
      '',
      ...lines.map((line) => `- ${line}`),
    ]),
    '',
  ].join('\n');
}

export function goalText({ goal: { p50, max } }: Pick<Series, 'goal'>): string {
  const parts = [...(p50 === undefined ? [] : [`p50 ≤ ${p50}`]), ...(max === undefined ? [] : [`max ≤ ${max}`])];
  return parts.join(', ');
}

/** What is not as it should be; empty = all is. */
export function shortfalls({ goal, deadFirst, keepsPrimary, runs, failures }: Series): readonly string[] {
  const outages = runs.map((run) => run.outageMs);
  const lost = sum(runs.map((run) => run.lost));
  const twofold = runs.filter((run) => run.oldPrimaryMs !== undefined && run.oldPrimaryMs > run.outageMs);
  const overtaken = runs.filter((run) => (run.oldDatabaseDeadMs ?? Infinity) > (run.reached.claimed ?? Infinity));
  const replaced = runs.filter((run) => run.oldDatabaseDeadMs !== undefined);
  return [
    ...(keepsPrimary === true && replaced.length > 0
      ? [`${replaced.length} times the primary was replaced needlessly`]
      : []),
    ...(deadFirst === true && overtaken.length > 0
      ? [`${overtaken.length} times a primary was elected before the old database was dead`]
      : []),
    ...(twofold.length > 0 ? [`${twofold.length} times the old primary acknowledged after the new one`] : []),
    ...(failures.length > 0 ? [`${failures.length} runs failed`] : []),
    ...(lost > 0 ? [`${lost} acknowledged writes lost`] : []),
    ...(outages.length > 0 && goal.p50 !== undefined && percentile(outages, 50) > goal.p50
      ? [`p50 ${percentile(outages, 50)} ms > ${goal.p50} ms`]
      : []),
    ...(outages.length > 0 && goal.max !== undefined && Math.max(...outages) > goal.max
      ? [`max ${Math.max(...outages)} ms > ${goal.max} ms`]
      : []),
  ];
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

export function machine(): string {
  const [first] = cpus();
  const gib = Math.round(totalmem() / 1024 ** 3);
  return `${cpus().length} × ${first?.model.trim() ?? 'unknown'}, ${gib} GiB, Linux ${release()}`;
}

export async function commit(): Promise<string> {
  const git = promisify(execFile);
  const { stdout } = await git('git', ['describe', '--always', '--dirty'], { cwd: repository });
  return stdout.trim();
}
