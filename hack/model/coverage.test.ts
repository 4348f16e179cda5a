/** README.md's table of rules names what exists, and leaves nothing out. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { bugs } from '../../operator/simulation/bugs.ts';
import { variants } from './variants.ts';

const here = import.meta.dirname;
const text = (file: string): string => readFileSync(path.join(here, file), 'utf8');
const inCode = (cell: string): readonly string[] => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '');

interface Row {
  readonly rule: string;
  readonly file: string;
  readonly function: string;
  readonly options: readonly string[];
  readonly bugs: readonly string[];
}

const rows: readonly Row[] = (text('README.md').split('| Bug in the simulator')[1] ?? '')
  .split('\n')
  .slice(2)
  .filter((line, index, lines) => lines.slice(0, index + 1).every((each) => each.startsWith('|')) && line !== '')
  .map((line) => {
    const [rule = '', code = '', options = '', found = ''] = line.replaceAll('\\|', '¦').slice(1, -1).split('|');
    const [file = '', name = ''] = inCode(code);
    return { rule: rule.trim(), file, function: name, options: inCode(options), bugs: inCode(found) };
  });

const definedAs = (name: string): RegExp =>
  new RegExp(String.raw`\bfunction ${name}\b|\bconst ${name}\b|^\s*async ${name}\(`, 'm');
const optionsOf = (options: string): readonly string[] =>
  options.split(' ').map((option) => option.split('=')[0] ?? option);

describe('the table of rules', () => {
  it('is there', () => {
    expect(rows.length).toBeGreaterThan(30);
  });

  it.each(rows)('$rule: $file $function', (row) => {
    const source = text(path.join('../../operator', row.file));
    if (row.function !== '') expect(source).toMatch(definedAs(row.function));
    for (const option of row.options) expect(text('ha.pml')).toMatch(new RegExp(String.raw`\b${option}\b`));
    for (const bug of row.bugs) expect(bugs.map(({ name }) => name)).toContain(bug);
  });

  it('has every option that must fail', () => {
    const listed = rows.flatMap((row) => row.options);
    const taken = variants.filter(({ must }) => must === 'fail').map(({ options }) => optionsOf(options).at(-1));
    expect(taken.filter((option) => option === undefined || !listed.includes(option))).toEqual([]);
    const run = variants.filter(({ must }) => must === 'fail').flatMap(({ options }) => optionsOf(options));
    expect(listed.filter((option) => !run.includes(option))).toEqual([]);
  });

  it('has every bug of the simulator', () => {
    const listed = rows.flatMap((row) => row.bugs);
    expect(bugs.map(({ name }) => name).filter((name) => !listed.includes(name))).toEqual([]);
  });
});

describe('the variants', () => {
  it('use only options that the model knows', () => {
    const model = text('ha.pml');
    const unknown = variants
      .flatMap(({ options, quick }) => optionsOf(quick === undefined ? options : `${options} ${quick}`))
      .filter((option) => !new RegExp(String.raw`\b${option}\b`).test(model));
    expect(unknown).toEqual([]);
  });

  it('are each listed once', () => {
    const all = variants.map(({ options }) => options);
    expect(all.filter((options, index) => all.indexOf(options) !== index)).toEqual([]);
  });
});
