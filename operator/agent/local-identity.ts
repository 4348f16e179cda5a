/** Certificates of agents for tests, mounted as the kubelet mounts a Secret. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tlsFileNames } from '../api/tls-files.ts';
import { issue, makeAuthority, type KeyPair } from '../certificates/authority.ts';
import { bundleOf, type Validity } from '../certificates/pem.ts';
import { systemClock } from '../platform/clock.ts';
import { renewMount } from '../platform/renewed-mount.ts';

const hour = 3600_000;
const lasting = (): Validity => {
  const now = systemClock.wall().getTime();
  return { from: now - hour, to: now + 24 * hour };
};

export const newAuthority = (): Promise<KeyPair> => makeAuthority({ name: 'orders', organization: 'shop' }, lasting());

export const agentPair = (by: KeyPair, commonName = 'mainstay-agent-orders', validity = lasting()): Promise<KeyPair> =>
  issue(by, { usage: ['server', 'client'], commonName, organization: 'shop', names: [] }, validity);

export interface Mounted {
  readonly directory: string;
  /** All files at once. */
  renew(pair: KeyPair, trusted: readonly KeyPair[]): Promise<void>;
  remove(): Promise<void>;
}

export async function mounted(): Promise<Mounted> {
  const directory = await mkdtemp(join(tmpdir(), 'mainstay-tls-'));
  return {
    directory,
    renew: (pair, trusted) =>
      renewMount(directory, {
        [tlsFileNames.clientCertificate]: pair.certificate,
        [tlsFileNames.clientKey]: pair.key,
        [tlsFileNames.clientAuthorities]: bundleOf(trusted.map(({ certificate }) => certificate)),
      }),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
