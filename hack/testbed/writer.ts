/** Runs hack/writer as a Pod beside a cluster and talks to it through the API server, which works on any cluster. */
import type { V1Pod } from '@kubernetes/client-node';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { bundle } from '../build/bundle.ts';
import type { ApiServer } from './api-server.ts';
import { repository, type ClusterAccess } from './cluster-access.ts';
import { notYet, until, yes } from './until.ts';
import { askingAt, writerClient, type Ask, type WriterClient } from './writer-client.ts';

export type { FinalReport, History, LedgerState, Verdict } from './writer-client.ts';

export interface WriterPod extends WriterClient {
  readonly node: string;
  readonly remove: () => Promise<void>;
}

export interface WriterOptions {
  readonly namespace: string;
  /** Cluster whose Secret <cluster>-app is used. */
  readonly cluster: string;
  /** Where it runs: not on a node that will be hurt. */
  readonly node: string;
  readonly table: string;
  /** Connections that write side by side. Default: 1; 0: writes nothing, for `verify`. */
  readonly lanes?: number;
  /** Name of its Pod. Default: writer. */
  readonly name?: string;
  /** Addresses of instances to use in place of the Service: of several, whichever is the primary. */
  readonly hosts?: readonly string[];
  /** `direct`: asked at its Pod's address, which works on the local cluster only, and without the API server. */
  readonly reach?: 'proxy' | 'direct';
}

const port = 9090;
const podReadyMs = 60_000;
/** A ConfigMap holds 1 MiB; some is left for metadata. */
const maximumPackedBytes = 900_000;

export async function startWriter(
  {
    access,
    api,
    signal,
  }: { readonly access: ClusterAccess; readonly api: ApiServer; readonly signal?: AbortSignal | undefined },
  options: WriterOptions,
): Promise<WriterPod> {
  const program = await bundle(path.join(repository, 'hack/writer/main.ts'), path.join(repository, 'build/writer.mjs'));
  const packed = gzipSync(await readFile(program.file)).toString('base64');
  if (packed.length > maximumPackedBytes) {
    throw new Error(`the writer has ${packed.length} bytes, but must fit into a ConfigMap (${maximumPackedBytes})`);
  }
  const podName = nameOf(options);
  const inNamespace = ['--namespace', options.namespace];
  const remove = async (): Promise<void> => {
    await access.kubectl(['delete', 'pod,configmap', podName, ...inNamespace, '--ignore-not-found', '--wait=true']);
  };
  await remove();
  await access.kubectl(['create', ...inNamespace, '-f', '-'], {
    signal,
    input: JSON.stringify(manifest(options, packed)),
  });
  const ask =
    options.reach === 'direct'
      ? askingAt(`http://${await podAddress(api, options, signal)}:${port}`)
      : throughProxy(api, `/api/v1/namespaces/${options.namespace}/pods/${podName}:${port}/proxy`);
  const client = writerClient(ask, signal);
  await until('writer', async () => yes(await client.state()), { within: podReadyMs, signal });
  return { ...client, node: options.node, remove };
}

function throughProxy(api: ApiServer, proxy: string): Ask {
  return async <T>(method: 'GET' | 'POST', path: string, body?: unknown, timeoutMs?: number) => {
    if (method === 'POST') return api.post<T>(proxy + path, body, timeoutMs);
    const answer = await api.get<T>(proxy + path);
    if (answer === undefined) throw new Error('the writer’s Pod is gone');
    return answer;
  };
}

function podAddress(api: ApiServer, options: WriterOptions, signal: AbortSignal | undefined): Promise<string> {
  return until(
    'address of the writer',
    async () => {
      const pod = await api.get<V1Pod>(`/api/v1/namespaces/${options.namespace}/pods/${nameOf(options)}`);
      return pod?.status?.podIP === undefined ? notYet('none yet') : yes(pod.status.podIP);
    },
    { within: podReadyMs, signal },
  );
}

const unpackAndRun =
  "const { readFileSync, writeFileSync } = require('node:fs');" +
  "writeFileSync('/run/writer/writer.mjs', require('node:zlib').gunzipSync(readFileSync('/writer/writer.mjs.gz')));" +
  "import('/run/writer/writer.mjs');";

function nameOf(options: WriterOptions): string {
  return options.name ?? 'writer';
}

/** `packed`: gzip in Base64. */
function manifest(options: WriterOptions, packed: string): unknown {
  const podName = nameOf(options);
  const labels = { 'app.kubernetes.io/name': podName, 'app.kubernetes.io/part-of': 'mainstay-tests' };
  const metadata = { name: podName, namespace: options.namespace, labels };
  return {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      { apiVersion: 'v1', kind: 'ConfigMap', metadata, binaryData: { 'writer.mjs.gz': packed } },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata,
        spec: {
          nodeName: options.node,
          restartPolicy: 'Never',
          terminationGracePeriodSeconds: 1,
          enableServiceLinks: false,
          automountServiceAccountToken: false,
          // Not evicted from a node that fails nearby.
          tolerations: [{ operator: 'Exists' }],
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 65532,
            runAsGroup: 65532,
            fsGroup: 65532,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          containers: [
            {
              name: podName,
              image: 'mainstay.dev/mainstay:dev',
              imagePullPolicy: 'IfNotPresent',
              command: ['/opt/mainstay/node', '--eval', unpackAndRun],
              env: [
                { name: 'WRITER_ACCESS', value: '/etc/writer/app' },
                { name: 'WRITER_TABLE', value: options.table },
                { name: 'WRITER_PORT', value: String(port) },
                { name: 'WRITER_HOSTS', value: (options.hosts ?? []).join(',') },
                { name: 'WRITER_LANES', value: String(options.lanes ?? 1) },
              ],
              ports: [{ name: 'http', containerPort: port }],
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
              volumeMounts: [
                { name: 'program', mountPath: '/writer', readOnly: true },
                { name: 'unpacked', mountPath: '/run/writer' },
                { name: 'app', mountPath: '/etc/writer/app', readOnly: true },
              ],
            },
          ],
          volumes: [
            { name: 'program', configMap: { name: podName } },
            { name: 'unpacked', emptyDir: {} },
            { name: 'app', secret: { secretName: `${options.cluster}-app` } },
          ],
        },
      },
    ],
  };
}
