import { describe, expect, test } from '@jest/globals';
import type { FailoverRequest, GroupRecord } from '../../api/cluster-state.ts';
import { formIfAllowed } from './form.ts';
import { source, view, voter, type Promised } from './testing.ts';

const request = (over: Partial<FailoverRequest> = {}): FailoverRequest => ({
  id: 'f-1',
  to: 'g-2',
  acceptDataLoss: true,
  fenced: false,
  reason: 'test',
  deadline: '2026-01-01T01:00:00.000Z',
  ...over,
});

/** What the agent of g-2 does. */
function form(promises: readonly Promised[], failover?: FailoverRequest) {
  const decision = formIfAllowed({
    self: voter(2),
    lease: 'l',
    wall: '2026-01-01T00:00:00.000Z',
    view: view(promises, failover),
    vow: 4,
    database: { status: 'unknown' },
    health: { status: 'well' },
    sight: undefined,
    ...{ right: 'mine', spent: 0, permit: undefined, failedJoins: 0 },
  });
  const { action, because } = decision ?? { because: '' };
  const txn = action?.type === 'txn' ? action.txn : undefined;
  const put = (key: string): unknown =>
    txn?.writes.flatMap((write) => ('put' in write && write.put === key ? [write.value] : []))[0];
  return {
    because,
    txn,
    group: put('group') as GroupRecord | undefined,
    answer: put('answer'),
    history: put('history/0000000006'),
  };
}

const all = [1, 2, 3].map((n): Promised => ({ n, gtids: `${source}:1-${n === 2 ? 9 : 8}` }));

describe('the group is formed anew', () => {
  test('with the next epoch for its number, by a transaction that every promise must still hold for', () => {
    const { group, txn } = form(all);
    expect(group).toMatchObject({ ...voter(2), number: 6, right: 'mine' });
    for (const n of [1, 2, 3])
      expect(txn?.compare).toContainEqual({ key: `promises/g-${n}`, is: 'modRevision', modRevision: 1 });
    expect(txn?.compare).toContainEqual({ key: 'group', is: 'modRevision', modRevision: 1 });
    expect(txn?.compare).toContainEqual({ key: 'epoch', is: 'value', value: '5' });
  });

  test('by nobody while one is missing, unless a person asks for it', () => {
    const two = all.slice(0, 2);
    expect(form(two).txn).toBeUndefined();
    const forced = form(two, request());
    expect(forced.group?.number).toBe(6);
    expect(forced.history).toMatchObject({ reason: 'Forced', forced: { missing: ['g-3'] } });
    expect(forced.answer).toMatchObject({ id: 'f-1', outcome: 'done' });
  });

  test.each([
    ['whose deadline is over', all.slice(0, 2), { deadline: '2025-12-31T00:00:00.000Z' }, 'deadline'],
    ['that could lose writes, without saying so', all.slice(0, 2), { acceptDataLoss: false }, 'accept that'],
    ['without those who could serve on by themselves', all.slice(1, 2), {}, 'say that they are off'],
  ] as const)('not by a request %s', (_, promises, over, why) => {
    const { group, because, answer } = form(promises, request(over));
    expect(group).toBeUndefined();
    expect(because).toContain(why);
    expect(answer).toMatchObject({ outcome: 'refused' });
  });

  test('without a majority, where a person says that the others are off', () => {
    expect(form(all.slice(1, 2), request({ fenced: true })).group?.number).toBe(6);
  });
});
