/** Certificates for real servers, laid where an instance finds them. */
import { join } from 'node:path';
import { tlsFileNames, tlsFingerprint, type TlsFiles } from '../../operator/api/tls-files.ts';
import { issue, makeAuthority, type KeyPair, type Wanted } from '../../operator/certificates/authority.ts';
import { bundleOf } from '../../operator/certificates/pem.ts';
import { renewMount } from '../../operator/platform/renewed-mount.ts';
import type { Driven } from './driven.ts';
import type { ServerGroup } from './group.ts';

const day = 24 * 3600_000;
const validity = () => ({ from: Date.now() - day, to: Date.now() + 30 * day });
export const newAuthority = (): Promise<KeyPair> => makeAuthority({ name: 'test', organization: 'test' }, validity());

/** Issued by `by`, with all of `trusted` trusted. */
export async function filesBy(
  by: KeyPair,
  trusted: readonly KeyPair[] = [by],
  agent = 'mainstay-agent-t',
): Promise<TlsFiles> {
  const pair = (usage: Wanted['usage'], commonName: string, names: readonly string[]): Promise<KeyPair> =>
    issue(by, { usage, commonName, organization: 'test', names }, validity());
  const [server, client] = await Promise.all([
    pair(['server'], 't-rw', ['t-rw']),
    pair(['server', 'client'], agent, []),
  ]);
  return {
    serverCertificate: server.certificate,
    serverKey: server.key,
    clientCertificate: client.certificate,
    clientKey: client.key,
    ...authoritiesOf(trusted),
  };
}

export const mount = (group: ServerGroup<Driven>, name: string, files: Partial<TlsFiles>): Promise<void> =>
  renewMount(
    join(group.server(name).volume, 'tls'),
    Object.fromEntries(Object.entries(files).map(([key, text]) => [tlsFileNames[key as keyof TlsFiles], text])),
  );

export async function takeOver(group: ServerGroup<Driven>, name: string, files: TlsFiles): Promise<void> {
  await mount(group, name, files);
  await group.until(`${name} to take them over`, async () => {
    await group.configure(name);
    return (await group.observe(name)).member.certificates === tlsFingerprint(files);
  });
}

export const authoritiesOf = (
  authorities: readonly KeyPair[],
): Pick<TlsFiles, 'serverAuthorities' | 'clientAuthorities'> => {
  const bundle = bundleOf(authorities.map(({ certificate }) => certificate));
  return { serverAuthorities: bundle, clientAuthorities: bundle };
};
