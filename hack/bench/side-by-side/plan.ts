/** Which run comes when: each round has every case once, and in each case the systems take turns at being first. */

export interface Turn<What> {
  readonly what: What;
  /** Index of the system. */
  readonly system: number;
  readonly run: number;
}

export function turns<What>(
  cases: readonly What[],
  systems: number,
  rounds: { readonly from: number; readonly to: number },
): readonly Turn<What>[] {
  const numbers = Array.from({ length: rounds.to - rounds.from }, (_, index) => rounds.from + index);
  return numbers.flatMap((run) =>
    cases.flatMap((what, index) =>
      Array.from({ length: systems }, (_, place) => ({ what, run, system: (place + run + index) % systems })),
    ),
  );
}
