import { describe, expect, test } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { createRandom } from '../operator/simulation/random.ts';
import { engineNames } from '../operator/api/cluster-state.ts';
import { killMatrixPage, measuredSoFar, pageOf } from './kill-matrix-page.ts';
import { killMatrix, killMatrixOf } from './kill-matrix.ts';
import { isUsual, scenarios } from './scenario.ts';
import { drawnRounds } from './soak/matrix-order.ts';

describe('kill matrix', () => {
  test.each(engineNames)('of %s: rows from 1 to 33 and beyond, each with scenarios or the reason why not', (engine) => {
    const rows = killMatrixOf(engine);
    expect(rows.length).toBeGreaterThanOrEqual(33);
    expect(rows.map((row) => row.number)).toEqual(rows.map((_, index) => index + 1));
    expect(rows.filter((row) => row.scenarios.length === 0 && row.without === undefined)).toEqual([]);
    const less = rows.filter((row, index) => row.scenarios.length < (killMatrix[index]?.scenarios.length ?? 0));
    expect(less.filter((row) => row.without === undefined)).toEqual([]);
  });

  test('its scenarios exist, and those that are for the soak alone belong to it', () => {
    const named = killMatrix.flatMap((row) => row.scenarios);
    const titles = scenarios().map(({ title }) => title);
    expect(named.filter((title) => !titles.includes(title))).toEqual([]);
    const orphans = scenarios().filter(({ title, options }) => options.runs === 'soak' && !named.includes(title));
    // They hurt nothing, and take too long for every make test.
    expect(orphans.map(({ title }) => title)).toEqual([
      'operations: a failover that could lose writes is refused until that is accepted',
      'kubectl drain of every node in turn, under load: nothing lost, and one hand-over each',
      'a minor upgrade by another image; a wrong one stops at one Pod',
      'PostgreSQL 17: a failover, then the upgrade to 18',
      'a node that nobody can reach is switched off, proven off, marked, and brought back',
      'volumes grow under load without a restart; where the class can’t, it is said, and taking it back heals',
      'another storage class: every instance moves to a new volume under load, the primary by a switchover, and the old volumes stay',
      'another storage class for a MySQLCluster: the old volumes go (deletionPolicy: Delete)',
      'other resources while the databases run; memory that shrinks replaces Pods, one at a time',
      'a node is gone for good with the primary’s volume: after the delay the instance gets another, cloned from the rest',
      'a parameter that needs a restart: it is named, replicas go first, clients see one switchover',
      'declared roles: a role from the spec logs in, and its password is that of its Secret within seconds',
      'a log on a volume of its own: a failover, and an instance cloned anew',
      'a delayed replica has what is written, shows it later, and never leads',
    ]);
  });

  test.each([
    ['postgres', 10],
    ['mysql', 4],
  ] as const)('of %s, at least %d rows are in every make test', (engine, least) => {
    const always = scenarios(engine).filter((one) => isUsual(one, engine));
    const rows = killMatrixOf(engine).filter((row) =>
      row.scenarios.some((title) => always.some((one) => one.title === title)),
    );
    expect(rows.length).toBeGreaterThanOrEqual(least);
  });

  test.each(engineNames)('of %s: its page is what it would be if it were written now', async (engine) => {
    expect(await readFile(pageOf(engine), 'utf8')).toBe(await killMatrixPage(engine, await measuredSoFar(engine)));
  });
});

describe('soak order', () => {
  const draw = (seed: number) =>
    [...drawnRounds(scenarios(), 2, createRandom(seed))].map((round) =>
      round.map(({ scenario, withoutOperator, seed: own }) => [scenario.title, withoutOperator, own]),
    );

  test('one seed, one order; each round has every scenario once', () => {
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    const titles = scenarios().map(({ title }) => title);
    for (const round of draw(7)) expect(round.map(([title]) => title).toSorted()).toEqual(titles.toSorted());
  });

  test('what needs the operator always has it, the others now and then', () => {
    const all = [...drawnRounds(scenarios(), 20, createRandom(1))].flat();
    expect(all.filter((one) => one.withoutOperator && one.scenario.options.operator === 'needed')).toEqual([]);
    expect(all.some((one) => one.withoutOperator)).toBe(true);
  });
});
