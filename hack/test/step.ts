/** A step of `make test`: something that counts as one or more tests, with what it said kept in build/test/<name>.log. */
export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  /** One line per failure, for the summary. */
  readonly failures: readonly string[];
}

export interface StepContext {
  readonly signal: AbortSignal;
  /** Each line goes to the log; `live` steps also show it at once. */
  readonly say: (line: string) => void;
}

export interface Step {
  readonly name: string;
  readonly title: string;
  /** Takes minutes: people want to see how far it is. */
  readonly live?: true;
  /** Steps that must have passed; else this one fails without being run. */
  readonly needs?: readonly string[];
  readonly run: (context: StepContext) => Promise<Outcome>;
}

export const passedOnce: Outcome = { passed: 1, failed: 0, failures: [] };

export function failedOnce(failure: string): Outcome {
  return { passed: 0, failed: 1, failures: [failure] };
}
