/** Values judged as PostgreSQL itself would (src/backend/utils/misc/guc.c), before anything changes. */
import { catalogueOf, type Catalogue, type KnownParameter, type MajorVersion } from './parameter-catalogue.ts';
import type { Parameters } from './parameters.ts';

/** What is wrong with each, with the remedy; none: PostgreSQL takes them all. */
export function parameterProblems(version: MajorVersion, parameters: Parameters): readonly string[] {
  const catalogue = catalogueOf(version);
  const single = Object.entries(parameters).flatMap(([name, value]) => {
    const known = catalogue.get(name);
    const problem = known ? valueProblem(known, value) : unknownProblem(version, catalogue, name);
    return problem === undefined ? [] : [`${name}: ${problem}`];
  });
  return single.length > 0 ? single : jointProblems(parameters);
}

/** Takes effect only when the server starts. */
export const needsRestart = (version: MajorVersion, name: string): boolean =>
  catalogueOf(version).get(name)?.context === 'postmaster';

/** Bytes, for a value of a parameter that is a size; undefined if it isn't one. */
export function bytesOf(version: MajorVersion, name: string, value: string): number | undefined {
  const known = catalogueOf(version).get(name);
  const unit = known?.unit === undefined ? undefined : baseUnit(known.unit);
  const number = known && numberIn(known, value);
  return unit?.kind !== 'size' || typeof number !== 'number' ? undefined : number * unit.factor;
}

function valueProblem(known: KnownParameter, value: string): string | undefined {
  if (known.context === 'internal') return 'says what the server was built or made with, and can’t be set: remove it';
  switch (known.type) {
    case 'bool':
      return isBoolean(value) ? undefined : `is "${value}", but must be on or off`;
    case 'enum': {
      const lower = value.toLowerCase();
      // PostgreSQL takes words for on and off where those are values, and tells nobody.
      const fits =
        known.values.some((one) => one.toLowerCase() === lower) || (known.values.includes('on') && isBoolean(value));
      return fits ? undefined : `is "${value}", but must be one of ${known.values.join(', ')}`;
    }
    case 'integer':
    case 'real': {
      const number = numberIn(known, value);
      if (typeof number === 'string') return number;
      // The one with a gap, which pg_settings doesn't tell.
      if (known.name === 'vacuum_buffer_usage_limit' && number > 0 && number < 128)
        return `is ${value}, but must be 0 or 128kB to ${shown(known, known.maximum)}`;
      if (number >= known.minimum && number <= known.maximum) return undefined;
      return `is ${value}, but must be ${shown(known, known.minimum)} to ${shown(known, known.maximum)}`;
    }
    case 'string':
      return undefined;
  }
}

/** A parameter of an extension that Mainstay doesn't know is its own business; PostgreSQL takes any such name. */
function unknownProblem(version: MajorVersion, catalogue: Catalogue, name: string): string | undefined {
  const [extension, rest] = name.split('.');
  if (rest !== undefined && ![...catalogue.keys()].some((known) => known.startsWith(`${extension ?? ''}.`)))
    return undefined;
  const nearest = nearestName(name, [...catalogue.keys()]);
  return `PostgreSQL ${version} has no such parameter: ${nearest === undefined ? 'remove it' : `did you mean ${nearest}? Else remove it`}`;
}

/** What PostgreSQL checks only when it starts. */
function jointProblems(parameters: Parameters): readonly string[] {
  const number = (name: string, otherwise: number): number => Number(parameters[name] ?? otherwise);
  const reserved = number('superuser_reserved_connections', 3) + number('reserved_connections', 0);
  const connections = number('max_connections', 200);
  return reserved < connections
    ? []
    : [
        `max_connections: is ${connections}, but superuser_reserved_connections and reserved_connections keep ${reserved} of them: raise it or lower those`,
      ];
}

/** parse_bool: any beginning that can mean only one. */
const isBoolean = (value: string): boolean =>
  value !== '' &&
  (['true', 'false', 'yes', 'no'].some((word) => word.startsWith(value.toLowerCase())) ||
    ['on', 'off', 'of', '1', '0'].includes(value.toLowerCase()));

// ---- numbers and their units -------------------------------------------------------------------------------------------

interface Unit {
  readonly kind: 'size' | 'time';
  /** In bytes, or in milliseconds. */
  readonly factor: number;
}

const units: Readonly<Record<string, Unit>> = {
  B: { kind: 'size', factor: 1 },
  kB: { kind: 'size', factor: 1024 },
  MB: { kind: 'size', factor: 1024 ** 2 },
  GB: { kind: 'size', factor: 1024 ** 3 },
  TB: { kind: 'size', factor: 1024 ** 4 },
  us: { kind: 'time', factor: 0.001 },
  ms: { kind: 'time', factor: 1 },
  s: { kind: 'time', factor: 1000 },
  min: { kind: 'time', factor: 60_000 },
  h: { kind: 'time', factor: 3_600_000 },
  d: { kind: 'time', factor: 86_400_000 },
};

/** pg_settings also counts in blocks: "8kB". */
function baseUnit(unit: string): Unit | undefined {
  const [, count, name] = /^(\d*)(\w+)$/.exec(unit) ?? [];
  const one = name === undefined ? undefined : units[name];
  return one && { ...one, factor: one.factor * Number(count === '' ? 1 : count) };
}

/** In the parameter's own unit, or what is wrong. */
function numberIn(known: KnownParameter, value: string): number | string {
  const [, text, unitName] =
    /^\s*([-+]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?))\s*([a-zA-Z]*)\s*$/.exec(value) ?? [];
  const own = known.unit === undefined ? undefined : baseUnit(known.unit);
  const usable = Object.entries(units).flatMap(([name, { kind }]) => (kind === own?.kind ? [name] : []));
  if (text === undefined || unitName === undefined)
    return `is "${value}", but must be a number${usable.length === 0 ? '' : `, with or without one of the units ${usable.join(', ')}`}`;
  const number = signed(text);
  if (unitName === '') return known.type === 'integer' ? roundHalfEven(number) : number;
  const given = units[unitName];
  if (!own || !given || !usable.includes(unitName))
    return usable.length === 0
      ? `is "${value}", but takes a number without a unit`
      : `has the unit "${unitName}", but takes one of ${usable.join(', ')} (upper and lower case differ)`;
  const converted = (number * given.factor) / own.factor;
  return known.type === 'integer' ? roundHalfEven(converted) : converted;
}

/** As rint() does. */
function roundHalfEven(number: number): number {
  const down = Math.floor(number);
  return number - down === 0.5 && down % 2 === 0 ? down : Math.round(number);
}

const signed = (text: string): number =>
  text.startsWith('-') ? -Number(text.slice(1)) : Number(text.startsWith('+') ? text.slice(1) : text);

/** 2147483647 of kB says nothing to anybody. */
function shown({ unit, type }: KnownParameter, limit: number): string {
  const own = unit === undefined ? undefined : baseUnit(unit);
  if (own === undefined || limit <= 0) return String(limit);
  const exact = limit * own.factor;
  const [name, { factor }] = Object.entries(units)
    .filter(([, one]) => one.kind === own.kind && one.factor >= Math.min(own.factor, exact) && one.factor <= exact)
    .at(-1) ?? ['', { factor: 1 }];
  const inUnit = exact / factor;
  return `${type === 'integer' ? Math.floor(inUnit) : inUnit}${name}`;
}

/** The one that differs by the fewest edits, if few. */
function nearestName(name: string, names: readonly string[]): string | undefined {
  const [best] = names
    .map((candidate) => ({ candidate, edits: editsBetween(name, candidate) }))
    .toSorted((a, b) => a.edits - b.edits);
  return best !== undefined && best.edits <= Math.max(2, name.length / 4) ? best.candidate : undefined;
}

/** Levenshtein's distance. */
function editsBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1)
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1)));
    row = next;
  }
  return row.at(-1) ?? 0;
}
