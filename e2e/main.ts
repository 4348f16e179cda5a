/** `node e2e/main.ts [--results FILE] [--deployed] [TITLE …]`: scenarios on a real Kubernetes, one after another. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { apiServer } from '../hack/testbed/api-server.ts';
import { chooseCluster, repository } from '../hack/testbed/cluster-access.ts';
import { deploy } from '../hack/testbed/deployment.ts';
import { seconds } from '../hack/testbed/until.ts';
import type { FinalReport } from '../hack/testbed/writer.ts';
import { violationsOf } from '../hack/writer/verdict.ts';
import type { Result } from './result.ts';
import { scenarios, type Scenario } from './scenario.ts';
import './scenarios/all.ts';
import { dumpState } from './state-dump.ts';
import { openStage, type Stage } from './world.ts';

const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    /** Where to write the results as JSON. */
    results: { type: 'string' },
    /** Images, cluster and chart are there already. */
    deployed: { type: 'boolean', default: false },
  },
});

/** Nothing that is expected takes this long; a hung call must not keep the others from running. */
const scenarioLimitMs = seconds(600);

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
}
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const access = chooseCluster();
const chosen = scenarios().filter(
  ({ title }) => wanted.length === 0 || wanted.some((word) => title.toLowerCase().includes(word.toLowerCase())),
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
  const stage = await openStage(access, api, stop.signal);
  try {
    for (const scenario of chosen) results.push(await play(scenario, stage));
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

async function play(scenario: Scenario, stage: Stage): Promise<Result> {
  const { title } = scenario;
  if (stop.signal.aborted) return { title, outcome: 'failed', seconds: 0, message: messageOf(stop.signal.reason) };
  if (scenario.options.localNodes === true && access.kind === 'own') {
    say(`skipped  ${title}: needs nodes that may be switched off (the local cluster)`);
    return { title, outcome: 'skipped', seconds: 0 };
  }
  const start = performance.now();
  const elapsed = (): number => Number(((performance.now() - start) / 1000).toFixed(1));
  say(`…        ${title}`);
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(scenarioLimitMs)]);
  let restore: (() => Promise<void>) | undefined;
  try {
    const prepared = await stage.prepare(scenario, signal);
    restore = prepared.restore;
    await scenario.body(prepared.world);
    const report = await prepared.finish();
    if (report !== undefined) checkHistory(report);
    await restore();
    say(`ok       ${title}  (${elapsed()} s${report === undefined ? '' : `, ${summaryOf(report)}`})`);
    return { title, outcome: 'passed', seconds: elapsed() };
  } catch (error) {
    const message = messageOf(error);
    say(`FAILED   ${title}  (${elapsed()} s)\n         ${message}`);
    const folder = path.join(repository, 'build/e2e', title.replaceAll(/[^a-z0-9]+/gi, '-'));
    await rm(folder, { recursive: true, force: true });
    await dumpState(access, stage.namespace(), folder).catch((cause: unknown) => say(messageOf(cause)));
    await writeFile(path.join(folder, 'failure.txt'), error instanceof Error ? (error.stack ?? message) : message);
    say(`         state: ${path.relative(repository, folder)}`);
    for (const undo of [restore, stage.giveUp]) await undo?.().catch((cause: unknown) => say(messageOf(cause)));
    return { title, outcome: 'failed', seconds: elapsed(), message };
  }
}

function checkHistory(report: FinalReport): void {
  const violations = violationsOf(report);
  if (violations.length > 0) throw new Error(violations.join('; '));
}

function summaryOf({ acked, state }: FinalReport): string {
  return `${acked} writes, 0 lost, longest gap ${state.longestGapMs} ms`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
