/**
 * What to do about a cluster's certificates. An authority is trusted by every instance before a certificate of it is used,
 * and for as long as one of it is in use: so no step of a rotation breaks a stream or locks a client out.
 */
import type { TlsFiles } from '../api/tls-files.ts';
import {
  bundleOf,
  certificatesIn,
  isFor,
  isForServers,
  isIssuedBy,
  readCertificate,
  type ReadCertificate,
} from './pem.ts';

/** Milliseconds. */
const day = 24 * 3600_000;
/**
 * Replaced when two thirds are over. A year for certificates, because clusters must go on without an operator for months,
 * and nobody is asked about a renewal; ten for authorities, because clients have copies of them.
 */
export const lifetimes = { authority: 3650 * day, certificate: 365 * day } as const;
/** Clocks of nodes may be behind ours. */
export const clockMargin = 3600_000;

/** Public parts only. */
export type PublicTlsFiles = Omit<TlsFiles, 'serverKey' | 'clientKey'>;

/** A server certificate that the user brings, with the authorities by which clients know it. */
export interface OwnServer {
  readonly certificate: string;
  readonly authorities: readonly string[];
}

export interface CertificateFacts {
  /** Wall-clock time in milliseconds. */
  readonly now: number;
  /** The one to issue from: certificate, and the chain above it if the user brings it. Undefined: none can be used. */
  readonly authority:
    { readonly certificate: string; readonly chain: readonly string[]; readonly ours: boolean } | undefined;
  /** `unusable`: what is there stays. */
  readonly ownServer: OwnServer | 'unusable' | undefined;
  readonly files: PublicTlsFiles | undefined;
  /** Every instance uses `files`. */
  readonly inUse: boolean;
  /** Names that the server's certificate must be for. */
  readonly names: readonly string[];
  readonly agentName: string;
  /** For so long clients can learn of a new authority before a server shows a certificate of it. */
  readonly leadMs: number;
}

export interface FilesPlan {
  readonly server: 'keep' | 'issue' | 'copy';
  readonly client: 'keep' | 'issue';
  readonly serverAuthorities: string;
  readonly clientAuthorities: string;
}

export type CertificatePlan =
  | { readonly step: 'make-authority' }
  | ({ readonly step: 'write-files' } & FilesPlan)
  /** `lookAgainAt`: wall-clock time at which time alone may change that. */
  | { readonly step: 'nothing'; readonly lookAgainAt: number };

export function planCertificates(facts: CertificateFacts): CertificatePlan {
  const { now, files } = facts;
  const authority = readCertificate(facts.authority?.certificate);
  if (!facts.authority || !authority || (facts.authority.ours && isDue(authority, now)))
    return { step: 'make-authority' };

  // None outlives its authority: near that one's end another would be no better.
  const worthRenewing = (present: ReadCertificate): boolean =>
    isDue(present, now) && Math.min(now + lifetimes.certificate, authority.to) > present.to + clockMargin;
  const issuing = [authority.pem, ...facts.authority.chain];
  const ownServer = facts.ownServer === 'unusable' ? presentAsOwn(files) : facts.ownServer;
  const server = side(facts, {
    present: readCertificate(files?.serverCertificate),
    trusted: certificatesIn(files?.serverAuthorities ?? ''),
    wanted: ownServer?.authorities ?? issuing,
    isRight: (present) =>
      ownServer ? present.pem === readCertificate(ownServer.certificate)?.pem : isIssuedBy(present, authority),
    mustRenew: (present) => !ownServer && (worthRenewing(present) || facts.names.some((name) => !isFor(present, name))),
    usableFrom: ownServer || !facts.authority.ours ? now : authority.from + clockMargin + facts.leadMs,
  });
  const client = side(facts, {
    present: readCertificate(files?.clientCertificate),
    trusted: certificatesIn(files?.clientAuthorities ?? ''),
    wanted: issuing,
    isRight: (present) => isIssuedBy(present, authority),
    // Earlier versions issued agents' certificates for clients alone.
    mustRenew: (present) => worthRenewing(present) || present.commonName !== facts.agentName || !isForServers(present),
    usableFrom: now,
  });
  const plan: FilesPlan = {
    server: server.renew ? (ownServer ? 'copy' : 'issue') : 'keep',
    client: client.renew ? 'issue' : 'keep',
    serverAuthorities: server.authorities,
    clientAuthorities: client.authorities,
  };
  const changed =
    server.renew ||
    client.renew ||
    bundleOf(certificatesIn(files?.serverAuthorities ?? '')) !== plan.serverAuthorities ||
    bundleOf(certificatesIn(files?.clientAuthorities ?? '')) !== plan.clientAuthorities;
  if (changed) return { step: 'write-files', ...plan };
  const moments = [
    ...(facts.authority.ours ? [dueAt(authority)] : []),
    ...[files?.serverCertificate, files?.clientCertificate].flatMap((text) => {
      const certificate = readCertificate(text);
      return certificate ? [dueAt(certificate), lastCallAt(certificate)] : [];
    }),
    server.usableFrom,
  ].filter((moment) => moment > now);
  return { step: 'nothing', lookAgainAt: Math.min(...moments, now + day) };
}

function presentAsOwn(files: PublicTlsFiles | undefined): OwnServer | undefined {
  return files && { certificate: files.serverCertificate, authorities: certificatesIn(files.serverAuthorities) };
}

interface Side {
  readonly present: ReadCertificate | undefined;
  /** Authorities as they stand in the files. */
  readonly trusted: readonly string[];
  /** Authorities of the certificate that should be there. */
  readonly wanted: readonly string[];
  /** Of the right origin. */
  readonly isRight: (present: ReadCertificate) => boolean;
  readonly mustRenew: (present: ReadCertificate) => boolean;
  readonly usableFrom: number;
}

/** The same for both directions: what servers show, and what agents show. */
function side({ now, inUse }: CertificateFacts, { present, trusted, wanted, isRight, mustRenew, usableFrom }: Side) {
  const right = present !== undefined && isRight(present);
  const known = inUse && wanted.every((pem) => trusted.some((other) => other.trim() === pem.trim()));
  // Where nothing works any more there is nothing to protect.
  const urgent = present === undefined || now >= lastCallAt(present);
  const renew = right ? mustRenew(present) : urgent || (known && now >= usableFrom);
  const leaving = right && !renew && inUse;
  const former = leaving ? [] : trusted.filter((pem) => (readCertificate(pem)?.to ?? 0) > now);
  return { renew, authorities: bundleOf([...wanted, ...former]), usableFrom };
}

const dueAt = ({ from, to }: ReadCertificate): number => from + ((to - from) * 2) / 3;
const isDue = (certificate: ReadCertificate, now: number): boolean => now >= dueAt(certificate);
/** Later than this, an instance that is away no longer holds a renewal up. */
const lastCallAt = ({ from, to }: ReadCertificate): number => to - (to - from) / 12;
