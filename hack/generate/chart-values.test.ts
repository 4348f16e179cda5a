import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { repositoryRoot } from './stale-files.ts';

interface ValuesSchema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, ValuesSchema>>;
  readonly additionalProperties?: boolean | ValuesSchema;
}

const chart = path.join(repositoryRoot, 'charts/mainstay');
const values = parse(readFileSync(path.join(chart, 'values.yaml'), 'utf8')) as unknown;
const schema = JSON.parse(readFileSync(path.join(chart, 'values.schema.json'), 'utf8')) as ValuesSchema;

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Where one has a key that the other has not; below maps of the user's own keys there is nothing to compare. */
function differences(have: unknown, known: ValuesSchema, at: string): string[] {
  const { properties } = known;
  if (!properties || !isObject(have)) return [];
  return [
    ...Object.keys(have)
      .filter((name) => !(name in properties))
      .map((name) => `${at}${name} is in values.yaml only`),
    ...Object.keys(properties)
      .filter((name) => !(name in have) && !optional.test(`${at}${name}`))
      .map((name) => `${at}${name} is in values.schema.json only`),
    ...Object.entries(properties).flatMap(([name, child]) => differences(have[name], child, `${at}${name}.`)),
  ];
}

/** Keys that may be set and have no default. */
const optional = /^global$|\.resources\.(requests|limits)\./;

test('values.yaml and values.schema.json know the same values', () => {
  expect(differences(values, schema, '')).toEqual([]);
});

test('a misspelt value is refused: every object with known keys is closed', () => {
  const open = (node: ValuesSchema, at: string): string[] => [
    ...(node.properties && node.additionalProperties !== false ? [at] : []),
    ...Object.entries(node.properties ?? {}).flatMap(([name, child]) => open(child, `${at}.${name}`)),
  ];
  expect(open(schema, 'values')).toEqual([]);
});
