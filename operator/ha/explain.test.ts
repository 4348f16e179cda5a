import { describe, expect, test } from '@jest/globals';
import { explain } from './explain.ts';
import { at, member, view, voter, type ViewParts } from './testing.ts';

const outcome = (parts: ViewParts, lost: string): string | undefined => explain(view(parts)).ifLost.get(lost)?.outcome;
const tags = (names: readonly string[]): ViewParts['definition'] => ({
  tags: Object.fromEntries(names.map((name) => [name, { priority: 0, noFailover: true, noSync: false }])),
});

describe('explain', () => {
  test('says who leads, and why', () => {
    const history = [{ epoch: 4, winner: 'b', reason: 'DatabaseHung', timeline: 5, at: '2026-01-01T00:00:00Z' }];
    const { primary, summary, candidates } = explain(view({ epoch: 4, leader: 'b', history }));
    expect(primary).toMatchObject({ instance: 'b', epoch: 4, since: '2026-01-01T00:00:00Z' });
    expect(summary).toBe('b leads epoch 4: the database of its predecessor hung');
    expect(candidates).toEqual([]);
  });
  test('names who is missing when nobody can lead', () => {
    const parts = {
      leader: undefined,
      promises: { b: [2, at(1, '0/100')] },
      members: [member('b', { state: 'sealed' })],
    } as const;
    const { primary, summary, candidates } = explain(view(parts));
    expect(primary).toBeUndefined();
    expect(summary).toContain('Needed: the former primary a, or 1 of c.');
    expect(candidates).toContainEqual({ instance: 'b', verdict: 'needs 1 more of c' });
    expect(candidates).toContainEqual({ instance: 'c', verdict: 'is not there' });
  });
  test.each([
    ['nothing was published', { definition: undefined }, 'The operator has not published'],
    ['the founder is at work', { initialize: undefined }, 'No instance has started'],
    ['etcd was replaced', { etcdClusterId: 'e9' }, 'etcd is not the one'],
    ['promises are on their way', {}, 'Waiting for the promises of b, c.'],
  ] as const)('without a primary, when %s', (_, over, text) =>
    expect(explain({ ...view({ leader: undefined }), ...over }).summary).toContain(text),
  );
  test('tells a claim that is about to come', () => {
    const promises = { b: [2, at(1, '0/100')], c: [2, at(1, '0/100')] } as const;
    expect(explain(view({ leader: undefined, promises })).summary).toBe('b is about to claim epoch 2.');
  });
});

describe('what if it were lost', () => {
  const two = [member('a', { role: 'primary', state: 'running' }), member('b')];
  test.each([
    ['the primary of three', {}, 'a', 'failover'],
    ['a replica of three', {}, 'b', 'unaffected'],
    ['the primary, one member being down', { members: two }, 'a', 'blocked'],
    ['the last replica in Strict', { members: two }, 'b', 'writes-stop'],
    [
      'the last replica in Preferred',
      { members: two, definition: { durability: { mode: 'Preferred', acknowledgements: 1 } } },
      'b',
      'unprotected',
    ],
    ['the primary, nobody being allowed to lead', { definition: tags(['b', 'c']) }, 'a', 'blocked'],
    ['the primary of an empty set', { sync: { members: [], acknowledgements: 0 } }, 'a', 'blocked'],
    [
      'the primary in Async',
      {
        sync: { members: [], acknowledgements: 0 },
        definition: { durability: { mode: 'Async', acknowledgements: 1 } },
      },
      'a',
      'failover',
    ],
    ['anyone without a primary', { leader: undefined }, 'b', 'blocked'],
    ['the primary, a member having other data', { sync: { members: [voter('b', 'v0'), voter('c')] } }, 'a', 'blocked'],
  ] as readonly [string, ViewParts, string, string][])('%s', (_, parts, lost, expected) =>
    expect(outcome(parts, lost)).toBe(expected),
  );
});
