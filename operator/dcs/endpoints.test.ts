import { expect, test } from '@jest/globals';

import { systemClock, type Clock } from '../platform/clock.ts';
import { askAny, askPatiently, createEndpoints } from './endpoints.ts';
import { EtcdStatus, statusError } from './etcd-errors.ts';
import type { HttpPeer } from './http-exchange.ts';

/** Seconds are hundredths: the patience of 2, 4, 8 and 16 s is 20 to 160 ms. */
const hurried: Clock = { ...systemClock, after: (ms, callback) => systemClock.after(ms / 100, callback) };
const peer = (url: string): HttpPeer => ({
  url,
  ask: () => Promise.reject(new Error('unused')),
  stream: () => Promise.reject(new Error('unused')),
  close: () => Promise.resolve(),
});
const members = ['a', 'b', 'c'].map(peer);
const forEver = new AbortController().signal;

test('members that fail are asked again while another one hangs', async () => {
  const asked: string[] = [];
  const endpoints = createEndpoints(members);
  const suspected: string[] = [];
  for (const member of members) endpoints.whenSuspected(member, () => suspected.push(member.url));
  const scope = { milliseconds: 5_000, signal: AbortSignal.timeout(5_000) };
  const answer = await askAny(endpoints, systemClock, scope, ({ url }, signal) => {
    asked.push(url);
    if (url === 'a') return systemClock.sleep(60_000, signal).then(() => url);
    return asked.length < 6 ? Promise.reject(new Error('etcdserver: leader changed')) : Promise.resolve(url);
  });
  expect(['b', 'c']).toContain(answer);
  expect(asked.filter((url) => url === 'a')).toHaveLength(1);
  expect(suspected).toContain('a');
});

test('members that all hang are asked anew', async () => {
  const asked: string[] = [];
  const scope = { milliseconds: 5_000, signal: AbortSignal.timeout(5_000) };
  const answer = await askAny(createEndpoints(members), hurried, scope, ({ url }, signal) => {
    asked.push(url);
    return asked.length < 5 ? systemClock.sleep(60_000, signal).then(() => url) : Promise.resolve(url);
  });
  expect(answer).toBe('b');
  expect(asked).toEqual(['a', 'b', 'c', 'a', 'b']);
});

test('a login that is slow gets company late, is never cut, and its answer still counts', async () => {
  const asked: string[] = [];
  let cut = 0;
  const answer = await askPatiently(createEndpoints(members), hurried, forEver, async ({ url }, signal) => {
    asked.push(url);
    const first = asked.length === 1;
    signal.addEventListener('abort', () => (cut += asked.length === 3 ? 0 : 1));
    await systemClock.sleep(first ? 100 : 10_000, signal);
    return url;
  });
  expect(answer).toBe('a');
  // At 0, 2 and 6 s; the next would have been at 14 s.
  expect(asked).toEqual(['a', 'b', 'c']);
  expect(cut).toBe(0);
});

test('a login goes on to another member at once where nobody listens, until somebody does; a refusal ends it', async () => {
  const asked: string[] = [];
  const endpoints = createEndpoints(members);
  const login = (refusal: boolean): Promise<string> =>
    askPatiently(endpoints, hurried, forEver, ({ url }) => {
      asked.push(url);
      if (asked.length < 6) return Promise.reject(new Error('connection refused'));
      return refusal ? Promise.reject(statusError(url, new EtcdStatus(3, 'wrong password'))) : Promise.resolve(url);
    });
  expect(await login(false)).toBe('c');
  expect(asked).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
  await expect(login(true)).rejects.toMatchObject({ code: 'DcsRejected' });
  expect(asked.at(-1)).toBe('c');
});

test('it ends with its signal', async () => {
  const closing = new AbortController();
  const login = askPatiently(createEndpoints(members), hurried, closing.signal, () => new Promise(() => undefined));
  closing.abort(new Error('closed'));
  await expect(login).rejects.toMatchObject({ code: 'DcsUnreachable' });
});
