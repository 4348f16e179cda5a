/** Makes keys and certificates: P-256 everywhere, which every client of the last ten years takes and which costs a server least. */
import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto, type KeyObject } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  cryptoProvider,
} from '@peculiar/x509';
import { isIP } from 'node:net';
import { bundleOf, type Validity } from './pem.ts';

/** Both in PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

const { subtle } = webcrypto;
cryptoProvider.set(webcrypto);

const p256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** `name` with a number of its own: chains are found by name, and the next authority must not be taken for this one. */
export async function makeAuthority(
  { name, organization }: { readonly name: string; readonly organization: string },
  validity: Validity,
): Promise<KeyPair> {
  const keys = await subtle.generateKey(p256, true, ['sign', 'verify']);
  const serialNumber = newSerial();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber,
    name: [{ O: [organization.slice(0, 64)] }, { CN: [`${name} ${serialNumber.slice(0, 8)}`.slice(0, 64)] }],
    ...dates(validity),
    keys,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), key: await privatePem(keys.privateKey) };
}

const usages = { server: ExtendedKeyUsage.serverAuth, client: ExtendedKeyUsage.clientAuth } as const;

export interface Wanted {
  readonly commonName: string;
  readonly organization: string;
  readonly usage: readonly (keyof typeof usages)[];
  /** DNS names and addresses. */
  readonly names: readonly string[];
}

/** A new key with a certificate of this authority, which it never outlives. */
export async function issue(authority: KeyPair, wanted: Wanted, validity: Validity): Promise<KeyPair> {
  const issuer = new X509Certificate(authority.certificate);
  const signing = signingKey(createPrivateKey(authority.key));
  const keys = await subtle.generateKey(p256, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: [{ O: [wanted.organization.slice(0, 64)] }, { CN: [wanted.commonName.slice(0, 64)] }],
    issuer: issuer.subjectName,
    ...dates({ from: validity.from, to: Math.min(validity.to, issuer.notAfter.getTime()) }),
    publicKey: keys.publicKey,
    signingKey: signing,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension(wanted.usage.map((usage) => usages[usage])),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer),
      ...(wanted.names.length > 0
        ? [
            new SubjectAlternativeNameExtension(
              wanted.names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
            ),
          ]
        : []),
    ],
  });
  // Clients know the root only: an authority below one goes along.
  const chain = (await issuer.isSelfSigned()) ? [] : [authority.certificate];
  return { certificate: bundleOf([pemOf(certificate), ...chain]), key: await privatePem(keys.privateKey) };
}

/** Positive, as it must be, and of constant length. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

const dates = ({ from, to }: Validity): { notBefore: Date; notAfter: Date } => ({
  notBefore: new Date(from),
  notAfter: new Date(to),
});

const pemOf = (certificate: X509Certificate): string => `${certificate.toString('pem')}\n`;

const privatePem = async (key: webcrypto.CryptoKey): Promise<string> =>
  `${PemConverter.encode(await subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`;

/** A user's own authority may have a key of another kind than ours. */
function signingKey(key: KeyObject): webcrypto.CryptoKey {
  const hash = 'SHA-256';
  switch (key.asymmetricKeyType) {
    case 'ec':
      return key.toCryptoKey({ name: 'ECDSA', namedCurve: curveOf(key) }, false, ['sign']);
    case 'rsa':
      return key.toCryptoKey({ name: 'RSASSA-PKCS1-v1_5', hash }, false, ['sign']);
    case 'ed25519':
      return key.toCryptoKey('Ed25519', false, ['sign']);
    default:
      throw new Error(`keys of type ${key.asymmetricKeyType ?? 'unknown'} can’t sign: use EC, RSA or Ed25519`);
  }
}

function curveOf({ asymmetricKeyDetails }: KeyObject): string {
  const name = asymmetricKeyDetails?.namedCurve;
  const known = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' }[name ?? ''];
  if (known === undefined) throw new Error(`curve ${name ?? 'unknown'} is not supported: use P-256, P-384 or P-521`);
  return known;
}
