/** Plays one scenario: prepared, checked, cleaned up, and dumped if it failed. */
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { repository, type ClusterAccess } from '../hack/testbed/cluster-access.ts';
import { seconds } from '../hack/testbed/until.ts';
import type { FinalReport } from '../hack/testbed/writer.ts';
import { readViolationsOf } from '../hack/writer/reads.ts';
import { violationsOf } from '../hack/writer/verdict.ts';
import { createRandom } from '../operator/simulation/random.ts';
import type { Scenario } from './scenario.ts';
import { dumpState } from './state-dump.ts';
import type { Stage } from './world.ts';

export interface Play {
  readonly access: ClusterAccess;
  readonly stage: Stage;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
  readonly seed: number;
  readonly withoutOperator?: boolean;
  /** Default: ten minutes, longer than anything expected. */
  readonly limitMs?: number;
  /** Keeps more than the usual of a failure, in that folder. */
  readonly keepMore?: (folder: string) => Promise<void>;
}

export type Played = {
  readonly seconds: number;
  /** Of the clients, the one that follows the primary first; none if the scenario failed before they were done. */
  readonly reports: readonly FinalReport[];
} & ({ readonly outcome: 'passed' } | { readonly outcome: 'failed'; readonly message: string });

/** Nothing that is expected takes this long; a hung call must not keep the others from running. */
const scenarioLimitMs = seconds(600);

export async function play(scenario: Scenario, { access, stage, say, seed, ...options }: Play): Promise<Played> {
  const withoutOperator = options.withoutOperator ?? false;
  const { name, product } = stage.engine;
  const isFirst = name === 'postgres';
  const title = `${scenario.title}${isFirst ? '' : `, with ${product}`}${withoutOperator ? ' (no operator)' : ''}`;
  const start = performance.now();
  const elapsed = (): number => Number(((performance.now() - start) / 1000).toFixed(1));
  say(`…        ${title}`);
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.limitMs ?? scenarioLimitMs)]);
  let reports: readonly FinalReport[] = [];
  let restore: (() => Promise<void>) | undefined;
  try {
    options.signal.throwIfAborted();
    const prepared = await stage.prepare(scenario, { signal, random: createRandom(seed), withoutOperator });
    restore = prepared.restore;
    await scenario.body(prepared.world);
    reports = await prepared.finish();
    const violations = reports.flatMap((report) => [...violationsOf(report), ...readViolationsOf(report.reads)]);
    if (violations.length > 0) throw new Error(violations.join('; '));
    await restore();
    say(`ok       ${title}  (${elapsed()} s${reports.map(summaryOf).join('')})`);
    return { outcome: 'passed', seconds: elapsed(), reports };
  } catch (error) {
    const message = messageOf(error);
    say(`FAILED   ${title}  (${elapsed()} s)\n         ${message}`);
    const folder = path.join(
      repository,
      'build/e2e',
      `${isFirst ? '' : `${name}-`}${scenario.title.replaceAll(/[^a-z0-9]+/gi, '-')}`,
    );
    await rm(folder, { recursive: true, force: true });
    await dumpState(access, stage.namespace(), folder).catch((cause: unknown) => say(messageOf(cause)));
    await options.keepMore?.(folder).catch((cause: unknown) => say(messageOf(cause)));
    await writeFile(path.join(folder, 'failure.txt'), error instanceof Error ? (error.stack ?? message) : message);
    say(`         state: ${path.relative(repository, folder)}`);
    for (const undo of [restore, stage.giveUp]) await undo?.().catch((cause: unknown) => say(messageOf(cause)));
    return { outcome: 'failed', seconds: elapsed(), reports, message };
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function summaryOf({ acked, late, state }: FinalReport): string {
  const lateOnes = late === 0 ? '' : `, ${late} acknowledged late`;
  return `, ${acked} writes, 0 lost${lateOnes}, longest gap ${state.longestGapMs} ms`;
}
