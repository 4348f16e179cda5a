/** What is being done, how far it is, and how long it took: on standard error, so that results can be piped. */

export interface Step {
  /** How far a long step is; printed with the next sign of life. */
  readonly reached: (position: string) => void;
}

const signOfLifeMs = 10_000;

export async function step<T>(what: string, work: (step: Step) => Promise<T>): Promise<T> {
  const began = performance.now();
  let position = '';
  const seconds = (): string => `${((performance.now() - began) / 1000).toFixed(1)} s`;
  const alive = setInterval(() => say(`${what} … ${position} ${seconds()}`), signOfLifeMs);
  try {
    const result = await work({ reached: (next) => (position = next) });
    say(`${what} (${seconds()})`);
    return result;
  } catch (error) {
    say(`${what}: failed after ${seconds()}`);
    throw error;
  } finally {
    clearInterval(alive);
  }
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
