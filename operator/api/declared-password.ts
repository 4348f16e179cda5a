import { createHash } from 'node:crypto';
import { z } from 'zod';

/** A password as the database keeps it. `revision`: which Secret in which version it was made from, for whoever made it. */
export const DeclaredPassword = z.object({ verifier: z.string(), revision: z.string() }).readonly();
export type DeclaredPassword = z.output<typeof DeclaredPassword>;

/** Names the passwords among the instances, for who can't see them. */
export function credentialsDigest(system: Readonly<Record<string, DeclaredPassword>>): string {
  const verifiers = Object.entries(system)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { verifier }]) => verifier);
  return createHash('sha256').update(verifiers.join('\n')).digest('hex').slice(0, 16);
}
