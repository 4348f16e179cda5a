/**
 * Passwords of the connections among the instances. While a new one spreads, nobody knows which one a server goes by: the
 * kubelet brings a renewed Secret up to two minutes late, and an elected replica may have been a moment behind. So a few
 * are kept, and one that is refused makes room for the next.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { credentialsDigest } from '../../api/declared-password.ts';
import { PostgresDeclaration } from '../../api/postgres-declaration.ts';
import { matchesVerifier } from '../../platform/scram.ts';
import type { Layout } from './layout.ts';
import { replicationRole, rewindRole } from './names.ts';

interface Passwords {
  readonly replication: string;
  readonly rewind: string;
}

const kept = 4;

export const passwordFile = (layout: Layout): string => join(layout.run, 'pgpass');
const knownFile = (layout: Layout): string => join(layout.run, 'passwords');

/** As in the Secret now. */
export async function mountedPasswords(layout: Layout): Promise<Passwords> {
  const secret = async (key: string): Promise<string> =>
    (await readFile(join(layout.systemSecrets, key), 'utf8')).trim();
  return { replication: await secret('replication-password'), rewind: await secret('rewind-password') };
}

/** Writes the file that libpq reads at each connection; what was in use stays in use, what is new is remembered. */
export async function writePasswordFile(layout: Layout): Promise<string> {
  await use(layout, await knownPasswords(layout));
  return passwordFile(layout);
}

/** After a refusal: the next one. False if there is no other. */
export async function tryOtherPassword(layout: Layout): Promise<boolean> {
  const [refused, ...others] = await knownPasswords(layout);
  if (!refused || others.length === 0) return false;
  await use(layout, [...others, refused]);
  return true;
}

export const isRefusedPassword = (text: string): boolean =>
  new RegExp(`password authentication failed for user "(${replicationRole}|${rewindRole})"`).test(text);

/** `work` again with each other password that is known, as long as one is refused. */
export async function withPasswords<T>(layout: Layout, work: (passfile: string) => Promise<T>): Promise<T> {
  const passfile = await writePasswordFile(layout);
  for (let left = kept; ; left -= 1) {
    try {
      return await work(passfile);
    } catch (error) {
      const refused = error instanceof Error && isRefusedPassword(error.message);
      if (!refused || left <= 1 || !(await tryOtherPassword(layout))) throw error;
    }
  }
}

/** The one in use first. */
async function knownPasswords(layout: Layout): Promise<readonly Passwords[]> {
  const mounted = await mountedPasswords(layout);
  const text = await readFile(knownFile(layout), 'utf8').catch(() => '[]');
  const known = JSON.parse(text) as readonly Passwords[];
  const isMounted = (one: Passwords): boolean =>
    one.replication === mounted.replication && one.rewind === mounted.rewind;
  return known.some(isMounted) ? known : [...known.slice(0, kept - 1), mounted];
}

async function use(layout: Layout, passwords: readonly Passwords[]): Promise<void> {
  const [first] = passwords;
  const lines = [`*:*:*:${replicationRole}:${first?.replication ?? ''}`, `*:*:*:${rewindRole}:${first?.rewind ?? ''}`];
  await writeFile(knownFile(layout), JSON.stringify(passwords), { mode: 0o600 });
  await writeFile(passwordFile(layout), `${lines.join('\n')}\n`, { mode: 0o600 });
}

type System = NonNullable<PostgresDeclaration['system']>;

/** Tells which of the declared credentials this instance holds; the costly comparison is done once for each pair. */
export function heldCredentials(layout: Layout): (declaration: string | undefined) => Promise<string | undefined> {
  let judged: { readonly pair: string; readonly holds: boolean } | undefined;
  let read: { readonly text: string; readonly system: System | undefined } | undefined;
  return async (text) => {
    if (text === undefined) return undefined;
    if (read?.text !== text) {
      const parsed = PostgresDeclaration.safeParse(JSON.parse(text));
      read = { text, system: parsed.success ? parsed.data.system : undefined };
    }
    const { system } = read;
    if (!system) return undefined;
    const mounted = await mountedPasswords(layout);
    const digest = credentialsDigest(system);
    const pair = JSON.stringify([digest, mounted]);
    if (judged?.pair !== pair) {
      const holds =
        (await matchesVerifier(mounted.replication, system.replication.verifier)) &&
        (await matchesVerifier(mounted.rewind, system.rewind.verifier));
      // Known from now on, so that a refusal finds it.
      if (holds) await writePasswordFile(layout);
      judged = { pair, holds };
    }
    return judged.holds ? digest : undefined;
  };
}
