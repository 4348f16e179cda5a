import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import type { Session } from './session.ts';
import { openSoonest } from './soonest.ts';

const session = (dropped: () => void = () => undefined): Session => ({ drop: dropped }) as Partial<Session> as Session;
const never = new AbortController().signal;

test('an attempt that hangs keeps no other from succeeding', async () => {
  const good = session();
  const attempts = [new Promise<Session>(() => undefined), Promise.resolve(good)];
  expect(await openSoonest(() => attempts.shift() ?? Promise.reject(new Error('one too many')), never)).toBe(good);
});

test('when the only attempt fails, so does the whole, at once', async () => {
  let tried = 0;
  const refused = (): Promise<Session> => {
    tried += 1;
    return Promise.reject(new Error('refused'));
  };
  await expect(openSoonest(refused, never)).rejects.toThrow('refused');
  expect(tried).toBe(1);
});

test('one that succeeds too late is dropped', async () => {
  let dropped = 0;
  const late = Promise.withResolvers<Session>();
  const good = session();
  const attempts = [late.promise, Promise.resolve(good)];
  expect(await openSoonest(() => attempts.shift() ?? Promise.reject(new Error('one too many')), never)).toBe(good);
  late.resolve(
    session(() => {
      dropped += 1;
    }),
  );
  await delay(0);
  expect(dropped).toBe(1);
});
