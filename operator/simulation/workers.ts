/** Worlds run side by side, one worker a core: each is deterministic by itself, so the order doesn't matter. */
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Outcome } from './simulate.ts';
import type { Task } from './worker.ts';

/** Enough to make a message worth its while, few enough to end soon. */
const batch = 8;

/** Runs all tasks, in order of their beginning; `onOutcome` may end it early by returning false. Rejects if a worker fails. */
export async function runTasks(
  tasks: Iterator<Task, void>,
  onOutcome: (outcome: Outcome, task: Task) => boolean,
  workers = availableParallelism(),
): Promise<void> {
  let ended = false;
  const next = (): readonly Task[] => {
    const some: Task[] = [];
    while (!ended && some.length < batch) {
      const task = tasks.next();
      if (task.done === true) break;
      some.push(task.value);
    }
    return some;
  };
  const runOne = async (): Promise<void> => {
    const worker = new Worker(new URL('./worker.ts', import.meta.url));
    try {
      for (let some = next(); some.length > 0; some = next()) {
        worker.postMessage(some);
        const [outcomes] = (await once(worker, 'message')) as readonly unknown[] as readonly [readonly Outcome[]];
        outcomes.forEach((outcome, index) => {
          if (!onOutcome(outcome, some[index] as Task)) ended = true;
        });
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: workers }, runOne));
}
