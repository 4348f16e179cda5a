/** apply(actions): nothing is decided here. Every call has a deadline, every removal holds only for the object that was seen. */
import { clusterPrefix, keys, type ClusterIdentity, type RestartRequest } from '../../api/cluster-state.ts';
import type { EventReason } from '../../api/event-reasons.ts';
import type { FilesPlan } from '../../certificates/plan.ts';
import type { Dcs, Deadline, TxnResult } from '../../dcs/dcs.ts';
import type { EtcdUsers } from '../../dcs/etcd-users.ts';
import { isAlreadyExists, isInvalid, KubernetesApiError } from '../../kubernetes/api-error.ts';
import type { CallOptions, KubernetesClient } from '../../kubernetes/client.ts';
import {
  endpointSlices,
  nodes,
  persistentVolumeClaims,
  pods,
  secrets,
  type ApiObject,
  type ResourceKind,
} from '../../kubernetes/kinds.ts';
import { MainstayError } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log.ts';
import { etcdUserOf, givesOwnLogins, ownEtcdSecret } from '../../resources/etcd-secret.ts';
import { profileOf } from '../../engines/profiles.ts';
import { intentHash } from '../../resources/intent.ts';
import { annotations, labels } from '../../resources/labels.ts';
import { secretNames, volumeName } from '../../resources/names.ts';
import { inFull } from '../../resources/pod-resources.ts';
import { applicationContent, applicationSecret, systemSecret } from '../../resources/secrets.ts';
import { nodeState } from '../node/node-state.ts';
import type { OperatorMetrics } from '../metrics.ts';
import type { SwitchoverRequests } from '../switchover-requests.ts';
import type { Action, VolumeRemoval } from './actions.ts';
import { finalizer } from './decide.ts';
import type { OnceObject } from './desired-objects.ts';
import type { Facts } from './facts.ts';
import { clusterResource } from './cluster-sources.ts';
import { plainKinds } from './sources.ts';
import { writeAuthority, writeCertificates } from './write-certificates.ts';

export interface Effector {
  readonly client: KubernetesClient;
  readonly dcs: Dcs;
  readonly requests: SwitchoverRequests;
  /** Where clusters have logins of their own. */
  readonly etcdUsers?: EtcdUsers | undefined;
  readonly newPassword: () => string;
  readonly metrics: Pick<OperatorMetrics, 'action'>;
  readonly log: Logger;
}

export type Note = (reason: EventReason, note: string) => void;

export const fieldManager = 'mainstay.dev/operator';
const callTimeoutMs = 10_000;
const txnTimeoutMs = 5_000;
/** An agent begins at its next look, within a second; a request that lies longer is of another time. */
const restartLifeMs = 60_000;
/** A Pod on an older volume is a replacement. */
const newVolumeMs = 60_000;
/** etcd takes 128 operations a transaction. */
const operationsPerTxn = 100;

/** Carries out the actions in order. One that fails doesn't hold up the others; the first error is thrown at the end. */
export async function apply(
  effector: Effector,
  facts: Facts,
  actions: readonly Action[],
  note: Note,
  signal: AbortSignal,
): Promise<void> {
  const errors: unknown[] = [];
  for (const action of actions) {
    try {
      await applyOne(effector, facts, action, note, signal);
      effector.metrics.action(action.type, 'done');
      effector.log.info({ cluster: nameOf(facts), action: summary(action) }, 'done');
    } catch (error) {
      signal.throwIfAborted();
      effector.metrics.action(action.type, 'failed');
      effector.log.warn({ cluster: nameOf(facts), action: summary(action), err: error }, 'failed');
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0] as Error;
}

async function applyOne(effector: Effector, facts: Facts, action: Action, note: Note, signal: AbortSignal) {
  const { client, dcs, requests } = effector;
  const { cluster, dataUid } = facts;
  const { namespace, name } = cluster.metadata;
  const identity: ClusterIdentity = { namespace, name, uid: dataUid };
  const options: CallOptions = { signal, timeoutMs: callTimeoutMs };
  const deadline = { milliseconds: txnTimeoutMs, signal };
  const ours = { fieldManager, force: true };

  switch (action.type) {
    case 'apply':
      await client.apply(kindOf(action.desired.kind), action.desired.object, ours, options);
      return;
    case 'create-once':
      await createOnce(effector, facts, action, note, options);
      return;
    case 'give-etcd-login':
      await giveEtcdLogin(effector, facts, options, deadline);
      return;
    case 'make-authority':
      await writeAuthority(client, facts, fieldManager, options);
      if (facts.certificates.files)
        note(
          'AuthorityReplaced',
          'A new certificate authority is made; certificates follow when all have learned of it.',
        );
      return;
    case 'write-certificates':
      await writeCertificates(client, facts, action.plan, fieldManager, options);
      if (facts.certificates.files) note('CertificatesChanged', describeChange(action.plan));
      return;
    case 'set-owners':
      await client.patch(
        kindOf(action.kind),
        { namespace, name: action.name },
        { metadata: { ownerReferences: action.owners } },
        { fieldManager },
        options,
      );
      return;
    case 'delete-object':
      await client.delete(kindOf(action.kind), { namespace, name: action.name }, action.seen, options);
      return;
    case 'apply-volume':
      await client.apply(persistentVolumeClaims, action.desired.object, ours, options);
      noteVolume(action, note);
      return;
    case 'replace-volume':
      await createVolume(client, action, note, options);
      return;
    case 'keep-volume': {
      const { supersededBy, seen } = action;
      const name = volumeName(action);
      await client.patch(
        persistentVolumeClaims,
        { namespace, name },
        // With uid and version, as it was seen.
        { metadata: { ...seen, annotations: { [annotations.supersededBy]: supersededBy } } },
        { fieldManager },
        options,
      );
      note(
        'VolumeRetained',
        `Volume ${name} is kept, and nobody uses it any more: ${supersededBy} is in its place. Delete it when you don’t need it.`,
      );
      return;
    }
    case 'create-pod':
      if (await created(client.create(pods, action.object, options))) {
        const volume = facts.volumes.find((candidate) => candidate.instance === action.instance);
        const isNew = facts.now - (volume?.createdAt ?? 0) < newVolumeMs;
        if (isNew) note('InstanceCreated', `Pod ${action.instance} created.`);
        else note('InstanceReplaced', `Pod ${action.instance} created anew on its volume.`);
      }
      return;
    case 'resize-pod':
      await resizePod(client, facts, action, note, options);
      return;
    case 'announce-certificates':
      await client.patch(
        pods,
        { namespace, name: action.instance },
        { metadata: { annotations: { [annotations.certificates]: action.fingerprint } } },
        { fieldManager },
        options,
      );
      return;
    case 'announce-passwords':
      await client.patch(
        pods,
        { namespace, name: action.instance },
        { metadata: { annotations: { [annotations.passwords]: action.digest } } },
        { fieldManager },
        options,
      );
      return;
    case 'label-role':
      await client.patch(
        pods,
        { namespace, name: action.instance },
        { metadata: { labels: { [labels.role]: action.role } } },
        { fieldManager },
        options,
      );
      return;
    case 'publish-definition':
      settled(await publish(dcs, clusterPrefix(identity) + keys.definition, action, deadline), 'the definition');
      return;
    case 'publish-declaration':
      settled(await publish(dcs, clusterPrefix(identity) + keys.declaration, action, deadline), 'the declaration');
      return;
    case 'complete-application-secret':
      await completeApplicationSecret(client, facts, options);
      return;
    case 'request-switchover': {
      const { from, to, reason } = action;
      if (await requests.request(identity, { from, to, reason }, signal))
        note(reason === 'Failback' ? 'FailbackRequested' : 'SwitchoverRequested', `From ${from} to ${to} (${reason}).`);
      return;
    }
    case 'request-restart': {
      const { instance, id, reason } = action;
      const until = new Date(facts.now + restartLifeMs).toISOString();
      const key = clusterPrefix(identity) + keys.restart(instance);
      const value = JSON.stringify({ id, reason, deadline: until } satisfies RestartRequest);
      settled(await dcs.txn([{ key, is: 'absent' }], [{ put: key, value }], deadline), 'the request to restart');
      note('RestartRequested', `${instance}, for ${reason}.`);
      return;
    }
    case 'withdraw-restart': {
      const key = clusterPrefix(identity) + keys.restart(action.instance);
      await dcs.txn([{ key, is: 'modRevision', modRevision: action.modRevision }], [{ delete: key }], deadline);
      return;
    }
    case 'withdraw-switchover': {
      const key = clusterPrefix(identity) + keys.switchover;
      const { modRevision, from } = action;
      const result = await dcs.txn([{ key, is: 'modRevision', modRevision }], [{ delete: key }], deadline);
      if (result.outcome === 'applied')
        note('SwitchoverExpired', `${from} is still primary; the request is withdrawn.`);
      return;
    }
    case 'add-finalizer':
      await setFinalizers(client, facts, (present) => [...present, finalizer], options);
      return;
    case 'remove-finalizer':
      await setFinalizers(client, facts, (present) => present.filter((other) => other !== finalizer), options);
      return;
    case 'delete-state':
      await deleteState(dcs, identity, signal);
      if (givesOwnLogins(facts.installation)) await effector.etcdUsers?.remove(etcdUserOf(identity), deadline);
      return;
    case 'delete-pod':
      if (action.why === 'node-lost') await confirmLost(client, action.node, options);
      await client.delete(
        pods,
        { namespace, name: action.instance },
        { ...action.seen, ...(action.why === 'node-lost' && { gracePeriodSeconds: 0 }) },
        options,
      );
      if (action.why === 'surplus') note('InstanceRemoved', `${action.instance} has left the cluster.`);
      if (action.why === 'surplus' && cluster.spec.deletionPolicy === 'Retain')
        note('VolumeRetained', `Volume ${action.instance} is kept (deletionPolicy: Retain).`);
      return;
    case 'delete-volume':
      await client.delete(persistentVolumeClaims, { namespace, name: volumeName(action) }, action.seen, options);
      note('VolumeDeleted', `Volume ${volumeName(action)} is deleted (${volumeRemovals[action.why]}).`);
      return;
  }
}

function publish(
  dcs: Dcs,
  key: string,
  { text, modRevision }: { readonly text: string; readonly modRevision: number | undefined },
  deadline: Deadline,
): Promise<TxnResult> {
  return dcs.txn(
    [modRevision === undefined ? { key, is: 'absent' } : { key, is: 'modRevision', modRevision }],
    [{ put: key, value: text }],
    deadline,
  );
}

/** The user first, so that what the Secret says always works; one whose password is known keeps it. */
async function giveEtcdLogin(
  { client, etcdUsers, newPassword }: Effector,
  { cluster, dataUid, installation }: Facts,
  options: CallOptions,
  deadline: Deadline,
): Promise<void> {
  if (!etcdUsers) return;
  const { namespace, name } = cluster.metadata;
  const identity: ClusterIdentity = { namespace, name, uid: dataUid };
  const username = etcdUserOf(identity);
  const stored = await client.get(secrets, { namespace, name: secretNames.etcd(name) }, options);
  const kept = (file: string): string => Buffer.from(stored?.data?.[file] ?? '', 'base64').toString('utf8');
  const isKnown = kept('username') === username && kept('password') !== '';
  const password = isKnown ? kept('password') : newPassword();
  const user = { name: username, password, prefix: clusterPrefix(identity) };
  await etcdUsers.ensure(user, { resetPassword: !isKnown }, deadline);
  const secret = ownEtcdSecret(cluster, installation.etcdCredentials ?? {}, { username, password });
  await client.apply(secrets, secret, { fieldManager, force: true }, options);
}

async function completeApplicationSecret(
  client: KubernetesClient,
  { cluster }: Facts,
  options: CallOptions,
): Promise<void> {
  const { namespace, name } = cluster.metadata;
  const ref = { namespace, name: secretNames.application(name) };
  const found = await client.get(secrets, ref, options);
  const password = Buffer.from(found?.data?.['password'] ?? '', 'base64')
    .toString('utf8')
    .trim();
  if (password === '') return;
  const { uri, 'jdbc-uri': jdbc } = applicationContent(cluster, password);
  await client.patch(
    secrets,
    ref,
    // The version makes it a Conflict when the password has changed once more.
    { metadata: { resourceVersion: found?.metadata?.resourceVersion }, stringData: { uri, 'jdbc-uri': jdbc } },
    { fieldManager },
    options,
  );
}

async function createOnce(
  effector: Effector,
  facts: Facts,
  { object, isLost }: { readonly object: OnceObject; readonly isLost: boolean },
  note: Note,
  options: CallOptions,
): Promise<void> {
  const { client, newPassword } = effector;
  if (object.kind === 'EndpointSlice') {
    await created(client.create(endpointSlices, object.object, options));
    return;
  }
  const secret =
    object.content === 'application'
      ? applicationSecret(facts.cluster, newPassword())
      : systemSecret(facts.cluster, newPassword);
  if ((await created(client.create(secrets, secret, options))) && isLost)
    note(
      'SecretRemade',
      `Secret ${object.name} was lost; it has new passwords now, which are being set in the database.`,
    );
}

/** First the resources, then the word that they were asked for: who dies between the two asks once more. */
async function resizePod(
  client: KubernetesClient,
  { cluster }: Facts,
  action: Extract<Action, { type: 'resize-pod' }>,
  note: Note,
  options: CallOptions,
): Promise<void> {
  const { instance, uid, resources } = action;
  const ref = { namespace: cluster.metadata.namespace, name: instance };
  const annotate = (added: Readonly<Record<string, string>>) =>
    client.patch(pods, ref, { metadata: { uid, annotations: added } }, { fieldManager }, options);
  const container = { name: profileOf(cluster).engine, resources: inFull(resources) };
  const resize = (): Promise<unknown> =>
    client.patch(
      pods,
      ref,
      { metadata: { uid }, spec: { containers: [container] } },
      { fieldManager, subresource: 'resize', lists: 'merged' },
      options,
    );
  const refusal = await unsupported(resize());
  // A Pod is not replaced for one word of one webhook.
  const again = refusal && (await unsupported(resize()));
  if (again) {
    await annotate({ [annotations.resizeRefused]: intentHash(resources) });
    note('ResizeRefused', `${instance} can’t get other resources while it runs, and is replaced: ${again.message}`);
    return;
  }
  await annotate(action.annotations);
  note('InstanceResized', `${instance} gets other resources while it runs.`);
}

/** Before Kubernetes 1.33 there is no such path; and some changes are refused for reasons of its own. */
async function unsupported(call: Promise<unknown>): Promise<KubernetesApiError | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    const isSo =
      error instanceof KubernetesApiError &&
      (isInvalid(error) || error.status === 405 || (error.status === 404 && !error.namesObject));
    if (isSo) return error;
    throw error;
  }
}

function describeChange({ server, client }: FilesPlan): string {
  const replaced = [...(server === 'keep' ? [] : ['the servers']), ...(client === 'keep' ? [] : ['replication'])];
  return replaced.length > 0
    ? `New certificates for ${replaced.join(' and ')}; instances take them over without a restart.`
    : 'The list of trusted authorities has changed; instances take it over without a restart.';
}

/** Whether it was created now; another of that name is looked at the next time round. */
async function created(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (isAlreadyExists(error)) return false;
    throw error;
  }
}

async function setFinalizers(
  client: KubernetesClient,
  { cluster }: Facts,
  change: (present: readonly string[]) => readonly string[],
  options: CallOptions,
): Promise<void> {
  const { namespace, name, resourceVersion, finalizers = [] } = cluster.metadata;
  await client.patch(
    clusterResource(cluster.kind),
    { namespace, name },
    // The version makes it a Conflict when somebody else has changed the list since.
    { metadata: { resourceVersion, finalizers: change(finalizers) } },
    { fieldManager },
    options,
  );
}

async function deleteState(dcs: Dcs, identity: ClusterIdentity, signal: AbortSignal): Promise<void> {
  const deadline = { milliseconds: txnTimeoutMs, signal };
  const snapshot = await dcs.read(clusterPrefix(identity), deadline);
  const all = [...snapshot.entries.keys()];
  for (let from = 0; from < all.length; from += operationsPerTxn) {
    const writes = all.slice(from, from + operationsPerTxn).map((key) => ({ delete: key }));
    settled(await dcs.txn([], writes, deadline), 'the deletion of a cluster’s state');
  }
}

/** A Pod removed by force may still run; so its node is looked at once more, not in the local copy. */
async function confirmLost(client: KubernetesClient, name: string | undefined, options: CallOptions): Promise<void> {
  const node = name === undefined ? undefined : await client.get(nodes, { name }, options);
  if (name !== undefined && (node === undefined || nodeState(node).outOfService)) return;
  throw new MainstayError('KubernetesApi', `Node ${name ?? ''} is neither gone nor out of service after all.`, {
    retryable: true,
  });
}

function settled(result: TxnResult, what: string): void {
  if (result.outcome === 'applied') return;
  if (result.outcome === 'unknown') throw result.cause;
  throw new MainstayError('DcsRejected', `Somebody else has changed ${what} meanwhile; looking again.`, {
    retryable: true,
  });
}

function noteVolume(action: Extract<Action, { type: 'apply-volume' }>, note: Note): void {
  const volume = volumeName(action);
  switch (action.what) {
    case 'create':
      note('VolumeCreated', `Volume ${volume} requested.`);
      return;
    case 'resize':
      note('VolumeResized', `A larger volume ${volume} requested.`);
      return;
    case 'retain':
    case 'update':
      return;
  }
}

const volumeRemovals: Readonly<Record<VolumeRemoval, string>> = {
  surplus: 'deletionPolicy: Delete',
  replaced: 'another is in its place; deletionPolicy: Delete',
  'never-used': 'nothing was ever written to it',
};

async function createVolume(
  client: KubernetesClient,
  action: Extract<Action, { type: 'replace-volume' }>,
  note: Note,
  options: CallOptions,
): Promise<void> {
  const { instance, because, former, storageClass } = action;
  const name = volumeName(action);
  // Never by apply: somebody else's claim of this name would become ours.
  await client.create(persistentVolumeClaims, action.desired.object, options);
  const ofClass = storageClass === undefined ? '' : ` of storage class ${storageClass}`;
  const kept = former === undefined ? '' : ` ${former} is kept until then.`;
  if (because === 'lost')
    note(
      'VolumeLost',
      `${instance} has lost its volume and gets ${name}${ofClass} in its place, to be filled from another instance.${kept}`,
    );
  else
    note(
      'VolumeReplaced',
      `${instance} gets ${name}${ofClass} in its place, to be filled from another instance.${kept}`,
    );
}

function kindOf(kind: string): ResourceKind<ApiObject> {
  const known = kind === 'Pod' ? (pods as ResourceKind<ApiObject>) : plainKinds.get(kind);
  if (!known) throw new MainstayError('KubernetesApi', `No API path is known for ${kind}.`);
  return known;
}

const nameOf = ({ cluster }: Facts): string => `${cluster.metadata.namespace}/${cluster.metadata.name}`;

function summary(action: Action): string {
  if ('desired' in action) return `${action.type} ${action.desired.kind} ${action.desired.name}`;
  if (action.type === 'create-once') return `${action.type} ${action.object.kind} ${action.object.name}`;
  if (action.type === 'delete-pod') return `${action.type} ${action.instance} (${action.why})`;
  if (action.type === 'label-role') return `${action.type} ${action.instance} ${action.role}`;
  if (action.type === 'request-restart') return `${action.type} ${action.instance} (${action.reason})`;
  if (action.type === 'request-switchover') return `${action.type} ${action.from} to ${action.to} (${action.reason})`;
  if ('instance' in action) return `${action.type} ${action.instance}`;
  if ('name' in action) return `${action.type} ${action.kind} ${action.name}`;
  return action.type;
}
