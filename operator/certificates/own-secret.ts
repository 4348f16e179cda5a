/** What users bring in Secrets of their own: good, or what is wrong with it and what to do. */
import { createPrivateKey } from 'node:crypto';
import type { KeyPair } from './authority.ts';
import { bundleOf, certificatesIn, readCertificate } from './pem.ts';
import type { OwnServer } from './plan.ts';

export type Brought<T> =
  { readonly status: 'usable'; readonly value: T } | { readonly status: 'unusable'; readonly problem: string };

/** Texts by file name; undefined: there is no such Secret. */
export type SecretTexts = Readonly<Record<string, string>> | undefined;

export interface OwnServerPair extends OwnServer {
  readonly key: string;
}

export interface OwnAuthority extends KeyPair {
  /** Up to the root. */
  readonly chain: readonly string[];
}

export const readServerSecret = (name: string, texts: SecretTexts, now: number): Brought<OwnServerPair> =>
  judged(`Secret ${name} (spec.tls.serverSecret)`, () => {
    const { certificate, key } = pairIn(texts, now);
    const authorities = certificatesIn(texts?.['ca.crt'] ?? '');
    if (authorities.length === 0)
      throw new Error(
        'has no ca.crt: add the certificates of the authority that issued tls.crt, by which replicas know the primary',
      );
    return { certificate, key, authorities };
  });

export const readAuthoritySecret = (name: string, texts: SecretTexts, now: number): Brought<OwnAuthority> =>
  judged(`Secret ${name} (spec.tls.authoritySecret)`, () => {
    const { certificate, key } = pairIn(texts, now);
    const read = readCertificate(certificate);
    if (!read?.x509.ca)
      throw new Error('holds no certificate authority in tls.crt (CA:TRUE is missing): put one there, with its key');
    const isRoot = read.x509.issuer === read.x509.subject;
    const chain = isRoot ? [] : certificatesIn(texts?.['ca.crt'] ?? '');
    if (!isRoot && chain.length === 0)
      throw new Error(
        'has an authority in tls.crt that is no root, and no ca.crt: add the certificates above it, up to the root',
      );
    return { certificate: read.pem, key, chain };
  });

function judged<T>(what: string, read: () => T): Brought<T> {
  try {
    return { status: 'usable', value: read() };
  } catch (error) {
    return { status: 'unusable', problem: `${what} ${error instanceof Error ? error.message : String(error)}.` };
  }
}

function pairIn(texts: SecretTexts, now: number): KeyPair {
  if (texts === undefined) throw new Error('does not exist: make it, or remove the field');
  const { 'tls.crt': certificate = '', 'tls.key': key = '' } = texts;
  const missing = ['tls.crt', 'tls.key'].filter((file) => !texts[file]);
  if (missing.length > 0) throw new Error(`has no ${missing.join(' and no ')}: add it`);
  const read = readCertificate(certificate);
  if (!read) throw new Error('has a tls.crt that is no certificate in PEM: replace it');
  if (!read.x509.checkPrivateKey(privateKey(key)))
    throw new Error('has a tls.key that does not belong to tls.crt: put both of one pair into it');
  if (read.to <= now) throw new Error(`has a tls.crt that ended at ${read.x509.validTo}: renew it`);
  if (read.from > now)
    throw new Error(`has a tls.crt that begins at ${read.x509.validFrom} only: check the clocks, or wait`);
  return { certificate: bundleOf(certificatesIn(certificate)), key };
}

function privateKey(pem: string) {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error('has a tls.key that is no private key in PEM without a passphrase: replace it');
  }
}
