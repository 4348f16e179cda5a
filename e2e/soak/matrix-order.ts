/** In which order the soak plays the kill matrix, and under which conditions: all of it from one seed. */
import type { Random } from '../../operator/simulation/random.ts';
import type { Scenario } from '../scenario.ts';

export interface Drawn {
  readonly scenario: Scenario;
  readonly withoutOperator: boolean;
  readonly seed: number;
}

/** Each round has every scenario once. */
export function* drawnRounds(
  scenarios: readonly Scenario[],
  rounds: number,
  random: Random,
): Generator<readonly Drawn[]> {
  for (let round = 0; round < rounds; round += 1)
    yield shuffled(scenarios, random).map((scenario) => drawn(scenario, random));
}

function drawn(scenario: Scenario, random: Random): Drawn {
  const mayGoWithout = scenario.options.operator !== 'needed';
  // Drawn in any case, so that a change of one scenario's options leaves the others as they were.
  const drawsWithout = random.chance(0.5);
  return { scenario, withoutOperator: mayGoWithout && drawsWithout, seed: Math.floor(random.between(0, 2 ** 31)) };
}

function shuffled<T>(items: readonly T[], random: Random): readonly T[] {
  const left = [...items];
  return items.map(() => left.splice(Math.floor(random.between(0, left.length)), 1)[0] as T);
}
