/** From zod to the structural OpenAPI v3 schemas that Kubernetes takes in a CustomResourceDefinition. */
import { z } from 'zod';

export interface Validation {
  readonly rule: string;
  readonly message: string;
  readonly messageExpression?: string;
  readonly fieldPath?: string;
}

/** A node of a structural schema, as far as we use it. */
export interface StructuralSchema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly additionalProperties?: StructuralSchema;
  readonly items?: StructuralSchema;
  readonly anyOf?: readonly { readonly type: string }[];
  readonly 'x-kubernetes-int-or-string'?: true;
  readonly 'x-kubernetes-list-type'?: 'map' | 'set' | 'atomic';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly Validation[];
}

/** Throws with the path of the first node that Kubernetes would refuse, or that could make a CEL rule too expensive. */
export function structuralSchema(schema: z.ZodType): StructuralSchema {
  return convert(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }), '');
}

/** Paths of fields that `schema` does not know, which the API server would drop or refuse. */
export function unknownFields(schema: StructuralSchema, value: unknown, path = ''): string[] {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items ? value.flatMap((item, index) => unknownFields(items, item, `${path}[${index}]`)) : [];
  }
  if (typeof value !== 'object' || value === null || (!schema.properties && !schema.additionalProperties)) return [];
  return Object.entries(value).flatMap(([name, child]) => {
    const known = schema.properties?.[name] ?? schema.additionalProperties;
    const childPath = path === '' ? name : `${path}.${name}`;
    return known ? unknownFields(known, child, childPath) : [childPath];
  });
}

/** What zod gives, as far as it is read by name. */
type JsonNode = Readonly<Record<string, unknown>> & { readonly description?: string; readonly pattern?: string };

/** Copied as they are; everything else is either handled by name below or refused. */
const plainKeywords = [
  'type',
  'description',
  'default',
  'enum',
  'format',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'maxProperties',
  'required',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-validations',
] as const;
const nestedKeywords = ['properties', 'additionalProperties', 'items', 'anyOf'] as const;

function convert(node: JsonNode, path: string): StructuralSchema {
  const refuse = (problem: string): never => {
    throw new Error(`schema at ${path === '' ? 'root' : path}: ${problem}`);
  };
  const known: readonly string[] = [...plainKeywords, ...nestedKeywords];
  for (const keyword of Object.keys(node)) {
    if (!known.includes(keyword)) refuse(`keyword ${keyword} has no place in a structural schema`);
  }
  if (node['x-kubernetes-int-or-string'] === true) return intOrString(node);
  if (node['anyOf'] !== undefined) refuse('unions are not structural; use intOrString or separate fields');

  const plain: Record<string, unknown> = {};
  for (const keyword of plainKeywords) {
    const value = node[keyword];
    // zod writes the safe integers as bounds; they say nothing to a reader.
    if (value !== undefined && !(typeof value === 'number' && Math.abs(value) === Number.MAX_SAFE_INTEGER)) {
      plain[keyword] = value;
    }
  }
  const { type } = node;
  switch (type) {
    case 'object': {
      const properties = node['properties'] as Readonly<Record<string, JsonNode>> | undefined;
      const values = node['additionalProperties'] as JsonNode | undefined;
      if (properties && values) refuse('properties and additionalProperties exclude each other');
      if (values && node['maxProperties'] === undefined) refuse('a map needs maxProperties, for the cost of CEL');
      return {
        ...plain,
        ...(properties && {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, child]) => [name, convert(child, `${path}.${name}`)]),
          ),
        }),
        ...(values && { additionalProperties: convert(values, `${path}.*`) }),
      };
    }
    case 'array':
      if (node['maxItems'] === undefined) refuse('a list needs maxItems, for the cost of CEL');
      if (node['x-kubernetes-list-type'] === undefined) refuse('a list must say whether it is a map, a set or atomic');
      return { ...plain, items: convert(node['items'] as JsonNode, `${path}[]`) };
    case 'string':
      if (node['maxLength'] === undefined && node['enum'] === undefined) refuse('a string needs maxLength');
      if (/\(\?[^:]/.test(node.pattern ?? '')) refuse('the pattern has look-around, which RE2 has not');
      return plain;
    case 'integer':
    case 'boolean':
      return plain;
    default:
      return refuse(`type ${String(type)} is not supported`);
  }
}

/** Kubernetes' own form for such values: the bounds of the string stand beside the union. */
function intOrString(node: JsonNode): StructuralSchema {
  const members = node['anyOf'] as readonly JsonNode[];
  const text = members.find((member) => member['type'] === 'string');
  return {
    ...(node.description !== undefined && { description: node.description }),
    anyOf: [{ type: 'integer' }, { type: 'string' }],
    ...(text?.pattern !== undefined && { pattern: text.pattern }),
    ...(text?.['maxLength'] !== undefined && { maxLength: Number(text['maxLength']) }),
    'x-kubernetes-int-or-string': true,
    ...(node['x-kubernetes-validations'] !== undefined && {
      'x-kubernetes-validations': node['x-kubernetes-validations'] as readonly Validation[],
    }),
  };
}
