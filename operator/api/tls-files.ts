/** The Secret `<cluster>-certificates`: written by the operator, mounted by the Pods, its files named here. */
import { createHash } from 'node:crypto';

export const tlsFileNames = {
  /** Certificate of the server, with its chain. */
  serverCertificate: 'tls.crt',
  serverKey: 'tls.key',
  /** Authorities by which servers are known; also in the Secret `<cluster>-ca`, for clients. */
  serverAuthorities: 'ca.crt',
  /** What agents show when they copy from, or follow, another instance. */
  clientCertificate: 'client.crt',
  clientKey: 'client.key',
  /** Authorities by which servers know agents. */
  clientAuthorities: 'client-ca.crt',
} as const;

/** Texts in PEM. */
export type TlsFiles = { readonly [File in keyof typeof tlsFileNames]: string };

/** Says which files an instance uses, without telling their keys. */
export function tlsFingerprint(files: Omit<TlsFiles, 'serverKey' | 'clientKey'>): string {
  const { serverCertificate, serverAuthorities, clientCertificate, clientAuthorities } = files;
  const hash = createHash('sha256');
  for (const text of [serverCertificate, serverAuthorities, clientCertificate, clientAuthorities])
    hash.update(`${text.trim()}\0`);
  return hash.digest('hex').slice(0, 16);
}
