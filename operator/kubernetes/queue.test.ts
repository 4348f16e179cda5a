import { describe, expect, test } from '@jest/globals';
import { manualClock } from './manual-clock.ts';
import { createQueue } from './queue.ts';

function setup() {
  const clock = manualClock();
  return { clock, queue: createQueue({ name: 'test', clock, random: () => 0 }) };
}

describe('a work queue', () => {
  test('a key waits once, however often it is added, and in order', async () => {
    const { queue } = setup();
    for (const key of ['a', 'b', 'a', 'a']) queue.add(key);
    expect(queue.depth).toBe(2);
    expect([await queue.take(), await queue.take()]).toEqual(['a', 'b']);
    expect(queue.depth).toBe(0);
  });

  test('a key added while at work comes once more, only when done', async () => {
    const { queue } = setup();
    queue.add('a');
    await queue.take();
    queue.add('a');
    queue.add('a');
    expect(queue.depth).toBe(0);
    const next = queue.take();
    queue.done('a');
    expect(await next).toBe('a');
    queue.done('a');
    expect(queue.depth).toBe(0);
  });

  test('the earliest of several delays counts', async () => {
    const { clock, queue } = setup();
    queue.addAfter('a', 1_000);
    queue.addAfter('a', 100);
    queue.addAfter('a', 500);
    await clock.advance(99);
    expect(queue.depth).toBe(0);
    await clock.advance(1);
    expect(await queue.take()).toBe('a');
    queue.done('a');
    await clock.advance(2_000);
    expect(queue.depth).toBe(0);
  });

  test('a thousand keys that fail at once come back by and by', async () => {
    const { clock, queue } = setup();
    for (let number = 0; number < 1000; number++) queue.addWithBackoff(`key-${number}`);
    await clock.advance(100);
    expect(queue.depth).toBeGreaterThanOrEqual(100);
    expect(queue.depth).toBeLessThanOrEqual(110);
    await clock.advance(1_000);
    expect(queue.depth).toBeLessThanOrEqual(160);
    await clock.advance(18_000);
    expect(queue.depth).toBe(1000);
  });

  test('back-off doubles per key from 5 ms to 60 s, until it is forgotten', async () => {
    const { clock, queue } = setup();
    const waits: number[] = [];
    const waitOnce = async (): Promise<void> => {
      const from = clock.now();
      queue.addWithBackoff('a');
      const taken = queue.take().then(() => waits.push(clock.now() - from));
      await clock.advance(60_000);
      await taken;
      queue.done('a');
    };
    for (let i = 0; i < 16; i++) await waitOnce();
    expect(waits.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(waits.slice(-2)).toEqual([60_000, 60_000]);
    queue.forget('a');
    await waitOnce();
    expect(waits.at(-1)).toBe(5);
  });

  test('shutting down answers those who wait and takes nothing more', async () => {
    const { clock, queue } = setup();
    const waiting = queue.take();
    queue.addAfter('a', 10);
    queue.shutDown();
    queue.add('b');
    await clock.advance(10);
    expect(await waiting).toBeUndefined();
    expect(await queue.take()).toBeUndefined();
    expect(clock.pending).toBe(0);
  });
});
