/**
 * `node e2e/soak.ts [--hours H] [--rounds N] [--from N] [--seed S] [--engine mysql] [--deployed] [--publish | --postgres 17] [FAULT …]`:
 * overlapping faults, until something is wrong; without an engine half the time each. `--matrix … [TITLE …]`: the kill matrix in random order instead.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { apiServer } from '../hack/testbed/api-server.ts';
import { chooseCluster } from '../hack/testbed/cluster-access.ts';
import { deploy } from '../hack/testbed/deployment.ts';
import { engineNamed, testedEngines, type TestedEngine } from '../hack/testbed/engines.ts';
import { killMatrixOf } from './kill-matrix.ts';
import './scenarios/all.ts';
import { scenarios, type Scenario } from './scenario.ts';
import { faultNames, type FaultName } from './soak/fault-kinds.ts';
import { soakMatrix } from './soak/matrix.ts';
import { soakOverlapping, type Soaked } from './soak/overlapping.ts';
import { publishSoak } from './soak/page.ts';

const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    /** The kill matrix, a fault at a time. */
    matrix: { type: 'boolean', default: false },
    /** At most: nothing is begun later. */
    hours: { type: 'string' },
    /** At most. Of the matrix, one has every scenario once. */
    rounds: { type: 'string' },
    /** Plays from that round of the seed on. */
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    /** Images, cluster and chart are there already. */
    deployed: { type: 'boolean', default: false },
    /** postgres or mysql. Of the matrix: postgres by default. */
    engine: { type: 'string' },
    /** Writes docs/benchmarks/soak.md; of the matrix, its page in docs/compatibility. */
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
const usualHours = values.matrix ? 24 : 1;
const hours = values.hours === undefined ? usualHours : numberOf('hours', values.hours);
const seed = values.seed === undefined ? Math.floor(Date.now() / 1000) : numberOf('seed', values.seed);
if (values.publish && values.postgres !== undefined) {
  say('The page shows the default version of PostgreSQL: publish without --postgres.');
  process.exit(2);
}
const access = chooseCluster();
if (access.kind === 'own')
  throw new Error('The soak switches nodes off: it runs on the local cluster only. Unset KUBECONFIG.');

const run = values.matrix ? matrix() : overlapping();
if (!values.deployed) await deploy(access, { say: (line) => say(`  ${line}`), signal: stop.signal });
const api = apiServer(access.kubeconfig);
const failures = await run().finally(() => api.close());
for (const failure of failures) say(`FAILED  ${failure}`);
if (failures.length > 0) process.exitCode = 1;

function matrix(): () => Promise<readonly string[]> {
  const engine = engineNamed(values.engine);
  const rounds = values.rounds === undefined ? 1 : numberOf('rounds', values.rounds);
  const titles = new Set(killMatrixOf(engine.name).flatMap((row) => row.scenarios));
  const all = scenarios(engine.name).filter(({ title }) => titles.has(title));
  const chosen = pick<Scenario>(all, ({ title }) => title, 'scenario of the kill matrix');
  say(`soak: matrix engine=${engine.name} seed=${seed} rounds=${rounds} hours=${hours} scenarios=${chosen.length}`);
  return async () => {
    const failure = await soakMatrix({
      ...{ access, api, engine, version: values.postgres, seed, chosen, rounds },
      ...{ endMs: endAfter(hours), publish: values.publish, say, signal: stop.signal },
    });
    return failure === undefined ? [] : [failure];
  };
}

function overlapping(): () => Promise<readonly string[]> {
  const engines: readonly TestedEngine[] =
    values.engine === undefined ? Object.values(testedEngines) : [engineNamed(values.engine)];
  const rounds = values.rounds === undefined ? Infinity : numberOf('rounds', values.rounds);
  const from = numberOf('from', values.from);
  const among = pick<FaultName>(faultNames, (name) => name, 'fault');
  const names = engines.map(({ name }) => name).join('+');
  say(`soak: engines=${names} seed=${seed} hours=${hours} from=${from} kinds=${among.length}`);
  return async () => {
    const soaked: Soaked[] = [];
    const startMs = performance.now();
    for (const engine of engines) {
      if (isStopped()) break;
      say(`soak: ${engine.product}`);
      const version = engine.name === 'postgres' ? values.postgres : undefined;
      const one = await soakOverlapping({
        ...{ access, api, engine, version, seed, among, from, rounds: from - 1 + rounds },
        ...{ endMs: endAfter(hours / engines.length), say, signal: stop.signal },
      });
      soaked.push(one);
      const { tally, failure } = one;
      say(
        `soak: ${engine.name} rounds=${tally.rounds} overlapping=${tally.overlapping} failovers=${tally.failovers} ` +
          `writes=${tally.acked} lost=${tally.lost} late=${tally.late} reads=${tally.reads.rw + tally.reads.ro + tally.reads.r} ` +
          `seed=${seed} ${failure !== undefined ? 'FAILED' : isStopped() ? 'stopped' : 'ok'}`,
      );
    }
    const minutes = Math.round((performance.now() - startMs) / 60_000);
    if (values.publish) await publishSoak({ seed, minutes, tallies: soaked.map(({ tally }) => tally) });
    return soaked.flatMap(({ failure }) => (failure === undefined ? [] : [`${failure} (seed ${seed})`]));
  };
}

function pick<T>(all: readonly T[], nameOf: (one: T) => string, what: string): readonly T[] {
  const found = all.filter(
    (one) => wanted.length === 0 || wanted.some((word) => nameOf(one).toLowerCase().includes(word.toLowerCase())),
  );
  if (found.length > 0) return found;
  say(`No ${what} has ${wanted.join(' or ')} in its name:\n${all.map((one) => `  ${nameOf(one)}`).join('\n')}`);
  process.exit(2);
}

function isStopped(): boolean {
  return stop.signal.aborted;
}

function endAfter(time: number): number {
  return performance.now() + time * 3_600_000;
}

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (Number.isFinite(number) && number > 0) return number;
  say(`--${name} is “${text}”: give a number above 0.`);
  process.exit(2);
}
