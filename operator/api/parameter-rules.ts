/** Rules about the parameters of a database, made from what belongs to Mainstay; each with its reason. */
import type { Rule } from './rules.ts';

export type Parameters = Readonly<Record<string, string>>;

export interface LockedParameters {
  readonly names: readonly string[];
  readonly reason: string;
}

export interface RestrictedParameter {
  readonly name: string;
  readonly allowed: { readonly values: readonly string[] } | { readonly minimum: number };
  readonly reason: string;
}

/** `spelling`: what a name looks like, and an example. */
export function rulesOf(
  spelling: { readonly pattern: string; readonly example: string },
  locked: readonly LockedParameters[],
  restricted: readonly RestrictedParameter[],
): readonly Rule<Parameters>[] {
  const pattern = new RegExp(spelling.pattern);
  return [
    {
      cel: `self.all(name, name.matches(${celString(spelling.pattern)}))`,
      message: `write parameter names in lower case, as in ${spelling.example}`,
      holds: (self) => Object.keys(self).every((name) => pattern.test(name)),
    },
    // One rule a name: a message that joins the names found is too expensive for the API server's estimate.
    ...locked.flatMap(({ names, reason }) =>
      names.map((name): Rule<Parameters> => ({
        cel: `!(${celString(name)} in self)`,
        message: `${name}: managed by Mainstay, remove it (${reason})`,
        holds: (self) => !(name in self),
      })),
    ),
    ...restricted.map(({ name, allowed, reason }): Rule<Parameters> => {
      const key = celString(name);
      const wanted = 'values' in allowed ? `use ${allowed.values.join(' or ')}` : `use ${allowed.minimum} or more`;
      const test =
        'values' in allowed
          ? `self[${key}] in ${celList(allowed.values)}`
          : `self[${key}].matches('^[0-9]{1,6}$') && int(self[${key}]) >= ${allowed.minimum}`;
      return {
        cel: `!(${key} in self) || (${test})`,
        message: `${name}: ${wanted}, or remove it (${reason})`,
        messageCel: `${celString(`${name} is `)} + self[${key}] + ${celString(`: ${wanted}, or remove it (${reason})`)}`,
        holds: (self) => {
          const value = self[name];
          if (value === undefined) return true;
          return 'values' in allowed
            ? allowed.values.includes(value)
            : /^[0-9]{1,6}$/.test(value) && Number(value) >= allowed.minimum;
        },
        say: (self) => `${name} is ${self[name] ?? ''}: ${wanted}, or remove it (${reason})`,
      };
    }),
  ];
}

function celString(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function celList(texts: readonly string[]): string {
  return `[${texts.map(celString).join(', ')}]`;
}
