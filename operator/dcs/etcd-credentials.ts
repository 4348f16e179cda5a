/** What etcd asks of a client: PEM texts for TLS and a login. From a folder at which a Secret is mounted, read again as it changes. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';

import { MainstayError } from '../platform/errors.ts';
import { readMounted } from '../platform/mounted-files.ts';

/**
 * All optional. Without `ca`, etcd's certificate is checked against the authorities that Node knows. `cert` and `key`
 * secure the connection only: etcd's gateway takes no user from them.
 */
export interface EtcdCredentials {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly username?: string;
  readonly password?: string;
}

/** Asked before each connection and each login, so that what was renewed is used from then on. Throws ConfigurationInvalid. */
export type CredentialsSource = () => EtcdCredentials;

/** As in Secrets of the types kubernetes.io/tls and kubernetes.io/basic-auth. */
const fileNames = {
  ca: 'ca.crt',
  cert: 'tls.crt',
  key: 'tls.key',
  username: 'username',
  password: 'password',
} as const satisfies Record<keyof EtcdCredentials, string>;

/**
 * A renewal that can't be used (half of a pair, no PEM) must not cut a running primary off etcd: what was good before
 * stays in use, and `onProblem` is told once. Throws ConfigurationInvalid if nothing was good before.
 */
export function credentialsIn(directory: string, onProblem: (problem: MainstayError) => void): CredentialsSource {
  let good: EtcdCredentials | undefined;
  let told: string | undefined;
  return () => {
    try {
      const read = readFrom(directory);
      if (good === undefined || !isDeepStrictEqual(read, good)) {
        refuseUnusable(read);
        good = read;
      }
      told = undefined;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const problem = new MainstayError('ConfigurationInvalid', `etcd's credentials in ${directory}: ${reason}`);
      if (good === undefined) throw problem;
      if (told !== reason) onProblem(problem);
      told = reason;
    }
    return good;
  };
}

/** The same texts by the names of their files, as `data` of a Secret (not base64). */
export function asFiles(credentials: EtcdCredentials): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(fileNames).flatMap(([field, file]) => {
      const text = credentials[field as keyof EtcdCredentials];
      return text === undefined ? [] : [[file, text]];
    }),
  );
}

/** The TLS side of the newest credentials; made anew only when they change. */
export function secureContexts(credentials: CredentialsSource): () => SecureContext {
  let from: EtcdCredentials | undefined;
  let context: SecureContext | undefined;
  return () => {
    const current = credentials();
    if (context === undefined || current !== from) [from, context] = [current, contextOf(current)];
    return context;
  };
}

function contextOf({ ca, cert, key }: EtcdCredentials): SecureContext {
  return createSecureContext({ ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) });
}

function refuseUnusable(credentials: EtcdCredentials): void {
  const together = (a: keyof EtcdCredentials, b: keyof EtcdCredentials): void => {
    if ((credentials[a] === undefined) !== (credentials[b] === undefined))
      throw new Error(`${fileNames[a]} and ${fileNames[b]} belong together, one of them is missing`);
  };
  together('cert', 'key');
  together('username', 'password');
  // A context takes any text for an authority, and then trusts nobody.
  if (credentials.ca !== undefined) new X509Certificate(credentials.ca);
  contextOf(credentials);
}

function readFrom(directory: string): EtcdCredentials {
  const found = readMounted(directory, fileNames);
  if (Object.keys(found).length === 0) throw new Error(`none of ${Object.values(fileNames).join(', ')} is there`);
  return found;
}
