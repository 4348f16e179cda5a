/** `node e2e/main.ts [--results FILE] [--deployed] [--engine mysql] [--postgres 17] [TITLE …]`: scenarios on a real Kubernetes, one after another. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { apiServer, type ApiServer } from '../hack/testbed/api-server.ts';
import { chooseCluster } from '../hack/testbed/cluster-access.ts';
import { deploy } from '../hack/testbed/deployment.ts';
import { engineNamed, testedEngines, type TestedEngine } from '../hack/testbed/engines.ts';
import { messageOf, play } from './play.ts';
import type { Result } from './result.ts';
import { isUsual, scenarios, type Scenario } from './scenario.ts';
import './scenarios/all.ts';
import { openStage } from './world.ts';

const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    /** Where to write the results as JSON. */
    results: { type: 'string' },
    /** Images, cluster and chart are there already. */
    deployed: { type: 'boolean', default: false },
    /** postgres or mysql. Default: all of PostgreSQL's, and a handful of MySQL's; with titles, PostgreSQL's. */
    engine: { type: 'string' },
    /** Its major version, in place of the default. */
    postgres: { type: 'string' },
  },
});

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
}
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const access = chooseCluster();
// Those that are not for every `make test` are played when they, or their engine, are asked for; those of the soak by title only.
const playedOn = (engine: TestedEngine): readonly Scenario[] =>
  scenarios(engine.name).filter((one) =>
    wanted.length === 0
      ? isUsual(one, engine.name) || (values.engine !== undefined && one.options.runs !== 'soak')
      : wanted.some((word) => one.title.toLowerCase().includes(word.toLowerCase())),
  );
const engines =
  values.engine === undefined && wanted.length === 0 && values.postgres === undefined
    ? Object.values(testedEngines)
    : [engineNamed(values.engine)];
const chosen = engines.flatMap(playedOn);
if (chosen.length === 0) {
  say(
    `No scenario has ${wanted.join(' or ')} in its title:\n${scenarios()
      .map(({ title }) => `  ${title}`)
      .join('\n')}`,
  );
  process.exit(2);
}

const results: Result[] = [];
/** Acknowledged, and looked up afterwards. */
let writes = 0;
try {
  if (!values.deployed) await deploy(access, { say: (line) => say(`  ${line}`), signal: stop.signal });
  const api = apiServer(access.kubeconfig);
  try {
    for (const engine of engines) await playAll(api, engine);
  } finally {
    api.close();
  }
} catch (error) {
  results.push({ title: 'e2e', outcome: 'failed', seconds: 0, message: messageOf(error) });
}
if (values.results !== undefined) {
  await mkdir(path.dirname(values.results), { recursive: true });
  await writeFile(values.results, JSON.stringify(results, null, 2));
}
const count = (outcome: Result['outcome']): number => results.filter((result) => result.outcome === outcome).length;
for (const { title, message } of results.filter((result) => result.outcome === 'failed'))
  say(`FAILED  ${title}\n        ${message ?? ''}`);
say(
  `e2e: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped; ${writes} acknowledged writes looked up`,
);
if (count('failed') > 0) process.exitCode = 1;

async function playAll(api: ApiServer, engine: TestedEngine): Promise<void> {
  const stage = await openStage(access, api, stop.signal, { engine, version: values.postgres });
  try {
    for (const [index, scenario] of playedOn(engine).entries()) {
      const title = engine.name === 'postgres' ? scenario.title : `${scenario.title}, with ${engine.product}`;
      if (scenario.options.localNodes === true && access.kind === 'own') {
        say(`skipped  ${title}: needs nodes that may be switched off (the local cluster)`);
        results.push({ title, outcome: 'skipped', seconds: 0 });
        continue;
      }
      const played = await play(scenario, { access, stage, say, signal: stop.signal, seed: index });
      writes += played.reports.reduce((sum, { acked }) => sum + acked, 0);
      results.push({
        title,
        outcome: played.outcome,
        seconds: played.seconds,
        ...(played.outcome === 'failed' && { message: played.message }),
      });
    }
  } finally {
    await stage.remove();
  }
}
