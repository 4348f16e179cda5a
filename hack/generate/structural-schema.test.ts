import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { customResources, postgresCluster } from './custom-resource-definition.ts';
import { structuralSchema, unknownFields, type StructuralSchema } from './structural-schema.ts';

test.each([
  ['a string without bound', z.object({ name: z.string() }), '.name: a string needs maxLength'],
  ['a list without bound', z.object({ list: z.array(z.boolean()) }), '.list: a list needs maxItems'],
  ['a map without bound', z.object({ map: z.record(z.string(), z.boolean()) }), '.map: a map needs maxProperties'],
  ['a union', z.object({ either: z.union([z.boolean(), z.int()]) }), '.either: unions are not structural'],
  ['an open object', z.looseObject({ a: z.boolean() }), 'root: properties and additionalProperties'],
  [
    'look-around',
    z.object({
      name: z
        .string()
        .max(9)
        .regex(/^(?!x)/),
    }),
    '.name: the pattern has look-around',
  ],
])('%s is no structural schema', (_title, schema, problem) => {
  expect(() => structuralSchema(schema)).toThrow(problem);
});

test('every field of a resource is described', () => {
  const undescribed = (schema: StructuralSchema, path: string): string[] =>
    Object.entries(schema.properties ?? {}).flatMap(([name, field]) => [
      ...(field.description === undefined ? [`${path}.${name}`] : []),
      ...undescribed(field.items ?? field, `${path}.${name}`),
    ]);
  for (const { schema } of customResources()) {
    const { spec, status } = schema.properties ?? {};
    expect([...undescribed(spec ?? {}, 'spec'), ...undescribed(status ?? {}, 'status')]).toEqual([]);
  }
});

test('unknown fields are found at any depth', () => {
  const { schema } = postgresCluster();
  const object = {
    metadata: { name: 'orders', labels: { any: 'thing' } },
    spec: {
      storage: { size: '1Gi', clas: 'fast' },
      instanses: 3,
      postgresql: { parameters: { work_mem: '4MB' } },
      affinity: { tolerations: [{ key: 'a' }, { kye: 'b' }] },
    },
  };
  expect(unknownFields(schema, object)).toEqual([
    'spec.storage.clas',
    'spec.instanses',
    'spec.affinity.tolerations[1].kye',
  ]);
});
