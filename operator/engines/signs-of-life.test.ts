import { describe, expect, test } from '@jest/globals';
import { freshSigns, limits, verdict, withSign, type Progress, type Sign } from './signs-of-life.ts';

const silent: Sign = { type: 'canary', outcome: 'silent', detail: 'no answer' };
const committed: Sign = { type: 'canary', outcome: 'committed', detail: '' };
const refused: Sign = { type: 'canary', outcome: 'refused', detail: 'too many clients' };
const nothing: Progress = { log: false, work: false, device: false, serverStopped: false };
const seen = (progress: Partial<Progress>): Sign => ({ type: 'progress', progress: { ...nothing, ...progress } });
const disk = (outcome: (Sign & { type: 'disk' })['outcome']): Sign => ({ type: 'disk', outcome, detail: outcome });

/** Signs at their moments, the clock looked at all the while, up to `until`; when it was first failing, and why. */
function watch(until: number, ...script: readonly (readonly [at: number, ...signs: readonly Sign[]])[]) {
  let signs = freshSigns(0);
  let first: { readonly at: number; readonly reason: string } | undefined;
  for (let now = 0; now <= until; now += limits.tick) {
    signs = withSign(signs, { type: 'time' }, now);
    for (const [at, ...due] of script) if (at === now) for (const sign of due) signs = withSign(signs, sign, now);
    const health = verdict(signs, now);
    if (health.status === 'failing' && !first) first = { at: now, reason: health.reason };
  }
  return { first, last: verdict(signs, until) };
}

const every = (period: number, until: number, ...signs: readonly Sign[]) =>
  Array.from({ length: Math.floor(until / period) }, (_, n) => [(n + 1) * period, ...signs] as const);

describe('a hung database', () => {
  test('is told 4 s after its last sign of life', () => {
    expect(watch(9000, [1000, committed], [4000, silent], [4000, seen({})]).first).toEqual({
      at: 5000,
      reason: 'DatabaseHung',
    });
  });
  test('not without a probe that missed its deadline', () => {
    expect(watch(60_000, [1000, committed]).last).toEqual({ status: 'well' });
  });
  test('not while its log grows, however long', () => {
    expect(
      watch(120_000, ...every(2000, 120_000, silent), ...every(1000, 120_000, seen({ log: true }))).first,
    ).toBeUndefined();
  });
  test('work alone buys half a minute', () => {
    expect(watch(60_000, ...every(2000, 60_000, silent), ...every(1000, 60_000, seen({ work: true }))).first).toEqual({
      at: limits.patience,
      reason: 'DatabaseHung',
    });
  });
  test('not while its disk is slow but gets on', () => {
    const slow = every(1000, 20_000, disk('silent'), silent, seen({ device: true }));
    expect(watch(20_000, ...slow).first).toBeUndefined();
  });
  test('a device that others write to says nothing while the own disk answers', () => {
    const rounds = every(1000, 20_000, disk('written'), silent, seen({ device: true }));
    expect(watch(20_000, ...rounds).first).toEqual({ at: 4000, reason: 'DatabaseHung' });
  });
  test('a stopped main process lets nobody in, whatever its children do', () => {
    const rounds = every(1000, 9000, silent, seen({ log: true, work: true, serverStopped: true }));
    expect(watch(9000, ...rounds).first).toEqual({ at: 4000, reason: 'DatabaseHung' });
  });
  test('a main process that is stopped for a moment is no reason', () => {
    const rounds = every(1000, 9000, committed, seen({ serverStopped: true }));
    expect(watch(9000, ...rounds).first).toBeUndefined();
  });
  test('all connections taken is an answer', () => {
    expect(watch(120_000, ...every(1000, 120_000, refused)).first).toBeUndefined();
  });
  test('unless they may be taken by our own probes that hang', () => {
    const rounds = [[2000, silent], ...every(1000, 60_000, refused).slice(3)] as const;
    expect(watch(60_000, ...rounds).first).toEqual({ at: limits.patience, reason: 'DatabaseHung' });
  });
  test('is well again with the first commit', () => {
    expect(watch(9000, [2000, silent], [8000, committed]).last).toEqual({ status: 'well' });
  });
});

describe('the disk', () => {
  test('stalled for 4 s', () => {
    expect(watch(9000, [1000, committed, disk('written')], [4000, disk('silent')]).first).toEqual({
      at: 5000,
      reason: 'DiskStalled',
    });
  });
  test('is named rather than the database that it takes along', () => {
    const script = [
      [1000, disk('written')],
      [750, committed],
      [3750, silent, disk('silent')],
    ] as const;
    expect(watch(9000, ...script).first).toEqual({ at: 4750, reason: 'DiskStalled' });
  });
  test('slow, with the device getting on, is not stalled', () => {
    expect(watch(60_000, ...every(2000, 60_000, disk('silent'), seen({ device: true }))).first).toBeUndefined();
  });
  test('errors other than full and read-only count as nothing written', () => {
    expect(watch(9000, ...every(1000, 9000, committed, disk('failed'))).first).toEqual({
      at: 4000,
      reason: 'DiskStalled',
    });
  });
  test.each([
    ['full', 'DiskFull'],
    ['read-only', 'DiskReadOnly'],
  ] as const)('%s, at the second probe', (outcome, reason) => {
    const rounds = every(1000, 9000, committed, disk(outcome));
    expect(watch(9000, ...rounds).first).toEqual({ at: 2000, reason });
    expect(watch(9000, ...rounds, [9000, disk('written')]).last).toEqual({ status: 'well' });
    expect(watch(9000, [1000, disk(outcome)], [2000, disk('written')], [3000, disk(outcome)]).first).toBeUndefined();
  });
});

test('time in which the agent itself did not run says nothing about the database', () => {
  let signs = withSign(freshSigns(0), committed, 250);
  // Stopped for a minute: the deadline of a probe fires before its answer can be read.
  signs = withSign(signs, silent, 60_250);
  expect(verdict(signs, 60_250)).toEqual({ status: 'well' });
  for (let now = 60_500; now <= 64_500; now += limits.tick) signs = withSign(signs, { type: 'time' }, now);
  expect(verdict(signs, 64_500)).toMatchObject({ status: 'failing', reason: 'DatabaseHung' });
});
