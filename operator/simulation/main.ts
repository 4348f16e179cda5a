/**
 * node operator/simulation/main.ts [--seeds N | --hours H] [--from SEED] [--seed S [--trace]] [--bug NAME] [--no-bugs]
 *
 * Seeds without a bug must pass, each deliberate bug must be caught, and everything must have been met. A failing seed is
 * printed with the command that replays it.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { bugs, type Bug } from './bugs.ts';
import { addCounts, coverageReport } from './coverage.ts';
import { isCaught, simulate } from './simulate.ts';
import type { Task } from './worker.ts';
import { runTasks } from './workers.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '300' },
    hours: { type: 'string' },
    from: { type: 'string' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    bug: { type: 'string' },
    'bug-seeds': { type: 'string', default: '1000' },
    'no-bugs': { type: 'boolean', default: false },
    workers: { type: 'string' },
  },
});

/** Below it, some things are rare enough to be missed by chance. */
const seedsThatMeetEverything = 2000;

process.stdout.on('error', () => process.exit(0)); // the reader has seen enough
const print = (line: string): void => void process.stdout.write(`${line}\n`);
const chosen = bugs.find(({ name }) => name === values.bug);
if (values.bug !== undefined && !chosen) throw new Error(`no such bug: ${values.bug}`);
const workers = values.workers === undefined ? undefined : Number(values.workers);

if (values.seed === undefined) await swarm();
else replay(Number(values.seed));

function replay(seed: number): void {
  const { violation, acknowledged, epochs } = simulate(seed, { bug: chosen, trace: values.trace ? print : undefined });
  print(violation ?? `no violation; ${acknowledged} writes acknowledged in ${epochs} epochs`);
  process.exitCode = violation !== undefined && !chosen ? 1 : 0;
}

async function swarm(): Promise<void> {
  const endsAt = values.hours === undefined ? undefined : performance.now() + Number(values.hours) * 3_600_000;
  // With hours, seeds that nobody has tried.
  const from = values.from === undefined ? (endsAt === undefined ? 1 : randomInt(2 ** 40)) : Number(values.from);
  const totals = { seeds: 0, milliseconds: 0, acknowledged: 0, epochs: 0, violations: 0 };
  const met = new Map<string, number>();

  function* seeds(): Generator<Task, void> {
    if (chosen) return;
    for (
      let seed = from;
      endsAt === undefined ? seed < from + Number(values.seeds) : performance.now() < endsAt;
      seed++
    )
      yield { seed, bug: undefined };
  }
  await runTasks(
    seeds(),
    ({ seed, violation, virtualMilliseconds, acknowledged, epochs, coverage }) => {
      totals.seeds++;
      totals.milliseconds += virtualMilliseconds;
      totals.acknowledged += acknowledged;
      totals.epochs += epochs;
      addCounts(met, coverage);
      if (violation === undefined) return true;
      totals.violations++;
      print(`seed ${seed}: ${violation}`);
      print(`  replay: node operator/simulation/main.ts --seed ${seed} --trace`);
      return true;
    },
    workers,
  );

  const { lines, gaps } = coverageReport(met);
  if (totals.seeds > 0) {
    lines.forEach(print);
    print(`acknowledged=${totals.acknowledged} epochs=${totals.epochs}`);
    if (gaps.length > 0) print(`never met: ${gaps.join(', ')}`);
  }
  const tried: readonly Bug[] = chosen ? [chosen] : values['no-bugs'] ? [] : bugs;
  let caught = 0;
  for (const bug of tried) if (tryToCatch(bug)) caught++;
  print(
    `simulate: seeds=${totals.seeds} cluster_hours=${(totals.milliseconds / 3_600_000).toFixed(1)} ` +
      `violations=${totals.violations} bugs_caught=${caught}/${tried.length}`,
  );
  const incomplete = totals.seeds >= seedsThatMeetEverything && gaps.length > 0;
  process.exitCode = totals.violations > 0 || caught < tried.length || incomplete ? 1 : 0;
}

/** Always tried on the same seeds, so that the number tried says how well it shows. */
function tryToCatch(bug: Bug): boolean {
  const limit = Number(values['bug-seeds']);
  for (let seed = 1; seed <= limit; seed++) {
    const outcome = simulate(seed, { bug });
    if (!isCaught(bug, outcome)) continue;
    print(`bug ${bug.name} (${bug.breaks}): seed ${seed}: ${outcome.violation}`);
    return true;
  }
  print(`bug ${bug.name} (${bug.breaks}): NOT caught by ${limit} seeds`);
  return false;
}
