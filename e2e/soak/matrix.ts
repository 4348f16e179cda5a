/** The kill matrix in random order, one fault at a time, each with what it must not do. */
import type { ApiServer } from '../../hack/testbed/api-server.ts';
import type { ClusterAccess } from '../../hack/testbed/cluster-access.ts';
import type { TestedEngine } from '../../hack/testbed/engines.ts';
import type { FinalReport } from '../../hack/testbed/writer.ts';
import { createRandom } from '../../operator/simulation/random.ts';
import { publishKillMatrix, type Measured } from '../kill-matrix-page.ts';
import { play } from '../play.ts';
import type { Scenario } from '../scenario.ts';
import { openStage } from '../world.ts';
import { drawnRounds } from './matrix-order.ts';

export interface MatrixSoak {
  readonly access: ClusterAccess;
  readonly api: ApiServer;
  readonly engine: TestedEngine;
  readonly version: string | undefined;
  readonly seed: number;
  readonly chosen: readonly Scenario[];
  /** At most; each plays every scenario once. */
  readonly rounds: number;
  /** No scenario is begun later, by performance.now(). */
  readonly endMs: number;
  /** Writes its page in docs/compatibility. */
  readonly publish: boolean;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Resolves with the first failure. */
export async function soakMatrix(soak: MatrixSoak): Promise<string | undefined> {
  const { access, api, engine, version, seed, chosen, rounds, endMs, say, signal } = soak;
  const total = { rounds: 0, scenarios: 0, writes: 0, lost: 0, late: 0, longestGapMs: 0 };
  const measured: Record<string, Measured> = {};
  const stage = await openStage(access, api, signal, { engine, version });
  let failure: string | undefined;
  try {
    failure = await playRounds();
  } finally {
    await stage.remove();
  }
  if (soak.publish) await publishKillMatrix(engine.name, measured);
  const { writes, lost, late } = total;
  say(
    `soak: rounds=${total.rounds} scenarios=${total.scenarios} writes=${writes} lost=${lost} late=${late} ` +
      `longest-gap-ms=${total.longestGapMs} seed=${seed} ${failure !== undefined ? 'FAILED' : isStopped() ? 'stopped' : 'ok'}`,
  );
  return failure;

  async function playRounds(): Promise<string | undefined> {
    for (const round of drawnRounds(chosen, rounds, createRandom(seed))) {
      for (const { scenario, ...drawn } of round) {
        if (isOver()) return undefined;
        const played = await play(scenario, { access, stage, say, signal, ...drawn });
        count(played.reports);
        // What a person has ended is no violation; what took longer than the hours given is judged all the same.
        if (played.outcome === 'failed') return isStopped() ? undefined : `${scenario.title}: ${played.message}`;
        keep(scenario.title, played.reports);
      }
      total.rounds += 1;
    }
    return undefined;
  }

  function isStopped(): boolean {
    return signal.aborted;
  }

  function isOver(): boolean {
    return isStopped() || performance.now() > endMs;
  }

  function count(reports: readonly FinalReport[]): void {
    total.scenarios += 1;
    for (const report of reports) {
      total.writes += report.acked;
      total.lost += report.lost;
      total.late += report.late;
    }
    total.longestGapMs = Math.max(total.longestGapMs, gapOf(reports));
  }

  function keep(title: string, reports: readonly FinalReport[]): void {
    const before = measured[title];
    measured[title] = {
      date: new Date().toISOString().slice(0, 10),
      plays: (before?.plays ?? 0) + 1,
      longestGapMs: Math.max(before?.longestGapMs ?? 0, gapOf(reports)),
      writes: (before?.writes ?? 0) + reports.reduce((sum, { acked }) => sum + acked, 0),
    };
  }
}

/** Of the first client, which follows the primary. */
function gapOf([first]: readonly FinalReport[]): number {
  return first?.state.longestGapMs ?? 0;
}
