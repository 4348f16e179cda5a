/** node operator/simulation/main.ts [--seeds N] [--from SEED] [--seed S [--trace]] [--bug NAME] [--no-bugs] */
import { parseArgs } from 'node:util';
import { bugs, type Bug } from './bugs.ts';
import { simulate } from './simulate.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '300' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    bug: { type: 'string' },
    'bug-seeds': { type: 'string', default: '200' },
    'no-bugs': { type: 'boolean', default: false },
  },
});

process.stdout.on('error', () => process.exit(0)); // the reader has seen enough
const print = (line: string): void => void process.stdout.write(`${line}\n`);
const chosen = bugs.find(({ name }) => name === values.bug);
if (values.bug !== undefined && !chosen) throw new Error(`no such bug: ${values.bug}`);

if (values.seed !== undefined) {
  const outcome = simulate(Number(values.seed), {
    ...(chosen ? { bug: chosen } : {}),
    ...(values.trace ? { trace: print } : {}),
  });
  print(outcome.violation ?? `no violation; ${outcome.acknowledged} writes acknowledged in ${outcome.epochs} epochs`);
  process.exitCode = outcome.violation !== undefined && !chosen ? 1 : 0;
} else {
  const [from, count] = [Number(values.from), chosen ? 0 : Number(values.seeds)];
  const totals = { milliseconds: 0, acknowledged: 0, epochs: 0, violations: 0 };
  const met = new Map<string, number>();
  for (let seed = from; seed < from + count; seed++) {
    const outcome = simulate(seed);
    totals.milliseconds += outcome.virtualMilliseconds;
    totals.acknowledged += outcome.acknowledged;
    totals.epochs += outcome.epochs;
    for (const [kind, times] of outcome.faults) met.set(kind, (met.get(kind) ?? 0) + times);
    if (outcome.violation === undefined) continue;
    totals.violations++;
    print(`seed ${seed}: ${outcome.violation}`);
    print(`  replay: node operator/simulation/main.ts --seed ${seed} --trace`);
  }
  if (count > 0) {
    print(`acknowledged=${totals.acknowledged} epochs=${totals.epochs}`);
    print(`faults: ${[...met].map(([kind, times]) => `${kind}=${times}`).join(' ')}`);
  }
  const tried: readonly Bug[] = chosen ? [chosen] : values['no-bugs'] ? [] : bugs;
  const caught = tried.filter((bug) => catchBug(bug, from));
  print(
    `simulate: seeds=${count} cluster_hours=${(totals.milliseconds / 3_600_000).toFixed(1)} ` +
      `violations=${totals.violations} bugs_caught=${caught.length}/${tried.length}`,
  );
  process.exitCode = totals.violations > 0 || caught.length < tried.length ? 1 : 0;
}

function catchBug(bug: Bug, from: number): boolean {
  for (let seed = from; seed < from + Number(values['bug-seeds']); seed++) {
    const { violation } = simulate(seed, { bug });
    if (violation === undefined) continue;
    print(`bug ${bug.name}: seed ${seed} (${seed - from + 1} tried): ${violation}`);
    return true;
  }
  print(`bug ${bug.name}: NOT caught`);
  return false;
}
