/** The instance's certificates: taken over from the mounted Secret as it is renewed, if a server can use them. */
import { X509Certificate } from 'node:crypto';
import { mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { tlsFileNames, tlsFingerprint, type TlsFiles } from '../api/tls-files.ts';
import { mountedData, readMounted } from '../platform/mounted-files.ts';
import type { Logger } from '../platform/log.ts';

/** Of an engine's layout. */
export interface CertificatePlaces {
  readonly run: string;
  /** Where the Secret with certificates is mounted (operator/api/tls-files.ts); empty where there is none. */
  readonly tlsSecrets: string;
}

export interface Certificates {
  readonly fingerprint: string;
  /** Of these very files; a renewal has another. */
  readonly directory: string;
  /** Subject of the certificate that agents show: the same for all instances of the cluster. */
  readonly agent: { readonly name: string; readonly subject: string };
}

/** A name of the newest of such a file that stays: read anew for each connection, so that a renewal touches none. */
export const newestFile = ({ run }: CertificatePlaces, name: keyof typeof tlsFileNames): string =>
  join(run, 'tls', 'newest', tlsFileNames[name]);

export interface CertificatesKeeper {
  newest(): Promise<Certificates | undefined>;
  problem(): string | undefined;
}

/**
 * What is in force; asked often. Copies, because the kubelet may renew the mount between a server's reads of a certificate
 * and of its key, and because libpq wants keys that nobody else may read. Files that can't be used never take the place of
 * those that can.
 */
export function certificatesFrom(places: CertificatePlaces, log: Logger): CertificatesKeeper {
  let seen: string | undefined;
  let told: string | undefined;
  let inForce: Certificates | undefined;
  const newest = async (): Promise<Certificates | undefined> => {
    const data = mountedData(places.tlsSecrets);
    if (data === seen && told === undefined) return inForce;
    try {
      const files = readMounted(places.tlsSecrets, tlsFileNames);
      seen = data;
      if (Object.keys(files).length === 0) return inForce;
      const complete = usable(files);
      const fingerprint = tlsFingerprint(complete);
      if (fingerprint !== inForce?.fingerprint) {
        const agent = agentOf(complete);
        inForce = { fingerprint, directory: await install(complete, fingerprint, places), agent };
        log.info({ fingerprint }, 'certificates taken over');
      }
      told = undefined;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (told !== reason)
        log.error({ reason }, 'the certificates in the Secret can’t be used; going on with the former');
      told = reason;
    }
    return inForce;
  };
  return { newest, problem: () => told };
}

function usable(found: Partial<TlsFiles>): TlsFiles {
  const missing = Object.entries(tlsFileNames).find(([key]) => found[key as keyof TlsFiles] === undefined);
  if (missing) throw new Error(`${missing[1]} is missing`);
  const files = found as TlsFiles;
  // Each throws for what is no certificate, or for a key of another.
  createSecureContext({ cert: files.serverCertificate, key: files.serverKey });
  createSecureContext({ cert: files.clientCertificate, key: files.clientKey });
  for (const authorities of [files.serverAuthorities, files.clientAuthorities]) new X509Certificate(authorities);
  return files;
}

/** "/O=shop/CN=mainstay-agent-…", as OpenSSL writes a subject on one line. */
function agentOf({ clientCertificate }: TlsFiles): Certificates['agent'] {
  const { subject } = new X509Certificate(clientCertificate);
  const name = /^CN=(.+)$/m.exec(subject)?.[1];
  if (name === undefined) throw new Error(`${tlsFileNames.clientCertificate} has no CN`);
  return {
    name,
    subject: subject
      .split('\n')
      .map((part) => `/${part}`)
      .join(''),
  };
}

async function install(files: TlsFiles, fingerprint: string, { run }: CertificatePlaces): Promise<string> {
  const parent = join(run, 'tls');
  const directory = join(parent, fingerprint);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const [key, name] of Object.entries(tlsFileNames))
    await writeFile(join(directory, name), `${files[key as keyof TlsFiles]}\n`, { mode: 0o600 });
  const link = join(parent, 'newest');
  await rm(`${link}.next`, { force: true });
  await symlink(fingerprint, `${link}.next`);
  await rename(`${link}.next`, link);
  return directory;
}

/** Once a server has gone over to `used`, nobody reads the others. */
export async function discardOtherCertificates({ run }: CertificatePlaces, used: Certificates): Promise<void> {
  const parent = join(run, 'tls');
  for (const name of await readdir(parent))
    if (name !== 'newest' && name !== used.fingerprint) await rm(join(parent, name), { recursive: true, force: true });
}

/** Whether OpenSSL knows any of them; a server doesn't start with a list of strangers. */
export function knowsCiphers(list: string): boolean {
  try {
    createSecureContext({ ciphers: list });
    return true;
  } catch {
    return false;
  }
}
