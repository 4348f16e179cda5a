import { expect, test } from '@jest/globals';
import { systemClock } from '../platform/clock.ts';
import { createAlarm } from './alarm.ts';

test('a ring that came while the loop was busy is not lost', async () => {
  const alarm = createAlarm(systemClock, new AbortController().signal);
  alarm.ring();
  await alarm.wait(60_000);
  const second = alarm.wait(60_000);
  alarm.ring();
  await second;
});

test('the period ends the wait, and so does the end of the process', async () => {
  const ending = new AbortController();
  const alarm = createAlarm(systemClock, ending.signal);
  await alarm.wait(1);
  const waiting = alarm.wait(60_000);
  ending.abort();
  await waiting;
  await alarm.wait(60_000);
  expect(ending.signal.aborted).toBe(true);
});
