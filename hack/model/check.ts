/** One variant through Spin: what came out, and whether it is what must come out. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tryRun } from '../testbed/command.ts';
import { verifier, type Build } from './programs.ts';
import type { Variant } from './variants.ts';

export type Verdict = 'holds' | 'fails' | 'undecided';

export interface Result {
  readonly variant: Variant;
  readonly verdict: Verdict;
  /** States that were stored. */
  readonly states: number;
  readonly seconds: number;
  /** MiB that the verifier says it took. */
  readonly memory: number;
  /** Why it is undecided. */
  readonly reason?: string;
}

export interface Limits extends Build {
  readonly seconds: number;
  /** Size of the hash table, as a power of two. */
  readonly hashBits: number;
}

/** More steps than any run of the model has; an exhaustive search that met this limit would not be one. */
const depth = 30_000;

export const isAsExpected = ({ variant, verdict }: Result): boolean =>
  verdict === (variant.must === 'hold' ? 'holds' : 'fails');

/** Rejects only if the tools can't be run; a limit that was met is an undecided result. */
export async function check(variant: Variant, limits: Limits, signal: AbortSignal): Promise<Result> {
  const pan = await verifier(variant, limits, signal);
  const scratch = await mkdtemp(join(tmpdir(), 'mainstay-model-'));
  const began = performance.now();
  try {
    // The verifier's own clock as well, so that it ends by itself and says how far it came.
    const { stdout, code } = await tryRun(
      'timeout',
      ['--kill-after=10', String(limits.seconds), pan, `-m${depth}`, `-w${limits.hashBits}`, '-E'],
      { signal, cwd: scratch, timeoutMs: (limits.seconds + 30) * 1000 },
    );
    return { variant, seconds: (performance.now() - began) / 1000, ...read(stdout, code) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** What a verifier's report means. An error that isn't the model's own assertion decides nothing. */
export function read(report: string, code: number | null): Pick<Result, 'verdict' | 'states' | 'memory' | 'reason'> {
  const number = (pattern: RegExp): number => Number(pattern.exec(report)?.[1] ?? 0);
  const states = number(/^\s*([\d.e+]+) states, stored/m);
  const memory = number(/^\s*([\d.]+)\s+total actual memory usage/m);
  const undecided = (reason: string) => ({ verdict: 'undecided', states, memory, reason }) as const;
  if (code === 124 || code === 137) return undecided('out of time');
  if (/assertion violated/.test(report)) return { verdict: 'fails', states, memory };
  if (/max search depth too small/.test(report)) return undecided('runs are deeper than the limit');
  if (/out of memory|reached -DMEMLIM/.test(report)) return undecided('out of memory');
  if (/Search not completed/.test(report)) return undecided('the search was not completed');
  return /errors: 0$/m.test(report) && states > 0
    ? { verdict: 'holds', states, memory }
    : undecided(`no verdict: ${report.trim().split('\n').at(-1) ?? ''}`);
}
