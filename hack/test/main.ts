/** `make test`: every step, or those named as arguments; what it started is removed; last line `N passed, N failed`. */
import { createWriteStream, statfsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { repository } from '../testbed/cluster-access.ts';
import { failedOnce, type Outcome, type Step } from './step.ts';
import { cleanUp, resultsFolder, steps } from './steps.ts';

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !steps.some((step) => step.name === name));
if (unknown !== undefined) {
  process.stderr.write(`No such step: ${unknown}. Steps: ${steps.map((step) => step.name).join(', ')}\n`);
  process.exit(2);
}

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  // Stays installed: a second Ctrl-C must not end the clean-up.
  process.on(signal, () => {
    if (!stop.signal.aborted) print(`${signal}: stopping, then cleaning up`);
    stop.abort(new Error(`stopped by ${signal}`));
  });
}

/** Enough of a step's last words to see what is wrong; the rest is in its log. */
const shownOnFailure = 40;
const start = performance.now();
const outcomes = new Map<string, Outcome>();

await mkdir(resultsFolder, { recursive: true });
for (const step of steps) {
  if (stop.signal.aborted) break;
  if (wanted.length > 0 && !wanted.includes(step.name)) continue;
  const missing = (step.needs ?? []).find((name) => outcomes.get(name)?.failed !== 0);
  outcomes.set(
    step.name,
    missing === undefined
      ? await perform(step, stop.signal)
      : failedOnce(`${step.title}: not run, because ${missing} failed`),
  );
}
// With a signal of its own: cleaning up is what an interruption asks for.
if (outcomes.has('deploy')) outcomes.set(cleanUp.name, await perform(cleanUp, new AbortController().signal));
if (stop.signal.aborted) outcomes.set('interrupted', failedOnce(String(stop.signal.reason)));

const sum = (part: 'passed' | 'failed'): number =>
  [...outcomes.values()].reduce((total, each) => total + each[part], 0);
const failures = [...outcomes.values()].flatMap((outcome) => outcome.failures);
if (failures.length > 0) process.stdout.write(`\nFailures:\n${failures.map((line) => `  ${line}\n`).join('')}`);
process.stdout.write(`\n${sum('passed')} passed, ${sum('failed')} failed\n`);
process.exitCode = sum('failed') === 0 ? 0 : 1;

/** Databases that run out of disk fail in ways that look like anything else. */
function watchFreeSpace(): () => number {
  let lowest = Infinity;
  const look = (): void => {
    const { bavail, bsize } = statfsSync(tmpdir());
    lowest = Math.min(lowest, (bavail * bsize) / 1024 ** 3);
  };
  look();
  const timer = setInterval(look, 1000);
  return () => {
    clearInterval(timer);
    look();
    return lowest;
  };
}

async function perform(step: Step, signal: AbortSignal): Promise<Outcome> {
  const log = path.join(resultsFolder, `${step.name}.log`);
  const file = createWriteStream(log);
  const lines: string[] = [];
  const began = performance.now();
  print(`${step.title} …`);
  const say = (line: string): void => {
    file.write(`${line}\n`);
    lines.push(line);
    if (lines.length > shownOnFailure) lines.shift();
    if (step.live) print(`  ${line}`);
  };
  const lowest = watchFreeSpace();
  const outcome = await step.run({ signal, say }).catch((error: unknown) => {
    say(error instanceof Error ? error.message : String(error));
    return failedOnce(
      `${step.title}: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`,
    );
  });
  file.end();
  const took = `${((performance.now() - began) / 1000).toFixed(1)} s, free disk ≥ ${lowest().toFixed(1)} GiB`;
  if (outcome.failed === 0) {
    print(`${step.title}: ok${outcome.passed > 1 ? `, ${outcome.passed} passed` : ''} (${took})`);
    return outcome;
  }
  if (!step.live) for (const line of lines) print(`  ${line}`);
  print(
    `${step.title}: FAILED, ${outcome.failed} of ${outcome.passed + outcome.failed} (${took}); ${path.relative(repository, log)}`,
  );
  return outcome;
}

function print(line: string): void {
  const elapsed = Math.floor((performance.now() - start) / 1000);
  const stamp = `${Math.floor(elapsed / 60)}:${String(elapsed % 60).padStart(2, '0')}`.padStart(6);
  process.stdout.write(`${stamp}  ${line}\n`);
}
