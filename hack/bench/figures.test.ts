import { expect, test } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { repository } from '../testbed/cluster-access.ts';
import { pagesWithFigures, withFigures } from './figures.ts';

const series = {
  'node-lost': {
    title: 'node power-off',
    goal: {},
    date: '2026-01-01',
    commit: 'abc',
    failures: [],
    runs: [1_600, 1_500, 1_900].map((outageMs) => ({
      ...{ node: 'n1', primary: 'a', successor: 'b', outageMs, epochs: 1, acked: 9, unknown: 0, lost: 0, reached: {} },
    })),
  },
};

test.each(pagesWithFigures)('%s has a place for the figures, and only that place changes', async (page) => {
  const text = await readFile(path.join(repository, page), 'utf8');
  const once = withFigures(text, series);
  expect(once).toContain('| node power-off | 1.60 s | 1.90 s | 0 | 3 | 2026-01-01 |');
  expect(withFigures(once, series)).toBe(once);
  expect(once.split('<!-- figures')[0]).toBe(text.split('<!-- figures')[0]);
  expect(once.split('figures: end -->')[1]).toBe(text.split('figures: end -->')[1]);
});

test('a page without a place for them is an error', () => {
  expect(() => withFigures('# Nothing', series)).toThrow('no place for figures');
});
