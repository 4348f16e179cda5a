/** Makes authorities and certificates as planned. Keys are read for this moment only, and each write holds only for what was seen. */
import { tlsFileNames, type TlsFiles } from '../../api/tls-files.ts';
import { issue, makeAuthority, type KeyPair, type Wanted } from '../../certificates/authority.ts';
import {
  readAuthoritySecret,
  readServerSecret,
  type Brought,
  type SecretTexts,
} from '../../certificates/own-secret.ts';
import { certificatesIn } from '../../certificates/pem.ts';
import { clockMargin, lifetimes, type FilesPlan } from '../../certificates/plan.ts';
import type { CallOptions, KubernetesClient } from '../../kubernetes/client.ts';
import { secrets } from '../../kubernetes/kinds.ts';
import { MainstayError } from '../../platform/errors.ts';
import { secretNames } from '../../resources/names.ts';
import { authorityKeySecret, certificatesSecret, serverNames } from '../../resources/tls-secrets.ts';
import { agentNameOf } from './certificates.ts';
import { objectId, type Facts } from './facts.ts';

/** Base64 by file name → text by file name. */
export const textsOf = (data: Readonly<Record<string, string>> | undefined): SecretTexts =>
  data &&
  Object.fromEntries(Object.entries(data).map(([file, text]) => [file, Buffer.from(text, 'base64').toString()]));

export async function secretTexts(
  client: KubernetesClient,
  namespace: string,
  name: string,
  options: CallOptions,
): Promise<SecretTexts> {
  const secret = await client.get(secrets, { namespace, name }, options);
  return secret && (textsOf(secret.data) ?? {});
}

export async function writeAuthority(
  client: KubernetesClient,
  { cluster, objects, now }: Facts,
  fieldManager: string,
  options: CallOptions,
): Promise<void> {
  const { name, namespace } = cluster.metadata;
  const pair = await makeAuthority({ name, organization: namespace }, from(now, lifetimes.authority));
  const secretName = secretNames.authorityKey(name);
  await writeSecret(
    client,
    authorityKeySecret(cluster, pair),
    objects.get(objectId('Secret', secretName))?.resourceVersion,
    fieldManager,
    options,
  );
}

export async function writeCertificates(
  client: KubernetesClient,
  { cluster, objects, now, dataUid }: Facts,
  plan: FilesPlan,
  fieldManager: string,
  options: CallOptions,
): Promise<void> {
  const { name, namespace } = cluster.metadata;
  const { serverSecret, authoritySecret } = cluster.spec.tls;
  const textsIn = (secret: string): Promise<SecretTexts> => secretTexts(client, namespace, secret, options);
  const secretName = secretNames.certificates(name);
  const before = (await textsIn(secretName)) ?? {};

  const authority = async (): Promise<KeyPair> => {
    if (authoritySecret !== undefined)
      return usable(readAuthoritySecret(authoritySecret, await textsIn(authoritySecret), now));
    const { 'tls.crt': certificate = '', 'tls.key': key = '' } = (await textsIn(secretNames.authorityKey(name))) ?? {};
    return { certificate, key };
  };
  const issued = async (wanted: Omit<Wanted, 'organization'>): Promise<KeyPair> => {
    const by = await authority();
    // Issued by one that nobody trusts yet, it would break streams.
    if (
      !(wanted.usage.includes('client') ? plan.clientAuthorities : plan.serverAuthorities).includes(
        firstOf(by.certificate),
      )
    )
      throw changed();
    return issue(by, { ...wanted, organization: namespace }, from(now, lifetimes.certificate));
  };
  const server = async (): Promise<KeyPair> => {
    switch (plan.server) {
      case 'keep':
        return kept(before, tlsFileNames.serverCertificate, tlsFileNames.serverKey);
      case 'copy': {
        const brought = usable(readServerSecret(serverSecret ?? '', await textsIn(serverSecret ?? ''), now));
        if (!brought.authorities.every((pem) => plan.serverAuthorities.includes(pem.trim()))) throw changed();
        return brought;
      }
      case 'issue': {
        const commonName = `${name}-rw.${namespace}`;
        return issued({ usage: ['server'], commonName, names: serverNames(cluster) });
      }
    }
  };
  const forAgents = (): Promise<KeyPair> =>
    plan.client === 'keep'
      ? Promise.resolve(kept(before, tlsFileNames.clientCertificate, tlsFileNames.clientKey))
      : issued({ usage: ['server', 'client'], commonName: agentNameOf(dataUid), names: [] });
  const [ofServer, ofAgents] = await Promise.all([server(), forAgents()]);
  const files: TlsFiles = {
    serverCertificate: ofServer.certificate,
    serverKey: ofServer.key,
    serverAuthorities: plan.serverAuthorities,
    clientCertificate: ofAgents.certificate,
    clientKey: ofAgents.key,
    clientAuthorities: plan.clientAuthorities,
  };
  await writeSecret(
    client,
    certificatesSecret(cluster, files),
    objects.get(objectId('Secret', secretName))?.resourceVersion,
    fieldManager,
    options,
  );
}

/** A new one, or in place of exactly the one that was seen. */
async function writeSecret(
  client: KubernetesClient,
  secret: ReturnType<typeof certificatesSecret>,
  resourceVersion: string | undefined,
  fieldManager: string,
  options: CallOptions,
): Promise<void> {
  if (resourceVersion === undefined) {
    await client.create(secrets, secret, options);
    return;
  }
  const { namespace, name = '' } = secret.metadata ?? {};
  await client.patch(
    secrets,
    { namespace, name },
    { metadata: { resourceVersion }, data: secret.data },
    { fieldManager },
    options,
  );
}

function kept(texts: Readonly<Record<string, string>>, certificateFile: string, keyFile: string): KeyPair {
  const { [certificateFile]: certificate, [keyFile]: key } = texts;
  if (certificate === undefined || key === undefined) throw changed();
  return { certificate, key };
}

function usable<T>(brought: Brought<T>): T {
  if (brought.status === 'usable') return brought.value;
  throw new MainstayError('ResourceInvalid', brought.problem, { retryable: true });
}

const from = (now: number, lifetime: number) => ({ from: now - clockMargin, to: now + lifetime });
const firstOf = (certificate: string): string => certificatesIn(certificate)[0] ?? 'none';
const changed = (): MainstayError =>
  new MainstayError('KubernetesApi', 'A Secret with certificates has changed meanwhile; looking again.', {
    retryable: true,
  });
