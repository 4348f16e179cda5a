import { describe, expect, test } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { scenarios } from './scenario.ts';
import './scenarios/all.ts';

const page = path.join(import.meta.dirname, '../docs/compatibility/patroni-scenarios.md');
const verdicts = /^(Covered|Differs|Partly|Not yet|Not applicable)\b/;

interface Mapped {
  readonly feature: string;
  readonly scenario: string;
  readonly verdict: string;
  readonly tests: readonly { readonly name: string; readonly file: string }[];
}

const text = await readFile(page, 'utf8');
const sections = [...text.matchAll(/^## (\w+) \((\d+)\)$([^]*?)(?=^## |$(?![^]))/gm)].map(
  ([, feature, count, body]) => ({
    feature: feature ?? '',
    count: Number(count),
    rows: rowsOf(feature ?? '', body ?? ''),
  }),
);
const mapped = sections.flatMap(({ rows }) => rows);

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

describe('docs/compatibility/patroni-scenarios.md', () => {
  test('has all 83, each feature as many as it says', () => {
    expect(sections.map(({ count }) => count)).toEqual(sections.map(({ rows }) => rows.length));
    expect(sections).toHaveLength(16);
    expect(new Set(mapped.map(({ feature, scenario }) => `${feature}: ${scenario}`)).size).toBe(83);
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
      const source = await readFile(path.join(path.dirname(page), file), 'utf8');
      const names = mapped.flatMap(({ tests }) => tests.filter((one) => one.file === file).map(({ name }) => name));
      const played = scenarios().filter((scenario) => scenario.file === path.basename(file));
      const isThere = (name: string): boolean =>
        file.includes('/e2e/scenarios/') ? played.some(({ title }) => title === name) : source.includes(`'${name}'`);
      expect(names.filter((name) => !isThere(name))).toEqual([]);
    },
  );
});
