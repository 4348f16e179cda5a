/** `node hack/admission/main.ts`: what only an API server can refuse (deletions, changes), tried on a real one. */
import assert from 'node:assert/strict';
import { parseAllDocuments } from 'yaml';
import { apiVersion } from '../../operator/api/api-group.ts';
import { fenceAgents } from '../../operator/controllers/fencing/sources.ts';
import {
  defineKind,
  networkPolicies,
  persistentVolumeClaims,
  type ApiObject,
} from '../../operator/kubernetes/kinds.ts';
import { networkPolicyFor } from '../../operator/resources/network-policy.ts';
import { volumeFor } from '../../operator/resources/persistent-volume-claim.ts';
import { sampleCluster } from '../../operator/resources/sample-cluster.ts';
import { startApiProcess, type ApiProcess } from '../standin/api-process.ts';
import { chooseCluster, repository } from '../testbed/cluster-access.ts';
import { notYet, seconds, until, yes } from '../testbed/until.ts';

const namespace = 'shop';
const fieldManager = 'admission-test';
const postgresClusters = defineKind<ApiObject>(apiVersion, 'PostgresCluster', 'postgresclusters');
const policies = defineKind<ApiObject>(
  'admissionregistration.k8s.io/v1',
  'ValidatingAdmissionPolicy',
  'validatingadmissionpolicies',
  'cluster',
);
const bindings = defineKind<ApiObject>(
  'admissionregistration.k8s.io/v1',
  'ValidatingAdmissionPolicyBinding',
  'validatingadmissionpolicybindings',
  'cluster',
);

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(signal)));

const server = await startApiProcess(stop.signal);
try {
  await server.makeNamespace(namespace);
  for (const [title, check] of [
    ['deletion protection', deletionProtection],
    ['volumes don’t shrink below what they are', volumeSizes],
    ['objects are taken as they are built', builtObjects],
    ['fence agents', fencing],
  ] as const) {
    await check(server);
    console.log(`admission: ${title}: passed`);
  }
} finally {
  await server.stop();
}

async function makeCluster({ client }: ApiProcess, name: string, spec: object = {}): Promise<void> {
  await client.create(postgresClusters, {
    apiVersion: 'mainstay.dev/v1alpha1',
    kind: 'PostgresCluster',
    metadata: { namespace, name },
    spec: { storage: { size: '1Gi' }, ...spec },
  } as ApiObject);
}

function change({ client }: ApiProcess, name: string, spec: object): Promise<unknown> {
  return client.patch(postgresClusters, { namespace, name }, { spec }, { fieldManager });
}

async function deletionProtection(server: ApiProcess): Promise<void> {
  const { client } = server;
  await installPolicies(server);
  await makeCluster(server, 'kept', { deletionProtection: true });
  const cluster = sampleCluster({ deletionProtection: true }, { name: 'kept', namespace });
  await client.create(persistentVolumeClaims, volumeFor(cluster, 'kept-1', { dataUid: 'u' }));
  const remove = () => client.delete(postgresClusters, { namespace, name: 'kept' });
  const removeVolume = () => client.delete(persistentVolumeClaims, { namespace, name: 'kept-1' });
  // A policy is in force a moment after it was made; until then nothing must be really deleted.
  await until(
    'policies in force',
    async () => {
      await makeCluster(server, 'probe', { deletionProtection: true }).catch(() => undefined);
      const refused = await client.delete(postgresClusters, { namespace, name: 'probe' }).then(
        () => false,
        () => true,
      );
      return refused ? yes(true) : notYet('a protected cluster could be deleted');
    },
    { within: seconds(30) },
  );
  await assert.rejects(remove(), /PostgresCluster kept is protected from deletion: set its spec\.deletionProtection/);
  await assert.rejects(removeVolume(), /PersistentVolumeClaim kept-1 holds data .* of kept to false first/);

  await change(server, 'kept', { deletionProtection: false });
  await client.apply(
    persistentVolumeClaims,
    volumeFor(sampleCluster({}, { name: 'kept', namespace }), 'kept-1', { dataUid: 'u' }),
    { fieldManager: 'unprotect', force: true },
  );
  await client.patch(
    persistentVolumeClaims,
    { namespace, name: 'kept-1' },
    { metadata: { labels: { 'mainstay.dev/deletion-protection': null } } },
    { fieldManager },
  );
  await removeVolume();
  await remove();
  assert.equal(await client.get(postgresClusters, { namespace, name: 'kept' }), undefined);
}

/** As the chart makes them. */
async function installPolicies({ client, kubeconfig }: ApiProcess): Promise<void> {
  const rendered = await chooseCluster().helm(
    [
      'template',
      'mainstay',
      `${repository}/charts/mainstay`,
      '--namespace',
      'mainstay-system',
      '--kube-version',
      '1.35.0',
    ],
    { env: { KUBECONFIG: kubeconfig } },
  );
  for (const document of parseAllDocuments(rendered)) {
    const object = document.toJS() as ApiObject | null;
    if (object?.kind === policies.kind) await client.create(policies, object);
    if (object?.kind === bindings.kind) await client.create(bindings, object);
  }
}

async function volumeSizes(server: ApiProcess): Promise<void> {
  const { client } = server;
  await makeCluster(server, 'sizes', { walStorage: { size: '1Gi' } });
  const sizes = (data: string, wal: string) =>
    change(server, 'sizes', { storage: { size: data }, walStorage: { size: wal } });
  await sizes('2Gi', '2Gi');
  await assert.rejects(sizes('1Gi', '2Gi'), /spec\.storage\.size.*is 1Gi but was 2Gi/);
  await assert.rejects(sizes('2Gi', '1Gi'), /spec\.walStorage\.size.*is 1Gi but was 2Gi/);
  // They could not grow: the wish may be taken back, but not to less than there is.
  await client.patch(
    postgresClusters,
    { namespace, name: 'sizes' },
    { status: { observedGeneration: 1, volumes: { data: '1Gi', wal: '1Gi' } } },
    { fieldManager, subresource: 'status' },
  );
  await sizes('1Gi', '1Gi');
  await assert.rejects(sizes('900Mi', '1Gi'), /spec\.storage\.size/);
}

async function builtObjects({ client }: ApiProcess): Promise<void> {
  const cluster = sampleCluster(
    {
      networkPolicy: {
        mode: 'Restricted',
        clients: [{ namespaceLabels: {} }, {}],
        monitoring: [{ podLabels: { a: 'b' } }],
      },
    },
    { namespace, name: 'built' },
  );
  const policy = networkPolicyFor(cluster);
  assert.ok(policy);
  await client.create(networkPolicies, { ...policy, metadata: { ...policy.metadata, ownerReferences: [] } });
  const stored = await client.get(networkPolicies, { namespace, name: 'built' });
  // An empty map of labels is stored as no map at all.
  const text = (rules: unknown): string => JSON.stringify(rules).replaceAll('{"matchLabels":{}}', '{}');
  assert.deepEqual(JSON.parse(text(stored?.spec?.ingress)), JSON.parse(text(policy.spec?.ingress)));
}

async function fencing({ client }: ApiProcess): Promise<void> {
  const make = (name: string, spec: object): Promise<unknown> =>
    client.create(fenceAgents, {
      apiVersion: 'mainstay.dev/v1alpha1',
      kind: 'FenceAgent',
      metadata: { name },
      spec: { image: 'i', command: ['fence_ipmilan'], nodes: [{ name: 'n1', plug: '1' }], ...spec },
    } as ApiObject);
  await make('good', { parameters: { ip: '192.0.2.1' } });
  await assert.rejects(make('bad', { parameters: { action: 'reboot' } }), /spec\.parameters.*set by Mainstay/);
  await assert.rejects(make('bad', { parameters: { ip: 'a\naction=on' } }), /spec\.parameters/);
  await assert.rejects(make('bad', { nodes: [] }), /spec\.nodes/);
  await assert.rejects(make('bad', { nodes: [{ name: 'n1' }, { name: 'n1' }] }), /spec\.nodes.*Duplicate/);
}
