/**
 * `make model`: every variant of the model through Spin, one after the other; `--quick` with bounds for `make test`; words pick
 * variants by their options. One line for each, then `model: hold=… broken=…`; exit code 1 unless all came out as they must.
 */
import process from 'node:process';
import { check, isAsExpected, type Limits, type Result } from './check.ts';
import { ensurePrograms } from './programs.ts';
import { variants, withQuickBounds, type Variant } from './variants.ts';

const full: Limits = { seconds: 1800, memoryMiB: 8192, hashBits: 24, optimise: '-O2' };
const reduced: Limits = { seconds: 90, memoryMiB: 1500, hashBits: 20, optimise: '-O1' };

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)));

const quick = process.argv.includes('--quick');
const words = process.argv.slice(2).filter((word) => !word.startsWith('--'));
/** What must fail does so soon. */
const limitsFor = ({ must }: Variant): Limits =>
  quick ? { ...reduced, optimise: must === 'fail' ? '-O0' : '-O1' } : full;
const chosen = variants
  .filter(({ options }) => words.every((word) => options.split(' ').includes(word)))
  .map((variant) => (quick ? withQuickBounds(variant) : variant));

try {
  await ensurePrograms(stop.signal, (line) => process.stderr.write(`${line}\n`));
  const results: Result[] = [];
  const queue = chosen.values();
  // Searches with reduced bounds are small: two at a time. The large ones would contend for memory.
  const worker = async (): Promise<void> => {
    for (const variant of queue) results.push(print(await check(variant, limitsFor(variant), stop.signal)));
  };
  await Promise.all(quick ? [worker(), worker()] : [worker()]);
  process.exitCode = summarize(results) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

function print(result: Result): Result {
  const { variant, verdict, states, seconds, memory, reason } = result;
  const columns = [
    isAsExpected(result) ? 'ok   ' : 'WRONG',
    verdict.padEnd(9),
    `${states}`.padStart(10),
    `${seconds.toFixed(1)} s`.padStart(9),
    `${memory.toFixed(0)} MiB`.padStart(9),
    ` ${variant.options}`,
    ...(reason === undefined ? [] : [`(${reason})`]),
    ...(isAsExpected(result) ? [] : [`— must ${variant.must}: ${variant.what}`]),
  ];
  process.stdout.write(`${columns.join(' ')}\n`);
  return result;
}

function summarize(results: readonly Result[]): boolean {
  const part = (must: Variant['must']): string => {
    const of = results.filter(({ variant }) => variant.must === must);
    return `${of.filter(isAsExpected).length}/${of.length}`;
  };
  process.stdout.write(`model: hold=${part('hold')} broken=${part('fail')}\n`);
  return results.length > 0 && results.every(isAsExpected);
}
