/** Every field of a resource's spec that holds a value, and specs that differ in nothing else. */
import type { StructuralSchema } from '../generate/structural-schema.ts';

export interface Leaf {
  /** As in `failover.instances[].priority` or `pod.labels.*`. */
  readonly path: string;
  readonly schema: StructuralSchema;
}

export function leavesOf(schema: StructuralSchema, path = ''): readonly Leaf[] {
  const below = (name: string): string => (path === '' ? name : `${path}.${name}`);
  if (schema.properties)
    return Object.entries(schema.properties).flatMap(([name, child]) => leavesOf(child, below(name)));
  if (schema.additionalProperties) return leavesOf(schema.additionalProperties, below('*'));
  if (schema.items) return leavesOf(schema.items, `${path}[]`);
  return [{ path, schema }];
}

/** What must stand beside a leaf, or above it, for the spec to make sense. */
export type Context = Readonly<Record<string, unknown>>;

/** The key by which maps are entered. */
export const mapKey = 'example.org/key';

/** `base` with a value at the leaf; `undefined` leaves it out. `beside`: of each object on the way, what else it holds. */
export function withLeaf(
  base: Context,
  path: string,
  value: unknown,
  beside: Readonly<Record<string, Context>> = {},
  key = mapKey,
): Context {
  const place = (here: Context, steps: readonly string[], sofar: string): Context => {
    const [step = '', ...rest] = steps;
    const isList = step.endsWith('[]');
    const name = step === '*' ? key : step.replace('[]', '');
    const path = sofar === '' ? step : `${sofar}.${step}`;
    const whole = { ...here, ...beside[sofar] };
    if (rest.length === 0) {
      const others = Object.entries(whole).filter(([field]) => field !== name);
      return Object.fromEntries(value === undefined ? others : [...others, [name, isList ? [value] : value]]);
    }
    const child = whole[name];
    const inner = (isList ? (child as Context[] | undefined)?.[0] : child) as Context | undefined;
    const placed = place({ ...inner, ...beside[path] }, rest, path);
    return { ...whole, [name]: isList ? [placed] : placed };
  };
  return place(base, path.split('.'), '');
}
