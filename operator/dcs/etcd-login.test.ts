import { expect, test } from '@jest/globals';

import { systemClock } from '../platform/clock.ts';
import { MainstayError } from '../platform/errors.ts';
import type { Scope } from './deadline.ts';
import { EtcdStatus } from './etcd-errors.ts';
import { createLogin, type Login } from './etcd-login.ts';

const scope = (milliseconds = 5_000): Scope => ({ milliseconds, signal: AbortSignal.timeout(milliseconds) });
const refusal = (code: number, message: string): MainstayError =>
  new MainstayError('DcsRejected', message, { cause: new EtcdStatus(code, message) });
const badToken = refusal(16, 'etcdserver: invalid auth token');

function login(authenticate: (attempt: number, password: string) => Promise<string>): Login & { attempts(): number } {
  let attempts = 0;
  const made = createLogin({
    clock: systemClock,
    credentials: () => ({ username: 'mainstay', password: passwords[0] ?? '' }),
    authenticate: (_, password) => authenticate((attempts += 1), password),
  });
  return { ...made, attempts: () => attempts };
}
const passwords = ['one'];

test('calls that begin together share one login, and one renewal', async () => {
  const subject = login((attempt) => Promise.resolve(`token-${attempt}`));
  const all = (act: (token: string | undefined) => Promise<string | undefined>): Promise<unknown> =>
    Promise.all([1, 2, 3].map(() => subject.authorized(scope(), act)));
  expect(await all((token) => Promise.resolve(token))).toEqual(['token-1', 'token-1', 'token-1']);
  const renewing = all((token) => (token === 'token-1' ? Promise.reject(badToken) : Promise.resolve(token)));
  expect(await renewing).toEqual(['token-2', 'token-2', 'token-2']);
  expect(subject.attempts()).toBe(2);
});

test('a token that is refused twice ends the call; another error ends it at once', async () => {
  const subject = login((attempt) => Promise.resolve(`token-${attempt}`));
  const seen: (string | undefined)[] = [];
  const call = subject.authorized(scope(), (token) => {
    seen.push(token);
    return Promise.reject(badToken);
  });
  await expect(call).rejects.toBe(badToken);
  expect(seen).toEqual(['token-1', 'token-2']);
  const denied = refusal(7, 'etcdserver: permission denied');
  await expect(subject.authorized(scope(), () => Promise.reject(denied))).rejects.toBe(denied);
  expect(subject.attempts()).toBe(2);
});

test('a refused password is not offered again at once, another one is', async () => {
  const subject = login((_, password) =>
    password === 'one' ? Promise.reject(refusal(3, 'etcdserver: authentication failed')) : Promise.resolve('token'),
  );
  for (let call = 0; call < 5; call += 1) {
    const never = subject.authorized(scope(), () => Promise.reject(new Error('sent')));
    await expect(never).rejects.toMatchObject({
      code: 'DcsRejected',
      message: expect.stringContaining('Login failed'),
    });
  }
  expect(subject.attempts()).toBe(1);
  passwords[0] = 'two';
  expect(await subject.authorized(scope(), (token) => Promise.resolve(token))).toBe('token');
});

test('the deadline of a call holds while the login hangs for longer, and others still get its token', async () => {
  let answer: (token: string) => void = () => undefined;
  const subject = login(
    () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  );
  const patient = subject.authorized(scope(), (token) => Promise.resolve(token));
  const started = systemClock.now();
  await expect(subject.authorized(scope(100), () => Promise.resolve())).rejects.toMatchObject({
    code: 'DcsUnreachable',
  });
  expect(systemClock.now() - started).toBeLessThan(300);
  answer('late');
  expect(await patient).toBe('late');
  expect(subject.attempts()).toBe(1);
});
