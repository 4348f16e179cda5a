/** Passwords of the connections among the instances, as mounted. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
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
