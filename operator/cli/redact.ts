/** What leaves the cluster in a report: nothing by which anybody could log in. */

const hidden = (text: string): string => `[redacted, ${text.length} characters]`;
const secretName = /passw|secret|token|credential|private|api[-_]?key/i;
/** Annotations that repeat the whole object. */
const copies = new Set(['kubectl.kubernetes.io/last-applied-configuration']);

/** An API object without values of Secrets, values under names that sound like a secret, and what only machines read. */
export function redactedObject(object: unknown): unknown {
  const isSecret = (object as { readonly kind?: unknown } | null)?.kind === 'Secret';
  return redacted(object, isSecret);
}

function redacted(value: unknown, isSecret: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => redacted(item, isSecret));
  if (typeof value === 'string') return redactedText(value);
  if (typeof value !== 'object' || value === null) return value;
  const named = value as Readonly<Record<string, unknown>>;
  const isVariable = typeof named['name'] === 'string' && typeof named['value'] === 'string';
  return Object.fromEntries(
    Object.entries(named).flatMap(([key, field]): [string, unknown][] => {
      if (key === 'managedFields' || copies.has(key)) return [];
      if (isSecret && (key === 'data' || key === 'stringData')) return [[key, hiddenValues(field)]];
      if (isVariable && key === 'value' && secretName.test(String(named['name'])))
        return [[key, hidden(String(field))]];
      if (typeof field === 'string' && secretName.test(key) && !/name$/i.test(key)) return [[key, hidden(field)]];
      return [[key, redacted(field, isSecret)]];
    }),
  );
}

const hiddenValues = (values: unknown): unknown =>
  Object.fromEntries(Object.entries(values ?? {}).map(([key, value]) => [key, hidden(String(value))]));

/** A line of a log, or any other text. */
export function redactedText(text: string): string {
  return text
    .replace(
      /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
      '[redacted private key]',
    )
    .replace(/\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@"']+):[^\s@"']+@/gi, '$1:[redacted]@')
    .replace(/\b(passw(?:or)?d\\?["']?\s*[=:]?\s*\\?["'])[^"'\\]+/gi, '$1[redacted]')
    .replace(/\b(passw(?:or)?d=)(?!\\?["'])[^\s&"']+/gi, '$1[redacted]')
    .replace(/\b(Bearer\s+)[A-Za-z0-9._-]{16,}/g, '$1[redacted]')
    .replace(/SCRAM-SHA-256\$\S+/g, '[redacted verifier]');
}
