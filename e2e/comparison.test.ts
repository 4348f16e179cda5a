import { describe, expect, test } from '@jest/globals';
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { scenarios } from './scenario.ts';
import './scenarios/all.ts';

const page = path.join(import.meta.dirname, '../docs/comparison.md');
const text = await readFile(page, 'utf8');
const links = [...text.matchAll(/\[([^\]]*)\]\(([^)]*)\)/g)].map(([, name = '', file = '']) => ({ name, file }));
const isTest = ({ file }: { readonly file: string }): boolean =>
  file.endsWith('.test.ts') || file.includes('/e2e/scenarios/');

/** The cells of each row below a heading. */
function rowsBelow(heading: string): readonly (readonly string[])[] {
  const body = new RegExp(`^## ${heading}$([^]*?)(?=^## |$(?![^]))`, 'm').exec(text)?.[1] ?? '';
  return body
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

describe('docs/comparison.md', () => {
  test('begins with what others have and Mainstay does not', () => {
    expect(/^## .*/m.exec(text)?.[0]).toBe('## What others have and Mainstay does not');
    expect(rowsBelow('What others have and Mainstay does not').length).toBeGreaterThan(10);
  });

  test.each(['What Mainstay has, and how others do it', 'What both have'])(
    'each claim about Mainstay under “%s” names a test',
    (heading) => {
      const rows = rowsBelow(heading);
      expect(rows.length).toBeGreaterThan(5);
      expect(rows.filter(([, mainstay = '']) => !/\.test\.ts\)|\/e2e\/scenarios\//.test(mainstay))).toEqual([]);
    },
  );

  test('each row says how it is with others', () => {
    const headings = [...text.matchAll(/^## (.*)$/gm)].map(([, heading = '']) => heading).slice(0, 3);
    expect(headings.flatMap(rowsBelow).filter((cells) => cells.length !== 3 || cells.includes(''))).toEqual([]);
  });

  test('links lead somewhere, and to nothing outside this repository', async () => {
    const gone: string[] = [];
    for (const { file } of links) {
      await access(path.join(path.dirname(page), file)).catch(() => gone.push(file));
    }
    expect(gone).toEqual([]);
  });

  test.each([...new Set(links.filter(isTest).map(({ file }) => file))])('%s has the tests named', async (file) => {
    const source = await readFile(path.join(path.dirname(page), file), 'utf8');
    const names = links.filter((link) => link.file === file).map(({ name }) => name);
    const played = scenarios().filter((scenario) => scenario.file === path.basename(file));
    const isThere = (name: string): boolean =>
      file.includes('/e2e/scenarios/') ? played.some(({ title }) => title === name) : source.includes(`'${name}'`);
    expect(names.filter((name) => !isThere(name))).toEqual([]);
  });
});
