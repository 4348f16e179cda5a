import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { pino } from 'pino';
import type { Health } from '../ha/state.ts';
import { systemClock } from '../platform/clock.ts';
import type { Write } from './disk-canary.ts';
import { watchHealth, type HealthWatch } from './health.ts';
import type { Progress } from './signs-of-life.ts';

const moved: Progress = { log: true, work: true, device: true, serverStopped: false };
const still: Progress = { log: false, work: false, device: false, serverStopped: false };

/** What the probes meet; changed by the tests. */
let server: 'answers' | 'hangs' | 'is full';
let disk: 'answers' | 'hangs';
let progress: () => Progress;
let counts: { canaries: number; writes: number; writesUnderWay: number; looks: number };
let told: Health[];
let watch: HealthWatch;

beforeEach(() => {
  jest.useFakeTimers();
  [server, disk, progress, told] = ['answers', 'answers', () => still, []];
  counts = { canaries: 0, writes: 0, writesUnderWay: 0, looks: 0 };
  watch = watchHealth(
    {
      canary: (signal) => {
        counts.canaries++;
        if (server === 'hangs')
          return new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error));
          });
        return Promise.resolve(server === 'answers' ? 'committed' : 'refused');
      },
      disk: {
        write: () => {
          counts.writes++;
          counts.writesUnderWay++;
          if (disk === 'hangs') return new Promise<Write>(() => undefined);
          counts.writesUnderWay--;
          return Promise.resolve({ outcome: 'written' });
        },
        stop: () => undefined,
      },
      progress: () => {
        counts.looks++;
        return Promise.resolve(progress());
      },
    },
    systemClock,
    pino({ level: 'silent' }),
    (health) => told.push(health),
  );
});
afterEach(() => {
  watch.stop();
  jest.useRealTimers();
});
const pass = (milliseconds: number): Promise<void> => jest.advanceTimersByTimeAsync(milliseconds);
const reasons = (): readonly string[] => told.map((health) => (health.status === 'failing' ? health.reason : 'well'));

test('a server that answers is probed once a second, and nothing else is done', async () => {
  await pass(60_000);
  expect(told).toEqual([]);
  expect(counts).toMatchObject({ looks: 0, writesUnderWay: 0 });
  expect([counts.canaries, counts.writes]).toEqual([expect.closeTo(60, -1), expect.closeTo(60, -1)]);
});

test('one that hangs is told once, within 5 s, and once when it is well again', async () => {
  await pass(10_500);
  server = 'hangs';
  await pass(5000);
  expect(reasons()).toEqual(['DatabaseHung']);
  await pass(60_000);
  server = 'answers';
  await pass(8000);
  expect(reasons()).toEqual(['DatabaseHung', 'well']);
});

test('what moved since a look of long ago is no sign of life now', async () => {
  server = 'hangs';
  await pass(5000);
  server = 'answers';
  await pass(60_000);
  server = 'hangs';
  const before = counts.looks;
  progress = () => (counts.looks === before + 1 ? moved : still);
  await pass(5000);
  expect(reasons()).toEqual(['DatabaseHung', 'well', 'DatabaseHung']);
});

test('a hanging server gets fewer and fewer connections to keep', async () => {
  server = 'hangs';
  await pass(60_000);
  expect(counts.canaries).toBeLessThan(18);
});

test('of writes to a stalled disk only one is under way', async () => {
  disk = 'hangs';
  await pass(30_000);
  expect(counts).toMatchObject({ writes: 2, writesUnderWay: 1 });
  expect(reasons()).toEqual(['DiskStalled']);
});

test('a database that gets on is left alone', async () => {
  server = 'hangs';
  progress = () => moved;
  await pass(120_000);
  expect(told).toEqual([]);
});

test('stopped, it says no more', async () => {
  server = 'hangs';
  await pass(2000);
  watch.stop();
  await pass(60_000);
  expect(told).toEqual([]);
});
