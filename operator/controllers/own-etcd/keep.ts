/** Certificates and the login of the etcd that the chart brings: made once, then renewed, and asked for by etcd from the first moment on. */
import { randomBytes } from 'node:crypto';
import type { V1Secret } from '@kubernetes/client-node';
import { issue, makeAuthority, type KeyPair } from '../../certificates/authority.ts';
import { isFor, isIssuedBy, readCertificate } from '../../certificates/pem.ts';
import { clockMargin, lifetimes } from '../../certificates/plan.ts';
import type { EtcdCredentials } from '../../dcs/etcd-credentials.ts';
import type { EtcdGuard } from '../../dcs/etcd-guard.ts';
import { isAlreadyExists } from '../../kubernetes/api-error.ts';
import type { CallOptions, KubernetesClient } from '../../kubernetes/client.ts';
import { secrets } from '../../kubernetes/kinds.ts';
import type { Clock } from '../../platform/clock.ts';
import { MainstayError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log.ts';
import type { Wire } from '../../platform/wire.ts';
import { authoritySecret, memberNames, membersSecret, ownEtcdSecrets, rootSecret, type OwnEtcd } from './secrets.ts';

/** Between two looks at whether etcd asks for logins; the sooner while it doesn't, as until then anybody may write. */
const usualPeriodMs = 60_000;
const hurriedPeriodMs = 1_000;
const callMs = 5_000;

type Texts = Readonly<Record<string, string>>;

/**
 * What etcd will ask of its clients. Safe to call from several operators at once: whoever creates a Secret first has made it.
 * Nothing that is there is replaced: etcd may go by it already.
 */
export async function prepareOwnEtcd(
  client: KubernetesClient,
  of: OwnEtcd,
  now: number,
  options: CallOptions,
): Promise<EtcdCredentials> {
  const authority = await madeOnce(client, of, 'authority', options, async () =>
    authoritySecret(
      of,
      await makeAuthority({ name: of.name, organization: of.namespace }, validFrom(now, lifetimes.authority)),
    ),
  );
  await madeOnce(client, of, 'certificates', options, () => members(of, pairIn(authority), now));
  const { username, password } = await madeOnce(client, of, 'root', options, () =>
    Promise.resolve(rootSecret(of, randomBytes(32).toString('base64url'))),
  );
  if (!username || !password) throw incomplete(of, 'root', 'username and password');
  return { ca: pairIn(authority).certificate, username, password };
}

export interface Keeping {
  /** Writes nothing any more once another operator leads. */
  readonly client: KubernetesClient;
  readonly of: OwnEtcd;
  readonly guard: EtcdGuard;
  readonly password: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Until the signal aborts. An etcd that was made anew without its data is given its login again. */
export async function keepOwnEtcd({ client, of, guard, password, clock, log }: Keeping, signal: AbortSignal) {
  const ended = (): boolean => signal.aborted;
  let told: string | undefined;
  while (!ended()) {
    let period = usualPeriodMs;
    try {
      if ((await guard.ensure(password, { milliseconds: callMs, signal })) === 'done')
        log.info({ etcd: of.name }, 'etcd asks for logins now');
      await renewed(client, of, clock.wall().getTime(), log, { signal });
      told = undefined;
    } catch (error) {
      period = hurriedPeriodMs;
      const problem = error instanceof Error ? error.message : String(error);
      if (problem !== told && !ended()) log.warn({ etcd: of.name, problem }, 'etcd is not secured yet');
      told = problem;
    }
    await clock.sleep(period, signal).catch(() => undefined);
  }
}

/** etcd reads its certificate at each handshake: a renewal restarts nobody. */
async function renewed(client: KubernetesClient, of: OwnEtcd, now: number, log: Logger, options: CallOptions) {
  const name = ownEtcdSecrets.certificates(of.name);
  const { namespace } = of;
  const present = await client.get(secrets, { namespace, name }, options);
  const authority = pairIn(await madeOnce(client, of, 'authority', options, () => Promise.reject(lost(of))));
  const issuer = readCertificate(authority.certificate);
  const certificate = readCertificate(textsOf(present)['tls.crt']);
  const isRight =
    certificate !== undefined &&
    issuer !== undefined &&
    isIssuedBy(certificate, issuer) &&
    memberNames(of).every((host) => isFor(certificate, host));
  const isDue = !certificate || now >= certificate.from + ((certificate.to - certificate.from) * 2) / 3;
  if (isRight && !isDue) return;
  const { data } = await members(of, authority, now);
  if (!present) await madeOnce(client, of, 'certificates', options, () => members(of, authority, now));
  else {
    const { resourceVersion = '' } = present.metadata ?? {};
    await client.patch(
      secrets,
      { namespace, name },
      { metadata: { resourceVersion }, data },
      { fieldManager: 'mainstay-etcd' },
      options,
    );
  }
  log.info({ secret: name }, 'the certificate of etcd’s members is renewed');
}

const members = async (of: OwnEtcd, authority: KeyPair, now: number): Promise<Wire<V1Secret>> =>
  membersSecret(
    of,
    await issue(
      authority,
      // Members call one another with it.
      { commonName: of.name, organization: of.namespace, usage: ['server', 'client'], names: memberNames(of) },
      validFrom(now, lifetimes.certificate),
    ),
    authority.certificate,
  );

async function madeOnce(
  client: KubernetesClient,
  of: OwnEtcd,
  which: keyof typeof ownEtcdSecrets,
  options: CallOptions,
  make: () => Promise<Wire<V1Secret>>,
): Promise<Texts> {
  const ref = { namespace: of.namespace, name: ownEtcdSecrets[which](of.name) };
  const present = await client.get(secrets, ref, options);
  if (present) return textsOf(present);
  try {
    return textsOf(await client.create(secrets, await make(), options));
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    return textsOf(await client.get(secrets, ref, options));
  }
}

const textsOf = (secret: { readonly data?: Readonly<Record<string, string>> | undefined } | undefined): Texts =>
  Object.fromEntries(
    Object.entries(secret?.data ?? {}).map(([file, text]) => [file, Buffer.from(text, 'base64').toString()]),
  );

function pairIn({ 'tls.crt': certificate = '', 'tls.key': key = '' }: Texts): KeyPair {
  return { certificate, key };
}

const validFrom = (now: number, lifetime: number) => ({ from: now - clockMargin, to: now + lifetime });

const lost = (of: OwnEtcd): MainstayError =>
  new MainstayError(
    'ConfigurationInvalid',
    `Secret ${ownEtcdSecrets.authority(of.name)} is gone: put it back from a backup. etcd and its clients go on with what they have.`,
  );
const incomplete = (of: OwnEtcd, which: keyof typeof ownEtcdSecrets, what: string): MainstayError =>
  new MainstayError('ConfigurationInvalid', `Secret ${ownEtcdSecrets[which](of.name)} lacks ${what}: put it back.`);
