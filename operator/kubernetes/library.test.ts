/** What README.md promises to whoever takes this folder for a library. */
import { expect, test } from '@jest/globals';
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import path from 'node:path';

const folder = import.meta.dirname;
const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));
const textOf = (name: string): string => readFileSync(path.join(folder, name), 'utf8');
const importsOf = (name: string): readonly string[] =>
  [...textOf(name).matchAll(/^(?:import|export)\s(?:[^;]*?\sfrom\s)?'([^']+)';/gm)].map(([, what = '']) => what);

test.each(files.filter((name) => !name.endsWith('.test.ts')))(
  '%s imports nothing from elsewhere in the project',
  (name) => {
    const foreign = importsOf(name).filter(
      (what) => what.startsWith('.') && !what.startsWith('./') && !what.startsWith('../platform/'),
    );
    expect(foreign).toEqual([]);
  },
);

test('it needs undici and prom-client, and types of @kubernetes/client-node', () => {
  const packages = new Set(
    files
      .filter((name) => !name.endsWith('.test.ts'))
      .flatMap(importsOf)
      .filter((what) => !what.startsWith('.') && !what.startsWith('node:') && !builtinModules.includes(what)),
  );
  expect([...packages].toSorted()).toEqual(['@kubernetes/client-node', 'prom-client', 'undici']);
});

test('README.md names every file', () => {
  const readme = textOf('README.md');
  expect(files.filter((name) => !name.endsWith('.test.ts') && !readme.includes(`\`${name}\``))).toEqual([]);
});
