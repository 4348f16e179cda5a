/** Passwords of the connections among the instances, as mounted. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { credentialsDigest } from '../../api/declared-password.ts';
import { MySQLDeclaration } from '../../api/mysql-declaration.ts';
import { matchesVerifier } from './caching-sha2.ts';
import type { Layout } from './layout.ts';

export interface Passwords {
  readonly replication: string;
  readonly clone: string;
}

export async function mountedPasswords(layout: Layout): Promise<Passwords> {
  const secret = async (key: string): Promise<string> =>
    (await readFile(join(layout.systemSecrets, key), 'utf8')).trim();
  return { replication: await secret('replication-password'), clone: await secret('clone-password') };
}

/** Tells which of the declared credentials this instance holds; the costly comparison is done once for each pair. */
export function heldCredentials(layout: Layout): (declaration: string | undefined) => Promise<string | undefined> {
  let judged: { readonly pair: string; readonly held: string | undefined } | undefined;
  return async (text) => {
    if (text === undefined) return undefined;
    const mounted = await mountedPasswords(layout);
    const pair = JSON.stringify([text, mounted]);
    if (judged?.pair !== pair) {
      const { data } = MySQLDeclaration.safeParse(JSON.parse(text));
      const holds =
        data?.system &&
        matchesVerifier(mounted.replication, data.system.replication.verifier) &&
        matchesVerifier(mounted.clone, data.system.clone.verifier);
      judged = { pair, held: data?.system && holds ? credentialsDigest(data.system) : undefined };
    }
    return judged.held;
  };
}
