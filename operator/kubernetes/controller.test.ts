import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { runController, type ControllerOptions } from './controller.ts';
import { manualClock, type ManualClock } from './manual-clock.ts';
import { runtimeMetrics } from './metrics.ts';
import { createQueue, type WorkQueue } from './queue.ts';

let clock: ManualClock;
let queue: WorkQueue;
let end: AbortController;
let running: Promise<void> | undefined;
const registry = new Registry();
const metrics = runtimeMetrics(registry);

beforeEach(() => {
  clock = manualClock();
  queue = createQueue({ name: 'test', clock, random: () => 0, metrics });
  end = new AbortController();
});
afterEach(async () => {
  end.abort();
  await running;
});

function run(reconcile: ControllerOptions['reconcile'], workers = 2): void {
  const log = pino({ level: 'silent' });
  running = runController({
    name: 'test',
    queue,
    reconcile,
    workers,
    signal: end.signal,
    clock,
    log,
    metrics,
    deadlineMs: 5_000,
  });
}

describe('a controller', () => {
  test('one key is never in two hands, different keys are', async () => {
    const atWork: string[] = [];
    let most = 0;
    run(async (key, signal) => {
      expect(atWork).not.toContain(key);
      atWork.push(key);
      most = Math.max(most, atWork.length);
      await clock.sleep(100, signal);
      atWork.splice(atWork.indexOf(key), 1);
      return {};
    });
    for (let i = 0; i < 10; i++) {
      for (const key of ['a', 'b', 'c']) queue.add(key);
      await clock.advance(70);
    }
    expect(most).toBe(2);
    await clock.advance(1_000);
  });

  test('what fails is tried again with back-off, what asks for it later', async () => {
    const at: number[] = [];
    run((): Promise<{ requeueAfterMs: number }> => {
      at.push(clock.now());
      if (at.length <= 3) throw new Error('not yet');
      return Promise.resolve({ requeueAfterMs: 1_000 });
    });
    queue.add('a');
    await clock.advance(2_100);
    expect(at).toEqual([0, 5, 15, 35, 1_035, 2_035]);
    const text = await registry.metrics();
    expect(text).toContain('controller_runtime_reconcile_total{controller="test",result="error"} 3');
    expect(text).toContain('workqueue_retries_total{name="test",controller="test"} 3');
  });

  test('the signal aborts at the deadline and at the end', async () => {
    const reasons: string[] = [];
    run(async (_key, signal) => {
      await clock.sleep(60_000, signal).catch((error: unknown) => {
        reasons.push((error as Error).name);
        throw error;
      });
      return {};
    });
    queue.add('a');
    await clock.advance(5_001);
    expect(reasons).toEqual(['TimeoutError']);
    await clock.advance(10);
    end.abort();
    await running;
    expect(reasons).toEqual(['TimeoutError', 'AbortError']);
    expect(clock.pending).toBe(0);
  });
});
