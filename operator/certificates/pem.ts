/** Certificates as text: several in one file, and what they say. */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

const block = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Each certificate of a bundle. */
export const certificatesIn = (text: string): readonly string[] => text.match(block) ?? [];

export const bundleOf = (certificates: readonly string[]): string =>
  [...new Set(certificates.map((pem) => pem.trim()))].map((pem) => `${pem}\n`).join('');

export interface Validity {
  /** Wall-clock times in milliseconds. */
  readonly from: number;
  readonly to: number;
}

export interface ReadCertificate extends Validity {
  readonly pem: string;
  readonly x509: X509Certificate;
  /** DNS names that it is for. */
  readonly names: readonly string[];
  readonly commonName: string | undefined;
}

/** The first certificate of a text; undefined if that is none. */
export function readCertificate(text: string | undefined): ReadCertificate | undefined {
  const [pem] = certificatesIn(text ?? '');
  if (pem === undefined) return undefined;
  try {
    const x509 = new X509Certificate(pem);
    return {
      pem,
      x509,
      from: x509.validFromDate.getTime(),
      to: x509.validToDate.getTime(),
      names: (x509.subjectAltName ?? '').split(', ').map((name) => name.replace(/^DNS:/, '')),
      commonName: /^CN=(.+)$/m.exec(x509.subject)?.[1],
    };
  } catch {
    return undefined;
  }
}

/** Addresses have many spellings. */
export const isFor = ({ x509, names }: ReadCertificate, name: string): boolean =>
  isIP(name) === 0 ? names.includes(name) : x509.checkIP(name) !== undefined;

/** serverAuth of RFC 5280. Agents' certificates are for either end: agents also answer one another. */
export const isForServers = ({ x509 }: ReadCertificate): boolean =>
  ((x509.keyUsage as readonly string[] | undefined) ?? []).includes('1.3.6.1.5.5.7.3.1');

export function isIssuedBy(certificate: ReadCertificate, authority: ReadCertificate): boolean {
  return certificate.x509.checkIssued(authority.x509) && certificate.x509.verify(authority.x509.publicKey);
}
