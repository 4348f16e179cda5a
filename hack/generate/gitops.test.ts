/** What GitOps tools are given: manifests by their own schemas, and Argo CD's health checks on their test data, by a Lua machine. */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import { customResources } from './custom-resource-definition.ts';
import { repositoryRoot } from './stale-files.ts';
import { unknownFields } from './structural-schema.ts';

// It has no types of its own.
const fengari = createRequire(import.meta.url)('fengari') as Lua;
const examples = path.join(repositoryRoot, 'examples');

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
}

/** Throws unless the object is as the schema of that API says. */
interface Model {
  new (object: object): { validate(): void };
}

const packages: Readonly<Record<string, string>> = {
  'argoproj.io': '@kubernetes-models/argo-cd',
  'helm.toolkit.fluxcd.io': '@kubernetes-models/flux-cd',
  'kustomize.toolkit.fluxcd.io': '@kubernetes-models/flux-cd',
  'source.toolkit.fluxcd.io': '@kubernetes-models/flux-cd',
};

async function check(object: Manifest): Promise<void> {
  const [group = '', version = ''] = object.apiVersion.split('/');
  const models = (await import(`${packages[group] ?? ''}/${group}/${version}`)) as Readonly<Record<string, Model>>;
  const Model = models[object.kind];
  if (!Model) throw new Error(`${object.apiVersion} has no ${object.kind}`);
  new Model(object).validate();
}

const manifests = ['argo-cd/application.yaml', 'flux/mainstay.yaml'].flatMap((file) =>
  parseAllDocuments(readFileSync(path.join(examples, file), 'utf8')).map((document) => {
    const object = document.toJS() as Manifest & { readonly metadata: { readonly name: string } };
    return [`${file}: ${object.kind} ${object.metadata.name}`, object] as const;
  }),
);

test.each(manifests)('%s is valid', (_, object) => check(object));

test('what is no Application is refused', async () => {
  const [, application] = manifests[0] ?? [];
  await expect(check({ ...application, spec: { project: 7 } } as unknown as Manifest)).rejects.toThrow(/spec/);
});

// ---- Argo CD's health checks -----------------------------------------------------------------------------------------

interface Lua {
  readonly lua: Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
  readonly lauxlib: Readonly<Record<string, (...args: readonly unknown[]) => unknown>>;
  readonly lualib: Readonly<Record<string, (state: unknown) => unknown>>;
  readonly to_luastring: (text: string) => unknown;
  readonly to_jsstring: (text: unknown) => string;
}

/** The value in Lua's own words. */
function literal(value: unknown): string {
  if (Array.isArray(value)) return `{${value.map(literal).join(',')}}`;
  if (typeof value !== 'object' || value === null) return value === null ? 'nil' : JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, of]) => `[${JSON.stringify(key)}]=${literal(of)}`)
    .join(',')}}`;
}

/** As Argo CD runs it: `obj` is the object, the answer a table. */
function healthOf(script: string, object: object): { readonly status: string; readonly message: string } {
  const { lua, lauxlib, lualib, to_luastring, to_jsstring } = fengari;
  const state = lauxlib['luaL_newstate']?.();
  lualib['luaL_openlibs']?.(state);
  const program = `obj = ${literal(object)}\nlocal h = (function()\n${script}\nend)()\nreturn h.status .. "\\n" .. h.message`;
  const failed = lauxlib['luaL_dostring']?.(state, to_luastring(program));
  const answer = to_jsstring(lua['lua_tostring']?.(state, -1));
  if (failed !== false && failed !== 0) throw new Error(answer);
  const [status = '', message = ''] = answer.split('\n');
  return { status, message };
}

const customizations = path.join(examples, 'argo-cd/resource_customizations/mainstay.dev');

describe.each(readdirSync(customizations))('health of a %s in Argo CD', (kind) => {
  const folder = path.join(customizations, kind);
  const script = readFileSync(path.join(folder, 'health.lua'), 'utf8');
  const { tests } = parse(readFileSync(path.join(folder, 'health_test.yaml'), 'utf8')) as {
    readonly tests: readonly { readonly inputPath: string; readonly healthStatus: object }[];
  };

  test.each(tests)('$inputPath', ({ inputPath, healthStatus }) => {
    const object = parse(readFileSync(path.join(folder, inputPath), 'utf8')) as Manifest;
    const resource = customResources().find((candidate) => candidate.kind === object.kind);
    expect(resource && unknownFields(resource.schema, object)).toEqual([]);
    expect(healthOf(script, object)).toEqual(healthStatus);
  });

  test('all test data are used', () => {
    const used = tests.map(({ inputPath }) => path.basename(inputPath)).sort();
    expect(readdirSync(path.join(folder, 'testdata')).sort()).toEqual(used);
  });
});
