/** One round: nothing is wrong, then faults overlap, then everything is whole again; and what a client and the logs say of it. */
import { setTimeout as delay } from 'node:timers/promises';
import { notYet, until, yes } from '../../hack/testbed/until.ts';
import type { FinalReport } from '../../hack/testbed/writer.ts';
import { readViolationsOf } from '../../hack/writer/reads.ts';
import { violationsOf } from '../../hack/writer/verdict.ts';
import { budgets } from '../budgets.ts';
import type { World } from '../scenario.ts';
import { faultKinds } from './fault-kinds.ts';
import { injectorOf, targetsOf } from './injection.ts';
import { isSlot, promised, wordsOf, type Round } from './schedule.ts';
import type { PlayedRound } from './tally.ts';
import { hurt } from './timeline.ts';

export interface Played {
  readonly round: PlayedRound;
  readonly report: FinalReport;
  readonly table: string;
  /** What must never be, in words. */
  readonly violations: readonly string[];
}

export async function playRound(world: World, round: Round, say: (line: string) => void): Promise<Played> {
  const { orders, writeBeside, operator, signal } = world;
  const primary = await orders.primary();
  const targets = await targetsOf(world);
  const inject = injectorOf(world, targets);
  const hurtNodes = round.faults.flatMap(({ name, place }) =>
    faultKinds[name].hits === 'node' && isSlot(place) ? [targets.instances[place].node] : [],
  );
  const client = await writeBeside(primary, {
    readers: 'all Services',
    awayFrom: hurtNodes.length > 0 ? hurtNodes : [primary.node],
  });
  const violations: string[] = [];

  const atFirst = (await orders.runtime()).epoch;
  await delay(round.calmMs, undefined, { signal });
  const before = (await orders.runtime()).epoch;
  if (before !== atFirst) violations.push(`epoch ${atFirst} ended with ${before} while nothing was wrong`);

  await client.expectTrouble();
  const { missed, lastedMs } = await hurt(round, inject, say, signal);
  await operator.restore();
  const { service, sameLeader } = promised(round.faults);
  const healed = performance.now();
  await client.acknowledgedAgain({ within: service ? budgets.outageMs : budgets.redundantMs });
  await orders.fullyRedundant({ within: budgets.redundantMs });
  await orders.allCount({ within: budgets.redundantMs });
  await until(
    'no switchover that is asked for and neither made nor refused',
    async () => ((await orders.runtime()).switchover === undefined ? yes(undefined) : notYet('one waits')),
    { within: budgets.redundantMs, signal },
  );
  const recoveredMs = Math.round(performance.now() - healed);

  // An epoch that the same primary begins is none: it was promised to others amid faults, and the primary lived.
  const winners = (await orders.runtime()).history.filter(({ epoch }) => epoch > before).map(({ winner }) => winner);
  const failovers = winners.filter((winner, index) => winner !== (winners[index - 1] ?? primary.instance)).length;
  if (sameLeader && failovers > 0)
    violations.push(`${primary.instance}, primary of epoch ${before}, was well and replaced by ${winners.join()}`);
  const addresses = (await orders.pods()).map(({ name, ip }) => ({ name, ip }));
  const outageMs = (await client.state()).marks['trouble']?.longestGap?.milliseconds ?? 0;
  if (service && outageMs > budgets.outageMs)
    violations.push(`nobody could write for ${outageMs} ms, more than ${budgets.outageMs} ms`);
  const report = await client.stop();
  violations.push(...violationsOf(report), ...readViolationsOf(report.reads));
  const comparison = await client.compare(addresses.map(({ ip }) => ip));
  for (const { name, ip } of addresses) {
    const difference = comparison[ip];
    if (difference !== null)
      violations.push(`${name} holds something else than the primary: ${JSON.stringify(difference)}`);
  }
  return {
    report,
    table: client.table,
    violations,
    round: {
      faults: round.faults.filter((fault) => !missed.includes(fault)).map(wordsOf),
      missed: missed.map(wordsOf),
      failovers,
      acked: report.acked,
      unknown: report.state.unknown,
      late: report.late,
      lost: report.lost,
      reads: report.reads.reads,
      vanishedReads: report.reads.vanished,
      worstLagMs: Math.round(report.reads.worstLagMs.ro),
      outageMs,
      lastedMs,
      recoveredMs,
    },
  };
}
