/** `node hack/bench/main.ts [--runs N] [--minutes M] [--engine mysql] [--deployed] [--publish] [SCENARIO …]`: how long failovers take on the local cluster. */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { apiServer } from '../testbed/api-server.ts';
import { chooseCluster } from '../testbed/cluster-access.ts';
import { deploy } from '../testbed/deployment.ts';
import { engineNamed } from '../testbed/engines.ts';
import { openArena, type Arena } from './arena.ts';
import { faults } from './faults.ts';
import { idle } from './idle.ts';
import { goalText, publish, rawResults, seriesOf, shortfalls, type Series } from './results.ts';
import { strikeOnce } from './run.ts';
import { publish as publishSideBySide } from './side-by-side/publish.ts';
import { saturated } from './saturated.ts';
import { mysqlThroughput } from './mysql-throughput.ts';
import { throughput } from './throughput.ts';
import type { FailedRun, Fault, Measured, Measurement, Run, Without } from './scenario.ts';
import { percentile } from './statistics.ts';
import { reached } from './time-line.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '10' },
    /** Of scenarios that last: saturated, idle, and each run of throughput. */
    minutes: { type: 'string' },
    /** postgres or mysql. */
    engine: { type: 'string' },
    /** Images, cluster and chart are there already. */
    deployed: { type: 'boolean', default: false },
    /** Writes docs/benchmarks. */
    publish: { type: 'boolean', default: false },
  },
});
const engine = engineNamed(values.engine);
const runs = Number(values.runs);
const minutes = values.minutes === undefined ? undefined : Number(values.minutes);

const everything: readonly (Fault | Measurement)[] = [
  ...faults.filter((fault) => fault.engine === undefined || fault.engine === engine.name),
  ...(engine.name === 'postgres' ? [idle, throughput, saturated] : [mysqlThroughput]),
];
/** Failover must need neither; tried where it is hardest. */
const variants = ['switchover', engine.name === 'postgres' ? 'postgres-killed' : 'mysqld-killed', 'node-lost'].flatMap(
  (name) => [`${name}+no-operator`, `${name}+no-api`, `${name}+no-operator+no-api`],
);
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
}

interface Chosen {
  readonly label: string;
  readonly scenario: Fault | Measurement;
  readonly without: Without;
}
const names = positionals.length > 0 ? positionals : [...everything.map(({ name }) => name), ...variants];
const chosen = names.map(choose);
const access = chooseCluster();
if (access.kind === 'own')
  throw new Error('The benchmark switches nodes off: it runs on the local cluster only. Unset KUBECONFIG.');
if (!values.deployed) await deploy(access, { say: (line) => say(`  ${line}`), signal: stop.signal });
const api = apiServer(access.kubeconfig);
const arena = await openArena(access, api, stop.signal, engine);
const raw = rawResults(new Date().toISOString().replaceAll(/[:.]/g, '-'));
const series: Record<string, Series> = {};
const measurements: Record<string, { title: string; date: string; lines: readonly string[] }> = {};
try {
  for (const one of chosen) {
    stop.signal.throwIfAborted();
    if (one.scenario.kind === 'fault') series[one.label] = await playSeries(arena, one.scenario, one);
    else {
      const { title } = one.scenario;
      const { passed, lines, data } = await takeMeasure(arena, one.scenario);
      await raw({ scenario: one.label, passed, ...data });
      measurements[one.label] = { title, date: new Date().toISOString().slice(0, 10), lines };
    }
    if (values.publish) {
      await publish({ series, measurements }, engine);
      // Some of these figures stand there as well.
      await publishSideBySide([]);
    }
  }
} finally {
  await arena.nodes.restore();
  await arena.useOperator(true);
  await arena.close();
  api.close();
}

async function playSeries(where: Arena, fault: Fault, { label, without }: Chosen): Promise<Series> {
  say(
    `\n${label}: ${fault.title}${without.operator ? ', no operator' : ''}${without.apiServer ? ', no API server' : ''}`,
  );
  const done: Run[] = [];
  const failed: FailedRun[] = [];
  await where.useDurability(fault.durability);
  await where.whole();
  const undo = await fault.prepare?.(where);
  try {
    await where.useOperator(!without.operator);
    for (let number = 0; number < runs; number += 1) {
      stop.signal.throwIfAborted();
      const at = new Date().toISOString();
      try {
        const run = await strikeOnce(where, { fault, without, label, number });
        done.push(run);
        await raw(run);
        say(describe(run));
      } catch (error) {
        stop.signal.throwIfAborted();
        const failure = error instanceof Error ? error.message : String(error);
        failed.push({ scenario: label, run: number, at, failure });
        await raw(failed.at(-1) ?? {});
        say(`  run ${number}: FAILED: ${failure}`);
        await where.nodes.restore();
        // Volumes on other disks can't be renewed: then the next run shows whether it healed by itself.
        if (undo === undefined) await where.whole().catch(() => where.renew());
        else await where.whole();
      }
    }
  } finally {
    await undo?.();
    await where.useOperator(true);
    await where.useDurability('Strict');
  }
  const result = await seriesOf(
    {
      title: variantTitle(fault.title, without),
      goal: (engine.name === 'mysql' ? fault.mysqlGoal : undefined) ?? fault.goal,
      ...(fault.deadFirst && { deadFirst: true }),
      ...(fault.keepsPrimary && { keepsPrimary: true }),
    },
    done,
    failed,
  );
  const outages = done.map(({ outageMs }) => outageMs);
  const missed = shortfalls(result);
  if (outages.length > 0)
    say(
      `  n ${outages.length}, p50 ${percentile(outages, 50)} ms, max ${Math.max(...outages)} ms (${goalText(result)})`,
    );
  say(missed.length === 0 ? '  as it should be' : `  NOT as it should be: ${missed.join('; ')}`);
  if (missed.length > 0) process.exitCode = 1;
  return result;
}

async function takeMeasure(where: Arena, measurement: Measurement): Promise<Measured> {
  say(`\n${measurement.name}: ${measurement.title}`);
  const measured = await measurement.measure(where, { minutes });
  for (const line of measured.lines) say(`  ${line}`);
  if (!measured.passed) process.exitCode = 1;
  return measured;
}

function describe(run: Run): string {
  const steps = Object.entries(reached(run.steps))
    .map(([name, ms]) => `${name} ${ms}`)
    .join(', ');
  const odd = [
    ...(run.epochs === 1 ? [] : [`${run.epochs} epochs`]),
    ...(run.oldPrimaryMs === undefined ? [] : [`old primary’s last acknowledgement at ${run.oldPrimaryMs} ms`]),
  ];
  if (run.oldDatabaseDeadMs !== undefined) odd.push(`old database dead at ${run.oldDatabaseDeadMs} ms`);
  return (
    `  run ${run.run} on ${run.node}: ${run.outageMs} ms, ${run.lost} of ${run.acked} lost` +
    `${odd.length === 0 ? '' : `, ${odd.join(', ')}`}; ${steps}`
  );
}

function variantTitle(title: string, { operator, apiServer }: Without): string {
  const missing = [...(operator ? ['operator'] : []), ...(apiServer ? ['API server'] : [])];
  return missing.length === 0 ? title : `${title}, without ${missing.join(' and ')}`;
}

function choose(label: string): Chosen {
  const [name, ...conditions] = label.split('+');
  const scenario = everything.find((one) => one.name === name);
  const strange = conditions.filter((condition) => condition !== 'no-operator' && condition !== 'no-api');
  if (scenario === undefined || strange.length > 0) {
    say(`No such scenario: ${label}. There are: ${everything.map((one) => one.name).join(' ')}`);
    say('A fault may carry +no-operator and +no-api, as in node-lost+no-operator+no-api.');
    process.exit(2);
  }
  const without = { operator: conditions.includes('no-operator'), apiServer: conditions.includes('no-api') };
  return { label, scenario, without };
}
