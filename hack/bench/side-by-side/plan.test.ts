import { expect, test } from '@jest/globals';
import { turns } from './plan.ts';

test('every case of every system once a round, and each is first in turn', () => {
  const all = turns(['x', 'y'], 3, { from: 0, to: 2 });
  expect(all).toHaveLength(12);
  expect(all.slice(0, 3)).toEqual([
    { what: 'x', run: 0, system: 0 },
    { what: 'x', run: 0, system: 1 },
    { what: 'x', run: 0, system: 2 },
  ]);
  const firsts = all.filter((_, index) => index % 3 === 0).map(({ system }) => system);
  expect(firsts).toEqual([0, 1, 1, 2]);
});
