/**
 * `node hack/bench/side-by-side/main.ts [--runs N] [--minutes M] [--no-cost] [--built] [--publish | --pages] [CASE …]`: Mainstay and Patroni under the
 * same faults, in turn, without Kubernetes. Everything runs in namespaces that end with this program.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { parseArgs, promisify } from 'node:util';
import { artifact } from '../../cluster/artifacts.ts';
import { stateFolder } from '../../cluster/layout.ts';
import { withLock } from '../../cluster/lock.ts';
import { databaseRoot } from '../../container/root.ts';
import { whyNoContainer } from '../../container/container.ts';
import { buildImages } from '../../images/build.ts';
import { bundleProgram } from '../../build/bundle.ts';
import { repository } from '../../testbed/cluster-access.ts';
import { commit } from '../results.ts';
import { cases } from './cases.ts';
import { packageVersions } from './patroni.ts';
import { publish } from './publish.ts';
import { parseRecords, wrongIn } from './record.ts';
import type { StageOptions } from './stage.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  allowNegative: true,
  options: {
    runs: { type: 'string', default: '5' },
    /** No run is begun later than that. */
    minutes: { type: 'string' },
    cost: { type: 'boolean', default: true },
    /** The image is there already. */
    built: { type: 'boolean', default: false },
    /** Into docs/benchmarks and the README. */
    publish: { type: 'boolean', default: false },
    /** Measures nothing: the pages anew, from what has been published. */
    pages: { type: 'boolean', default: false },
  },
});
const unknown = positionals.filter((name) => !cases.some((one) => one.name === name));
const runs = Number(values.runs);
const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
const wrong = [
  ...unknown.map((name) => `There is no case "${name}". There are: ${cases.map((one) => one.name).join(' ')}`),
  ...(Number.isInteger(runs) && runs >= 0 ? [] : [`--runs is "${values.runs}": give a whole number, as in RUNS=5`]),
  ...(minutes === undefined || minutes > 0 ? [] : [`--minutes is "${values.minutes ?? ''}": give a number above 0`]),
];
if (wrong.length > 0) {
  process.stderr.write(`${wrong.join('\n')}\n`);
  process.exit(2);
}
if (values.pages) {
  await publish([]);
  process.exit(0);
}
const whyNot = whyNoContainer();
if (whyNot !== undefined) throw new Error(`The benchmark makes network namespaces and needs root: ${whyNot}`);

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
const work = path.join(path.dirname(stateFolder), 'side-by-side');
const out = path.join(
  repository,
  'build/bench',
  `side-by-side-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.jsonl`,
);

await withLock(`${work}.lock`, async () => {
  const options = await prepare();
  // Left by one that was killed.
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  await mkdir(path.dirname(out), { recursive: true });
  try {
    await stage(options);
  } finally {
    if (process.env['MAINSTAY_KEEP'] === undefined) await rm(work, { recursive: true, force: true });
  }
  process.stdout.write(`every run: ${path.relative(process.cwd(), out)}\n`);
  const records = parseRecords(await readFile(out, 'utf8').catch(() => ''));
  if (values.publish) await publish(records);
  const wrongs = records.flatMap((one) => (one.system === 'Mainstay' ? wrongIn(one) : []));
  for (const wrong of wrongs) process.stdout.write(`NOT as it should be: ${wrong}\n`);
  if (wrongs.length > 0) process.exitCode = 1;
});

async function prepare(): Promise<StageOptions> {
  if (!values.built) await buildImages(['side-by-side'], { signal: stop.signal });
  const root = await databaseRoot('side-by-side');
  if (root === undefined) throw new Error('The image side-by-side is not there: run this without --built.');
  const etcd = await artifact('etcd', stop.signal);
  const { file: agent } = await bundleProgram('agent');
  const { postgresql = '', ...peer } = await packageVersions(root);
  const { stdout } = await promisify(execFile)(etcd, ['--version']);
  const common = { postgresql, etcd: /etcd Version: (\S+)/.exec(stdout)?.[1] ?? '' };
  return {
    cases: positionals.length > 0 ? positionals : cases.map(({ name }) => name),
    runs,
    minutes,
    cost: values.cost,
    work,
    out,
    root,
    etcd,
    agent,
    versions: {
      mainstay: { mainstay: await commit(), node: process.version.slice(1), ...common },
      patroni: { ...peer, ...common },
    },
  };
}

/** In namespaces whose first process it is: they end with it, and it ends with this one. */
async function stage(options: StageOptions): Promise<void> {
  const program = path.join(import.meta.dirname, 'stage.ts');
  const child = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', 'unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'],
      ...[process.execPath, '--no-warnings', program, JSON.stringify(options)],
    ],
    // A group of its own: Ctrl-C reaches this program alone, which passes it on as the end of input.
    { stdio: ['pipe', 'inherit', 'inherit'], detached: true },
  );
  stop.signal.addEventListener('abort', () => child.stdin.end(), { once: true });
  const [code, killedBy] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  stop.signal.throwIfAborted();
  if (code !== 0) throw new Error(`the benchmark ended with ${code ?? killedBy ?? 'nothing'}`);
}
