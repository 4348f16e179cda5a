/** Runs the seeds that it is sent, on a core of its own; each as the main thread would. */
import { parentPort } from 'node:worker_threads';
import { bugs } from './bugs.ts';
import { simulate, type Outcome } from './simulate.ts';

/** A deliberate bug, by name; undefined: none. */
export interface Task {
  readonly seed: number;
  readonly bug: string | undefined;
}

parentPort?.on('message', (tasks: readonly Task[]) => {
  const outcomes: readonly Outcome[] = tasks.map(({ seed, bug }) =>
    simulate(seed, { bug: bugs.find(({ name }) => name === bug) }),
  );
  parentPort?.postMessage(outcomes);
});
