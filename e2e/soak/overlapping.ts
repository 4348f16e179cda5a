/** Rounds of overlapping faults on one engine, until the time is over or something is wrong. */
import { appendFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { ApiServer } from '../../hack/testbed/api-server.ts';
import { repository, type ClusterAccess } from '../../hack/testbed/cluster-access.ts';
import { databaseCluster } from '../../hack/testbed/database-cluster.ts';
import type { TestedEngine } from '../../hack/testbed/engines.ts';
import { seconds } from '../../hack/testbed/until.ts';
import type { FinalReport } from '../../hack/testbed/writer.ts';
import { violationsOf } from '../../hack/writer/verdict.ts';
import { createRandom } from '../../operator/simulation/random.ts';
import { play } from '../play.ts';
import type { Scenario, World } from '../scenario.ts';
import { openStage } from '../world.ts';
import { keepEvidence } from './evidence.ts';
import type { FaultName } from './fault-kinds.ts';
import { playRound, type Played } from './round.ts';
import { drawnSchedule, wordsOf, type Round } from './schedule.ts';
import { emptyTally, withRound, type Tally } from './tally.ts';

export interface Soak {
  readonly access: ClusterAccess;
  readonly api: ApiServer;
  readonly engine: TestedEngine;
  readonly version: string | undefined;
  readonly seed: number;
  readonly among: readonly FaultName[];
  /** At most so many rounds; those before `from` are drawn, but not played. */
  readonly from: number;
  readonly rounds: number;
  /** No round is begun later, by performance.now(). */
  readonly endMs: number;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

export interface Soaked {
  readonly tally: Tally;
  readonly failure: string | undefined;
}

/** On one cluster, one client a round. After so many all tables are read back once more: what faults of a later round may have cost. */
const roundsOfSegment = 6;
/** A round takes a minute or two; one in which everything is as slow as it may be, ten. */
const segmentLimitMs = seconds(3_600);

export async function soakOverlapping(soak: Soak): Promise<Soaked> {
  const { access, api, engine, say, signal } = soak;
  const stage = await openStage(access, api, signal, { engine, version: soak.version });
  const schedule = drawnSchedule(createRandom(soak.seed), engine.name, soak.among);
  const log = path.join(repository, 'build/soak', `${engine.name}-${soak.seed}.jsonl`);
  await mkdir(path.dirname(log), { recursive: true });
  let tally = emptyTally(engine.name);
  let number = 0;
  const isOver = (): boolean => signal.aborted || performance.now() > soak.endMs || number >= soak.rounds;
  const next = (): Round => {
    number += 1;
    return schedule.next().value;
  };
  while (number < soak.from - 1) next();

  const segment = async (world: World): Promise<void> => {
    const played: Played[] = [];
    while (played.length < roundsOfSegment && !isOver()) {
      const round = next();
      say(`         round ${number}: ${round.faults.map(wordsOf).join(' + ')}`);
      const one = await playRound(world, round, say);
      tally = withRound(tally, one.round);
      await appendFile(log, `${JSON.stringify({ ...stamp(), number, ...one.round, violations: one.violations })}\n`);
      say(`         round ${number}: ${summaryOf(one)}`);
      if (one.violations.length > 0) throw new Error(`round ${number}: ${one.violations.join('; ')}`);
      played.push(one);
    }
    await readAllAgain(world, played);
  };

  try {
    while (!isOver()) {
      const first = number + 1;
      const scenario: Scenario = {
        title: `overlapping faults, ${engine.product}, seed ${soak.seed}, from round ${first}`,
        file: 'soak.ts',
        options: { localNodes: true, operator: 'needed' },
        body: segment,
      };
      const result = await play(scenario, {
        ...{ access, stage, say, signal, seed: soak.seed, limitMs: segmentLimitMs },
        keepMore: (folder) => {
          const cluster = databaseCluster(
            { access, api },
            { namespace: stage.namespace(), name: 'orders', kind: engine.kind },
          );
          return keepEvidence(api, stage.namespace(), cluster.pods, folder);
        },
      });
      // What a person has ended is no violation.
      if (result.outcome === 'failed') {
        if (signal.aborted) break;
        return { tally: { ...tally, violations: tally.violations + 1 }, failure: result.message };
      }
    }
    return { tally, failure: undefined };
  } finally {
    await stage.remove();
  }

  function stamp(): object {
    return { at: new Date().toISOString(), engine: engine.name, seed: soak.seed };
  }
}

async function readAllAgain({ orders, readerBeside }: World, played: readonly Played[]): Promise<void> {
  const reader = await readerBeside(await orders.primary());
  for (const { report, table } of played) {
    const violations = violationsOf(await reader.verify(withoutTimes(report), table));
    if (violations.length > 0) throw new Error(`${table}, read again at the end: ${violations.join('; ')}`);
  }
}

/** Only presence is judged again; the order was judged in the round. */
function withoutTimes({ history }: FinalReport): FinalReport['history'] {
  return { acked: history.acked, unknown: history.unknown };
}

function summaryOf({ round, violations }: Played): string {
  const { acked, lost, unknown, late, failovers, outageMs, recoveredMs, reads, worstLagMs } = round;
  return (
    `${violations.length === 0 ? 'ok' : 'VIOLATED'}: ${acked} acknowledged, ${lost} lost, ${unknown} unknown, ${late} late, ` +
    `${reads.rw + reads.ro + reads.r} reads (-ro ${worstLagMs} ms behind at most), ${failovers} failovers, ` +
    `outage ${outageMs} ms, whole again after ${(recoveredMs / 1000).toFixed(1)} s`
  );
}
