import type { z } from 'zod';
import { MainstayError } from '../platform/errors.ts';

/** Reads a resource as the API server or a file has it, filling defaults; throws ResourceInvalid with every problem found. */
export function parseResource<S extends z.ZodType>(kind: string, schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join('.') || 'object'}: ${issue.message}`);
  throw new MainstayError('ResourceInvalid', `${kind} is invalid: ${problems.join('; ')}`, { cause: result.error });
}
