import { describe, expect, it } from '@jest/globals';
import { read } from './check.ts';
import { withQuickBounds } from './variants.ts';

const complete = `
State-vector 92 byte, depth reached 1830, errors: 0
  1064561 states, stored
  201.300	total actual memory usage
`;

describe('a verifier’s report', () => {
  it('of a completed search without an error means that it holds', () => {
    expect(read(complete, 0)).toEqual({ verdict: 'holds', states: 1_064_561, memory: 201.3 });
  });

  it('with a violated assertion means that it fails', () => {
    const report = `pan:1: assertion violated (x) (at depth 64)\nWarning: Search not completed\n${complete.replace('errors: 0', 'errors: 1')}`;
    expect(read(report, 0)).toMatchObject({ verdict: 'fails', states: 1_064_561 });
  });

  it.each([
    ['out of memory', 'pan: reached -DMEMLIM bound\nWarning: Search not completed', 0],
    ['out of time', '', 124],
    ['out of time', '', 137],
    ['runs are deeper than the limit', 'error: max search depth too small', 0],
    ['the search was not completed', 'pan: something else\nWarning: Search not completed', 0],
  ])('that says %s decides nothing', (reason, said, code) => {
    expect(read(`${said}\n${complete}`, code)).toMatchObject({ verdict: 'undecided', reason });
  });

  it('that says nothing decides nothing', () => {
    expect(read('', 1)).toMatchObject({ verdict: 'undecided', states: 0 });
  });
});

describe('reduced bounds', () => {
  it('replace those of the same name and keep the rest', () => {
    const variant = { must: 'hold', what: '', options: 'MAXE=3 L=3 CRASHES=1 CODE', quick: 'L=2 N=4' } as const;
    expect(withQuickBounds(variant).options).toBe('L=2 N=4 MAXE=3 CRASHES=1 CODE');
  });
});
