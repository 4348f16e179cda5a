import { describe, expect, test } from '@jest/globals';
import { explain } from '../explain.ts';
import { judgeForming } from './promises.ts';
import { source, view } from './testing.ts';

describe('who may form the group anew', () => {
  test.each([
    [
      'the one whose log contains all others',
      [
        { n: 1, gtids: `${source}:1-7` },
        { n: 2, gtids: `${source}:1-9` },
        { n: 3, gtids: `${source}:1-8` },
      ],
      { verdict: 'may', instance: 'g-2' },
    ],
    [
      'of equals the preferred one',
      [
        { n: 1, gtids: `${source}:1-9` },
        { n: 2, gtids: `${source}:1-9` },
        { n: 3, gtids: `${source}:1-9` },
      ],
      { verdict: 'may', instance: 'g-3' },
    ],
    [
      'nobody while one is silent, however long the logs of the others are',
      [
        { n: 1, gtids: `${source}:1-9` },
        { n: 2, gtids: `${source}:1-9` },
      ],
      { verdict: 'wait', missing: ['g-3'] },
    ],
    [
      'nobody by a promise of an earlier time',
      [
        { n: 1, gtids: `${source}:1-9` },
        { n: 2, gtids: `${source}:1-9` },
        { n: 3, gtids: `${source}:1-9`, epoch: 4 },
      ],
      { verdict: 'wait', missing: ['g-3'] },
    ],
    [
      'nobody by the word of a new volume, whose former data may have held more',
      [
        { n: 1, gtids: `${source}:1-9` },
        { n: 2, gtids: `${source}:1-9` },
        { n: 3, gtids: '', life: 2 },
      ],
      { verdict: 'wait', missing: ['g-3'] },
    ],
    [
      'nobody where two logs have diverged',
      [
        { n: 1, gtids: `${source}:1-9` },
        { n: 2, gtids: `${source}:1-8,bbbbbbbb-0000-4000-8000-000000000000:1` },
        { n: 3, gtids: `${source}:1-8` },
      ],
      { verdict: 'diverged', between: ['g-1', 'g-2'] },
    ],
  ] as const)('%s', (_, promises, expected) => {
    expect(judgeForming(view(promises))).toEqual(expected);
  });
});

test('people are told whose word is missing, and what would help', () => {
  const { summary } = explain(view([{ n: 1, gtids: `${source}:1-9` }]));
  expect(summary).toContain('Needed: g-2, g-3.');
  expect(summary).toContain('a failover can be forced');
});
