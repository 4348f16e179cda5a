import { expect, test } from '@jest/globals';
import type { LogLine } from './agent-logs.ts';
import { reached, timeLine } from './time-line.ts';

const gap = { from: '2026-01-01T00:00:10.000Z', to: '2026-01-01T00:00:10.600Z' };
const line = (ms: number, instance: string, msg: string, fields: LogLine['fields'] = {}): LogLine => ({
  at: Date.parse(gap.from) + ms,
  instance,
  msg,
  fields,
});

test('steps count from the last acknowledged write, and each is the first of its kind', () => {
  const steps = timeLine(
    [
      line(40, 'orders-1', 'PostgreSQL has ended'),
      line(50, 'orders-1', 'transaction release: applied'),
      line(90, 'orders-2', 'seal ended', { ms: 40 }),
      line(130, 'orders-3', 'seal ended', { ms: 80 }),
      line(140, 'orders-2', 'transaction claim: applied'),
      line(400, 'orders-2', 'promote ended', { ms: 250 }),
      line(650, 'orders-2', 'serving'),
    ],
    gap,
  );
  expect(reached(steps)).toEqual({
    noticed: 40,
    released: 50,
    sealed: 90,
    claimed: 140,
    promoted: 400,
    'first write': 600,
  });
  expect(steps.find(({ instance }) => instance === 'orders-3')?.what).toBe('seal ended (80 ms)');
});

test('PostgreSQL’s own lines are told only where its state changes', () => {
  const source = { logger: 'postgres' };
  const steps = timeLine(
    [line(10, 'orders-1', 'received promote request', source), line(20, 'orders-1', 'received SIGHUP', source)],
    gap,
  );
  expect(steps.map(({ what }) => what)).toEqual(['postgres: received promote request', 'first write acknowledged']);
});
