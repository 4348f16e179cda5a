import { expect, test } from '@jest/globals';
import { notYet, until, yes } from './until.ts';

test('looks again until it sees it; an error is only something seen', async () => {
  let looks = 0;
  const probe = () => {
    looks += 1;
    if (looks === 1) return Promise.reject(new Error('connection refused'));
    return Promise.resolve(looks === 2 ? notYet('2 of 3') : yes('there'));
  };
  expect(await until('instances', probe, { within: 1_000, everyMs: 1 })).toBe('there');
});

test('says what it saw last', async () => {
  await expect(until('instances', () => Promise.resolve(notYet('2 of 3')), { within: 5, everyMs: 1 })).rejects.toThrow(
    'instances: not within 0 s; last seen: 2 of 3',
  );
});

test('ends when it is told to', async () => {
  const stop = new AbortController();
  const waiting = until('instances', () => Promise.resolve(notYet('2 of 3')), { within: 60_000, signal: stop.signal });
  stop.abort(new Error('stopped by SIGINT'));
  await expect(waiting).rejects.toThrow('stopped by SIGINT');
});
