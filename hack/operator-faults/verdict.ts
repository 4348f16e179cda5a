/** What a disturbed run may differ in from an undisturbed one: nothing that a user could miss. */
import type { Account } from './lane.ts';

/** Each a sentence; none if all is well. `repeats`: what the undisturbed run deletes may be deleted more than once. */
export function differences(expected: Account, actual: Account, { repeats }: { readonly repeats: boolean }): string[] {
  const [before, after] = [expected.state.map(stable), actual.state.map(stable)];
  const missing = before.filter((line) => !after.includes(line));
  const surplus = after.filter((line) => !before.includes(line));
  const deleted = [...actual.deletions].filter(([object, count]) => {
    const allowed = expected.deletions.get(object) ?? 0;
    return repeats && allowed > 0 ? false : count > allowed;
  });
  return [
    ...missing.map((line) => `not as without faults: ${pointOf(line, surplus)}`),
    ...surplus
      .filter((line) => !missing.some((other) => named(other) === named(line)))
      .map((line) => `there although it should not be: ${line.slice(0, 200)}`),
    ...deleted.map(
      ([object, count]) =>
        `${object} was deleted ${count} times, without faults ${expected.deletions.get(object) ?? 0} times`,
    ),
    ...(actual.budgetChanges > expected.budgetChanges
      ? [`the PodDisruptionBudget changed ${actual.budgetChanges} times`]
      : []),
  ];
}

/** Each run asks for another size and another annotation. */
const stable = (line: string): string => line.replaceAll(/"\d+Gi"/g, '"SIZE"').replaceAll(/run-\d+/g, 'RUN');

const named = (line: string): string => line.split(' ').slice(0, 2).join(' ');

/** The first place at which the two differ. */
function pointOf(line: string, others: readonly string[]): string {
  const other = others.find((one) => named(one) === named(line));
  if (other === undefined) return `${named(line)} is missing`;
  let at = 0;
  while (line[at] === other[at]) at += 1;
  const from = Math.max(at - 60, 0);
  return `${named(line)}: …${other.slice(from, at + 80)}… instead of …${line.slice(from, at + 80)}…`;
}
