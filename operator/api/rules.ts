/** Rules of the API, said once: as CEL for the API server and, where no old object is needed, as code for everybody else. */
import type { z } from 'zod';

export interface Rule<T> {
  /** CEL over `self` (and `oldSelf`: then only the API server can check it). */
  readonly cel: string;
  /** What is wrong and what to do, when the values can't be named. */
  readonly message: string;
  /** CEL for a better message, with the values. */
  readonly messageCel?: string;
  /** Path below the schema's own, e.g. ".acknowledgements". */
  readonly fieldPath?: string;
  /** The same as `cel`; absent for rules about changes. */
  readonly holds?: (self: T) => boolean;
  /** The same as `messageCel`. */
  readonly say?: (self: T) => string;
}

/** Adds description, keywords and rules to a schema; last in the chain, because zod keeps metadata per schema object. */
export function described<S extends z.ZodType>(
  schema: S,
  description: string,
  rules: readonly Rule<z.output<S>>[] = [],
  keywords: Readonly<Record<string, unknown>> = {},
): S {
  const checked = rules.reduce<S>((current, rule) => withCheck(current, rule), schema);
  return checked.meta({
    description,
    ...(rules.length > 0 && { 'x-kubernetes-validations': rules.map(celRule) }),
    ...keywords,
  });
}

/** A pattern with a message that people understand; the API server's own shows the expression only. */
export function matching(pattern: RegExp, problem: string): Rule<string | undefined> {
  return {
    cel: `self.matches('${pattern.source.replaceAll('\\', '\\\\')}')`,
    message: problem,
    messageCel: `'"' + self + '" ${problem}'`,
    holds: (self) => self === undefined || pattern.test(self),
    say: (self) => `"${self ?? ''}" ${problem}`,
  };
}

function withCheck<S extends z.ZodType>(schema: S, rule: Rule<z.output<S>>): S {
  const { holds, say } = rule;
  if (holds === undefined) return schema;
  return schema.superRefine((self, context) => {
    if (holds(self)) return;
    context.addIssue({
      code: 'custom',
      message: say?.(self) ?? rule.message,
      path: (rule.fieldPath ?? '').split('.').filter((part) => part !== ''),
    });
  });
}

function celRule(rule: Rule<never>): Readonly<Record<string, string>> {
  return {
    rule: rule.cel,
    message: rule.message,
    ...(rule.messageCel !== undefined && { messageExpression: rule.messageCel }),
    ...(rule.fieldPath !== undefined && { fieldPath: rule.fieldPath }),
  };
}
