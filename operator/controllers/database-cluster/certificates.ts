/** A cluster's certificates: what is there, what is to be done about them, and how long they last. */
import { createHash } from 'node:crypto';
import { tlsFileNames, tlsFingerprint } from '../../api/tls-files.ts';
import type { ConditionReason } from '../../api/conditions.ts';
import type { InstanceName } from '../../api/cluster-state.ts';
import type { DatabaseCluster } from '../../api/database-cluster.ts';
import type { Brought, OwnAuthority, OwnServerPair } from '../../certificates/own-secret.ts';
import { readCertificate } from '../../certificates/pem.ts';
import {
  planCertificates,
  type CertificateFacts,
  type CertificatePlan,
  type PublicTlsFiles,
} from '../../certificates/plan.ts';
import { instanceNames, secretNames } from '../../resources/names.ts';
import { serverNames } from '../../resources/tls-secrets.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';
import { objectId, type Facts, type ObservedObject, type ObservedPod } from './facts.ts';

export interface ClusterCertificates {
  readonly plan: CertificatePlan | { readonly step: 'wait-for-user' };
  /** What Pods mount; undefined: nothing yet. */
  readonly files: PublicTlsFiles | undefined;
  /** What is wrong with a Secret of the user, and what to do. */
  readonly problem: string | undefined;
  /** Instances that don't use `files` yet; none while etcd is silent. */
  readonly behind: readonly InstanceName[];
  /** When each that is in force begins and ends, in milliseconds of the wall clock. */
  readonly lifetimes: readonly CertificateLifetime[];
}

export interface CertificateLifetime {
  readonly certificate: 'server' | 'client' | 'authority';
  readonly from: number;
  readonly to: number;
}

/** What users bring; undefined where the spec names no Secret. */
export interface BroughtSecrets {
  readonly server: Brought<OwnServerPair> | undefined;
  readonly authority: Brought<OwnAuthority> | undefined;
}

export interface CertificateObservation {
  readonly now: number;
  readonly cluster: DatabaseCluster;
  readonly dataUid: string;
  readonly objects: ReadonlyMap<string, ObservedObject>;
  readonly pods: readonly ObservedPod[];
  /** As of now; undefined: etcd is silent. */
  readonly runtime: ClusterRuntime | undefined;
  readonly brought: BroughtSecrets;
}

/** The same for all instances, and of this cluster alone, should its authority be one that issues for others too. */
export const agentNameOf = (dataUid: string): string => `mainstay-agent-${dataUid}`;

const dayMs = 24 * 3600_000;

export function judgeCertificates(seen: CertificateObservation): ClusterCertificates {
  const { cluster, brought, objects, now } = seen;
  const { name } = cluster.metadata;
  const files = filesIn(objects.get(objectId('Secret', secretNames.certificates(name)))?.certificates);
  const ours = objects.get(objectId('Secret', secretNames.authorityKey(name)))?.certificates?.['tls.crt'];
  const behind = files ? instancesBehind(seen, tlsFingerprint(files)) : [];
  const authority =
    brought.authority === undefined
      ? ours !== undefined && { certificate: ours, chain: [], ours: true }
      : brought.authority.status === 'usable' && { ...brought.authority.value, ours: false };
  const taken = [secretNames.certificates, secretNames.authorityKey].some(
    (nameOf) => objects.get(objectId('Secret', nameOf(name)))?.ours === false,
  );
  const assessed = assess({
    now,
    authority: authority || undefined,
    ownServer: brought.server?.status === 'unusable' ? 'unusable' : brought.server?.value,
    files,
    inUse: seen.runtime !== undefined && behind.length === 0,
    names: serverNames(cluster),
    agentName: agentNameOf(seen.dataUid),
    leadMs: cluster.spec.tls.authorityLeadDays * dayMs,
  });
  return {
    ...assessed,
    ...((brought.authority?.status === 'unusable' || taken) && { plan: { step: 'wait-for-user' } as const }),
    files,
    behind,
    problem: [brought.authority, brought.server].find((secret) => secret?.status === 'unusable')?.problem,
  };
}

type Assessed = Pick<ClusterCertificates, 'lifetimes'> & { readonly plan: CertificatePlan };

/** Where nothing is to be done, until when: to read certificates takes a millisecond, and clusters are looked at all the time. */
const settled = new Map<string, { readonly from: number; readonly assessed: Assessed }>();
const mostSettled = 4000;

function assess(facts: CertificateFacts): Assessed {
  const id = createHash('sha256')
    .update(JSON.stringify({ ...facts, now: undefined }))
    .digest('base64');
  const known = settled.get(id);
  if (known && known.from <= facts.now && facts.now < untilOf(known.assessed)) return known.assessed;
  const inForce = [
    ['server', facts.files?.serverCertificate],
    ['client', facts.files?.clientCertificate],
    ['authority', facts.authority?.certificate],
  ] as const;
  const assessed: Assessed = {
    plan: planCertificates(facts),
    lifetimes: inForce.flatMap(([certificate, text]) => {
      const read = readCertificate(text);
      return read ? [{ certificate, from: read.from, to: read.to }] : [];
    }),
  };
  settled.delete(id);
  settled.set(id, { from: facts.now, assessed });
  for (const oldest of settled.keys()) {
    if (settled.size <= mostSettled) break;
    settled.delete(oldest);
  }
  return assessed;
}

const untilOf = ({ plan }: Assessed): number => (plan.step === 'nothing' ? plan.lookAgainAt : -Infinity);

function filesIn(texts: Readonly<Record<string, string>> | undefined): PublicTlsFiles | undefined {
  const { serverCertificate, serverAuthorities, clientCertificate, clientAuthorities } = tlsFileNames;
  const [server, ca, client, clientCa] = [
    serverCertificate,
    serverAuthorities,
    clientCertificate,
    clientAuthorities,
  ].map((file) => texts?.[file]);
  if (server === undefined || ca === undefined || client === undefined || clientCa === undefined) return undefined;
  return { serverCertificate: server, serverAuthorities: ca, clientCertificate: client, clientAuthorities: clientCa };
}

/** One that says nothing may use others: unknown is not yes. */
function instancesBehind(
  { cluster, pods, runtime }: CertificateObservation,
  fingerprint: string,
): readonly InstanceName[] {
  if (!runtime) return [];
  const { name } = cluster.metadata;
  const all = new Set([
    ...instanceNames(name, cluster.spec.instances),
    ...pods.filter((pod) => pod.ours).map((pod) => pod.instance),
  ]);
  return [...all].filter((instance) => runtime.members.get(instance)?.certificates !== fingerprint);
}

/** As a condition says it. */
export interface CertificateState {
  readonly status: 'True' | 'False';
  readonly reason: ConditionReason<'CertificatesValid'>;
  readonly message: string;
}

/** A certificate that renews itself has done so long before; this much is left for a person to act. */
const soonShare = 1 / 6;

export function certificateState({ certificates, now }: Pick<Facts, 'certificates' | 'now'>): CertificateState {
  const { files, problem, behind, lifetimes, plan } = certificates;
  const day = (moment: number): string => new Date(moment).toISOString().slice(0, 10);
  if (problem !== undefined)
    return {
      status: 'False',
      reason: 'SecretUnusable',
      message: `${problem}${files ? ' What was there before stays in force.' : ''}`,
    };
  if (!files) return { status: 'False', reason: 'Missing', message: 'No certificates have been made yet.' };
  const [first] = lifetimes.toSorted((a, b) => a.to - b.to);
  if (first && now >= first.to)
    return {
      status: 'False',
      reason: 'Expired',
      message: `The ${nameOf(first)} ended on ${day(first.to)}. ${remedy}`,
    };
  const soon = lifetimes.find(({ from, to }) => to - now < (to - from) * soonShare);
  if (soon)
    return {
      status: 'False',
      reason: 'ExpiringSoon',
      message: `The ${nameOf(soon)} ends on ${day(soon.to)} and has not been renewed. ${remedy}`,
    };
  const until = first ? ` The first ends on ${day(first.to)}.` : '';
  if (behind.length > 0)
    return { status: 'True', reason: 'Renewing', message: `${behind.join(', ')} do not use the newest yet.${until}` };
  if (plan.step !== 'nothing')
    return { status: 'True', reason: 'Renewing', message: `New ones are being made.${until}` };
  return { status: 'True', reason: 'Valid', message: `All instances use the newest.${until}` };
}

const nameOf = ({ certificate }: CertificateLifetime): string =>
  certificate === 'authority' ? 'authority' : `${certificate} certificate`;

const remedy =
  'Renew the Secret that spec.tls names; if it names none, see the operator’s log, and that spec.paused is false.';
