import { createHash } from 'node:crypto';
import { annotations } from './labels.ts';

interface Described {
  metadata?: { annotations?: Record<string, string> } | undefined;
}

/** Sixteen hex digits that change when, and only when, what we ask for changes. */
export function intentHash(intent: unknown): string {
  return createHash('sha256').update(canonical(intent)).digest('hex').slice(0, 16);
}

/**
 * The object with the hash of itself as an annotation. Live objects are never compared with what we want: defaults and
 * webhooks of others change them, and that must not start a fight, least of all a restart.
 */
export function withIntent<T extends Described>(object: T): T {
  return {
    ...object,
    metadata: {
      ...object.metadata,
      annotations: { ...object.metadata?.annotations, [annotations.intent]: intentHash(object) },
    },
  };
}

/** JSON with sorted keys, without what is undefined. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`);
    return `{${fields.join(',')}}`;
  }
  return value === undefined ? 'null' : JSON.stringify(value);
}
