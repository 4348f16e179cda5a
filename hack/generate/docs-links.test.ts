/** Links among the repository's own pages lead somewhere, and every page is found from the index. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { repositoryRoot } from './stale-files.ts';

const index = 'docs/README.md';
const folders = ['docs', 'examples', 'charts', 'manifests', 'hack', 'operator'];
const pages = [
  ...['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
  ...folders.flatMap((folder) =>
    readdirSync(path.join(repositoryRoot, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md') && !name.includes('node_modules'))
      .map((name) => path.join(folder, name)),
  ),
];
const textOf = (page: string): string => readFileSync(path.join(repositoryRoot, page), 'utf8');

/** What is inside fences and code is no link. */
const prose = (text: string): string => text.replaceAll(/```[\s\S]*?```|`[^`\n]*`/g, '');

interface Link {
  readonly file: string;
  readonly anchor: string | undefined;
}

function linksOf(page: string): readonly Link[] {
  return [...prose(textOf(page)).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [file = '', anchor] = target.split('#');
      return { file: file === '' ? page : path.join(path.dirname(page), file), anchor };
    });
}

/** As GitHub makes them from headings. */
const anchorsOf = (page: string): readonly string[] =>
  [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );

test.each(pages)('links of %s', (page) => {
  const broken = linksOf(page)
    .filter(
      ({ file, anchor }) =>
        !existsSync(path.join(repositoryRoot, file)) ||
        (anchor !== undefined && file.endsWith('.md') && !anchorsOf(file).includes(anchor)),
    )
    .map(({ file, anchor }) => (anchor === undefined ? file : `${file}#${anchor}`));
  expect(broken).toEqual([]);
});

test('every page for users is in the index, or in that of the reference', () => {
  const found = new Set([index, 'docs/reference/README.md'].flatMap((page) => linksOf(page).map(({ file }) => file)));
  const wanted = pages.filter((page) => page.startsWith('docs/') && !page.startsWith('docs/adr/') && page !== index);
  expect(wanted.filter((page) => !found.has(page))).toEqual([]);
});

test('a link that leads nowhere is noticed', () => {
  expect(anchorsOf('docs/operations.md')).toContain('kubectl-mainstay');
  expect(anchorsOf('docs/operations.md')).not.toContain('no-such-heading');
});
