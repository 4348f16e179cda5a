/** What peers test, and which of our tests shows the same: pages in docs/compatibility, held against the tests that they name. */
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { scenarios } from './scenario.ts';
import './scenarios/all.ts';

const folder = path.join(import.meta.dirname, '../docs/compatibility');
const verdicts = /^(Covered|Differs|Partly|Not yet|Not applicable)\b/;

interface Mapped {
  readonly feature: string;
  readonly scenario: string;
  readonly verdict: string;
  readonly tests: readonly { readonly name: string; readonly file: string }[];
}

function rowsOf(feature: string, body: string): readonly Mapped[] {
  return body
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) => {
      const [, scenario = '', verdict = '', ours = ''] = line.split('|').map((cell) => cell.trim());
      const tests = [...ours.matchAll(/\[(.*?)\]\((.*?)\)/g)].map(([, name = '', file = '']) => ({ name, file }));
      return { feature, scenario, verdict, tests };
    });
}

describe.each([
  { page: 'patroni-scenarios.md', features: 16, count: 83 },
  { page: 'mysync-scenarios.md', features: 30, count: 105 },
  { page: 'moco-scenarios.md', features: 13, count: 63 },
])('docs/compatibility/$page', ({ page, features, count }) => {
  const text = readFileSync(path.join(folder, page), 'utf8');
  const sections = [...text.matchAll(/^## (\w+) \((\d+)\)$([^]*?)(?=^## |$(?![^]))/gm)].map(
    ([, feature, said, body]) => ({
      feature: feature ?? '',
      said: Number(said),
      rows: rowsOf(feature ?? '', body ?? ''),
    }),
  );
  const mapped = sections.flatMap(({ rows }) => rows);

  test(`has all ${count}, each feature as many as it says`, () => {
    expect(sections.map(({ said }) => said)).toEqual(sections.map(({ rows }) => rows.length));
    expect(sections).toHaveLength(features);
    expect(new Set(mapped.map(({ feature, scenario }) => `${feature}: ${scenario}`)).size).toBe(count);
  });

  test('judges each, and names a test for what it claims', () => {
    const unclear = mapped.filter(({ verdict }) => !verdicts.test(verdict));
    const unproven = mapped.filter(
      ({ verdict, tests }) => /^(Covered|Differs|Partly)/.test(verdict) && tests.length === 0,
    );
    expect({ unclear, unproven }).toEqual({ unclear: [], unproven: [] });
  });

  test.each([...new Set(mapped.flatMap(({ tests }) => tests.map(({ file }) => file)))])(
    '%s has the tests named',
    async (file) => {
      const source = await readFile(path.join(folder, file), 'utf8');
      const names = mapped.flatMap(({ tests }) => tests.filter((one) => one.file === file).map(({ name }) => name));
      const played = scenarios().filter((scenario) => scenario.file === path.basename(file));
      const isThere = (name: string): boolean =>
        file.includes('/e2e/scenarios/') ? played.some(({ title }) => title === name) : source.includes(`'${name}'`);
      expect(names.filter((name) => !isThere(name))).toEqual([]);
    },
  );
});
