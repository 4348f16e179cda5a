/** `node e2e/main.ts [--results FILE] [--deployed] [--postgres 17] [TITLE …]`: scenarios on a real Kubernetes, one after another. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { apiServer } from '../hack/testbed/api-server.ts';
import { chooseCluster } from '../hack/testbed/cluster-access.ts';
import { deploy } from '../hack/testbed/deployment.ts';
import { messageOf, play } from './play.ts';
import type { Result } from './result.ts';
import { scenarios } from './scenario.ts';
import './scenarios/all.ts';
import { openStage } from './world.ts';

const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    /** Where to write the results as JSON. */
    results: { type: 'string' },
    /** Images, cluster and chart are there already. */
    deployed: { type: 'boolean', default: false },
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
// Those that are for `make soak` alone are played when they are asked for.
const chosen = scenarios().filter(({ title, options }) =>
  wanted.length === 0
    ? options.runs !== 'soak'
    : wanted.some((word) => title.toLowerCase().includes(word.toLowerCase())),
);
if (chosen.length === 0) {
  say(
    `No scenario has ${wanted.join(' or ')} in its title:\n${scenarios()
      .map(({ title }) => `  ${title}`)
      .join('\n')}`,
  );
  process.exit(2);
}

const results: Result[] = [];
try {
  if (!values.deployed) await deploy(access, { say: (line) => say(`  ${line}`), signal: stop.signal });
  const api = apiServer(access.kubeconfig);
  const stage = await openStage(access, api, stop.signal, values.postgres);
  try {
    for (const [index, scenario] of chosen.entries()) {
      const { title } = scenario;
      if (scenario.options.localNodes === true && access.kind === 'own') {
        say(`skipped  ${title}: needs nodes that may be switched off (the local cluster)`);
        results.push({ title, outcome: 'skipped', seconds: 0 });
        continue;
      }
      const played = await play(scenario, { access, stage, say, signal: stop.signal, seed: index });
      results.push({
        title,
        outcome: played.outcome,
        seconds: played.seconds,
        ...(played.outcome === 'failed' && { message: played.message }),
      });
    }
  } finally {
    await stage.remove();
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
say(`e2e: ${count('passed')} passed, ${count('failed')} failed, ${count('skipped')} skipped`);
if (count('failed') > 0) process.exitCode = 1;
