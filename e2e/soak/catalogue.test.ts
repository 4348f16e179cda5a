import { describe, expect, test } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { killMatrixOf } from '../kill-matrix.ts';
import { scenarios } from '../scenario.ts';
import '../scenarios/all.ts';
import { cataloguePage, cataloguePageFile, overlappingFaultsOf } from './catalogue-page.ts';
import { catalogue } from './catalogue.ts';
import { faultKinds, faultNames } from './fault-kinds.ts';
import { publishedSoaks, soakPage, soakPageFile } from './page.ts';

const entries = catalogue.flatMap((chapter) => chapter.entries);
const repository = path.join(import.meta.dirname, '../..');

describe('the fault catalogue', () => {
  test('has F1 to F99, each made somewhere or with the reason why not', () => {
    expect(entries.map(({ id }) => id)).toEqual(Array.from({ length: 99 }, (_, index) => `F${index + 1}`));
    const nowhere = entries.filter(
      (entry) =>
        overlappingFaultsOf(entry).length === 0 &&
        [...(entry.matrix ?? []), ...(entry.scenarios ?? []), ...(entry.tests ?? [])].length === 0,
    );
    expect(nowhere.filter(({ without }) => without === undefined)).toEqual([]);
  });

  test('is what overlapping faults say they are', () => {
    const known = new Set(entries.map(({ id }) => id));
    expect(faultNames.flatMap((name) => faultKinds[name].entries.filter((id) => !known.has(id)))).toEqual([]);
  });

  test('names scenarios and rows that exist', () => {
    const titles = new Set(scenarios().map(({ title }) => title));
    const rows = new Set(killMatrixOf('postgres').map(({ number }) => number));
    expect(entries.flatMap((entry) => (entry.scenarios ?? []).filter((title) => !titles.has(title)))).toEqual([]);
    expect(entries.flatMap((entry) => (entry.matrix ?? []).filter((number) => !rows.has(number)))).toEqual([]);
  });

  const named = Map.groupBy(
    entries.flatMap((entry) => entry.tests ?? []),
    ([file]) => file,
  );
  test.each([...named])('%s says what the catalogue finds there', async (file, says) => {
    const source = await readFile(path.join(repository, file), 'utf8');
    expect(says.map(([, words]) => words).filter((words) => !source.includes(`'${words}'`))).toEqual([]);
  });
});

test.each([
  [cataloguePageFile, () => cataloguePage()],
  [soakPageFile, async () => soakPage(await publishedSoaks())],
])('%s is what it would be if it were written now (node e2e/soak/write-pages.ts)', async (file, page) => {
  expect(await readFile(file, 'utf8')).toBe(await page());
});
