/** By what agents know one another: the certificate that all agents of a cluster share, read anew as the Secret is renewed. */
import { createSecureContext } from 'node:tls';
import { tlsFileNames } from '../api/tls-files.ts';
import { isForServers, readCertificate, type Validity } from '../certificates/pem.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import { mountedData, readMounted } from '../platform/mounted-files.ts';

/** As node:tls takes them, for either end. */
export interface PeerCredentials {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly minVersion: 'TLSv1.3';
}

export interface PeerIdentity {
  readonly credentials: PeerCredentials;
  /** Common name of the certificate: a user's authority may have issued for other clusters too. */
  readonly name: string;
}

/** The same object until something changes. Undefined: none that peers would accept; then words go without TLS. */
export type IdentitySource = () => PeerIdentity | undefined;

/**
 * Files that can't be used never take the place of those that can. A certificate that has ended is no identity: were it
 * shown, each replica would take its healthy primary for lost, and an operator that is away for a year would end in an outage.
 */
export function identityIn(directory: string, clock: Clock, log: Logger): IdentitySource {
  let seen: string | undefined;
  let held: LastingIdentity | undefined;
  let told: string | undefined;
  const tell = (problem: string | undefined): void => {
    if (problem !== undefined && problem !== told)
      log.error({ problem }, 'no sound certificate for words among agents');
    told = problem;
  };
  return () => {
    let problem: string | undefined;
    try {
      const data = mountedData(directory);
      if (data !== seen || !held) {
        const read = identityFrom(directory);
        if (read && (read.credentials.cert !== held?.credentials.cert || read.credentials.ca !== held.credentials.ca))
          held = read;
        seen = data;
      }
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    const now = clock.wall().getTime();
    const isValid = held !== undefined && now >= held.validity.from && now < held.validity.to;
    if (held && !isValid)
      problem = `${tlsFileNames.clientCertificate} is valid from ${dateOf(held.validity.from)} to ${dateOf(held.validity.to)}`;
    tell(problem);
    return isValid ? held : undefined;
  };
}

interface LastingIdentity extends PeerIdentity {
  readonly validity: Validity;
}

/** Undefined: there is none yet, or an operator of an earlier version issued it, for clients alone; ours replaces it soon. */
function identityFrom(directory: string): LastingIdentity | undefined {
  const { cert, key, ca } = readMounted(directory, {
    cert: tlsFileNames.clientCertificate,
    key: tlsFileNames.clientKey,
    ca: tlsFileNames.clientAuthorities,
  });
  if (cert === undefined || key === undefined || ca === undefined) return undefined;
  const certificate = readCertificate(cert);
  if (certificate?.commonName === undefined)
    throw new Error(`${tlsFileNames.clientCertificate} is no certificate with a CN`);
  if (!isForServers(certificate)) return undefined;
  const credentials = { cert, key, ca, minVersion: 'TLSv1.3' } as const;
  createSecureContext(credentials); // throws for a key of another certificate, and for what is no PEM
  return { credentials, name: certificate.commonName, validity: { from: certificate.from, to: certificate.to } };
}

const dateOf = (time: number): string => new Date(time).toISOString();
