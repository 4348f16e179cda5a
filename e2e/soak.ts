/** `node e2e/soak.ts [--rounds N] [--hours H] [--seed S] [--deployed] [--engine mysql] [--publish | --postgres 17] [TITLE …]`: the kill matrix in random order, until something is wrong. */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { apiServer } from '../hack/testbed/api-server.ts';
import { chooseCluster } from '../hack/testbed/cluster-access.ts';
import { deploy } from '../hack/testbed/deployment.ts';
import type { FinalReport } from '../hack/testbed/writer.ts';
import { engineNamed } from '../hack/testbed/engines.ts';
import { createRandom } from '../operator/simulation/random.ts';
import { killMatrixOf } from './kill-matrix.ts';
import { publishKillMatrix, type Measured } from './kill-matrix-page.ts';
import { play } from './play.ts';
import { scenarios } from './scenario.ts';
import { drawnRounds } from './soak-order.ts';
import { openStage } from './world.ts';

const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    /** At most; each plays every scenario of the matrix once. */
    rounds: { type: 'string', default: '1' },
    /** At most: nothing is begun later. */
    hours: { type: 'string', default: '24' },
    seed: { type: 'string' },
    /** Images, cluster and chart are there already. */
    deployed: { type: 'boolean', default: false },
    /** postgres or mysql. */
    engine: { type: 'string' },
    /** Writes its page in docs/compatibility. */
    publish: { type: 'boolean', default: false },
    /** Its major version, in place of the default. */
    postgres: { type: 'string' },
  },
});
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
}
const rounds = numberOf('rounds', values.rounds);
const hours = numberOf('hours', values.hours);
const seed = values.seed === undefined ? Math.floor(Date.now() / 1000) : numberOf('seed', values.seed);

const engine = engineNamed(values.engine);
const titles = new Set(killMatrixOf(engine.name).flatMap((row) => row.scenarios));
const chosen = scenarios(engine.name)
  .filter(({ title }) => titles.has(title))
  .filter(
    ({ title }) => wanted.length === 0 || wanted.some((word) => title.toLowerCase().includes(word.toLowerCase())),
  );
if (chosen.length === 0) {
  say(`No scenario of the kill matrix has ${wanted.join(' or ')} in its title.`);
  process.exit(2);
}
if (values.publish && values.postgres !== undefined) {
  say('The page shows the default version of PostgreSQL: publish without --postgres.');
  process.exit(2);
}
const access = chooseCluster();
if (access.kind === 'own')
  throw new Error('The soak switches nodes off: it runs on the local cluster only. Unset KUBECONFIG.');

say(`soak: engine=${engine.name} seed=${seed} rounds=${rounds} hours=${hours} scenarios=${chosen.length}`);
const end = performance.now() + hours * 3_600_000;
const total = { rounds: 0, scenarios: 0, writes: 0, lost: 0, late: 0, longestGapMs: 0 };
const measured: Record<string, Measured> = {};

if (!values.deployed) await deploy(access, { say: (line) => say(`  ${line}`), signal: stop.signal });
const api = apiServer(access.kubeconfig);
const stage = await openStage(access, api, stop.signal, { engine, version: values.postgres });
let failure: string | undefined;
try {
  failure = await playRounds();
} finally {
  await stage.remove();
  api.close();
}
if (values.publish) await publishKillMatrix(engine.name, measured);
const { writes, lost, late } = total;
say(
  `soak: rounds=${total.rounds} scenarios=${total.scenarios} writes=${writes} lost=${lost} late=${late} ` +
    `longest-gap-ms=${total.longestGapMs} seed=${seed} ${failure !== undefined ? 'FAILED' : isStopped() ? 'stopped' : 'ok'}`,
);
if (failure !== undefined) {
  say(`        ${failure}`);
  process.exitCode = 1;
}

/** Resolves with the first failure. */
async function playRounds(): Promise<string | undefined> {
  for (const round of drawnRounds(chosen, rounds, createRandom(seed))) {
    for (const { scenario, ...drawn } of round) {
      if (isOver()) return undefined;
      const played = await play(scenario, { access, stage, say, signal: stop.signal, ...drawn });
      count(played.reports);
      // What a person has ended is no violation; what took longer than the hours given is judged all the same.
      if (played.outcome === 'failed') return isStopped() ? undefined : `${scenario.title}: ${played.message}`;
      keep(scenario.title, played.reports);
    }
    total.rounds += 1;
  }
  return undefined;
}

function isStopped(): boolean {
  return stop.signal.aborted;
}

function isOver(): boolean {
  return isStopped() || performance.now() > end;
}

function count(reports: readonly FinalReport[]): void {
  total.scenarios += 1;
  for (const { acked, lost, late } of reports) {
    total.writes += acked;
    total.lost += lost;
    total.late += late;
  }
  total.longestGapMs = Math.max(total.longestGapMs, gapOf(reports));
}

function keep(title: string, reports: readonly FinalReport[]): void {
  const before = measured[title];
  measured[title] = {
    date: new Date().toISOString().slice(0, 10),
    plays: (before?.plays ?? 0) + 1,
    longestGapMs: Math.max(before?.longestGapMs ?? 0, gapOf(reports)),
    writes: (before?.writes ?? 0) + reports.reduce((sum, { acked }) => sum + acked, 0),
  };
}

/** Of the first client, which follows the primary. */
function gapOf([first]: readonly FinalReport[]): number {
  return first?.state.longestGapMs ?? 0;
}

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  say(`--${name} is “${text}”: give a number above 0.`);
  process.exit(2);
}
