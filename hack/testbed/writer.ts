/** Runs hack/writer as a Pod beside a cluster and talks to it through the API server, which works on any cluster. */
import type { V1Pod } from '@kubernetes/client-node';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { request } from 'undici';
import { bundle } from '../build/bundle.ts';
import type { LedgerState } from '../writer/ledger.ts';
import type { Comparison, FinalReport } from '../writer/main.ts';
import type { ReadService } from '../writer/reads.ts';
import type { History, Verdict } from '../writer/verdict.ts';
import type { ApiServer } from './api-server.ts';
import { repository, type ClusterAccess } from './cluster-access.ts';
import { notYet, until, yes } from './until.ts';

export type { Comparison, FinalReport, History, LedgerState, Verdict };

export interface WriterPod {
  readonly node: string;
  readonly table: string;
  readonly state: () => Promise<LedgerState>;
  /** Names a moment; `state().marks[name]` tells what happened since. */
  readonly mark: (name: string) => Promise<void>;
  /** Resolves when writes that were sent after this call are acknowledged. */
  readonly acknowledgedAgain: (patience: { readonly within: number; readonly writes?: number }) => Promise<void>;
  /** Ends writing, reads everything back from the primary and compares. */
  readonly stop: () => Promise<FinalReport>;
  /** Reads back what another writer left in the same table, or in that one. */
  readonly verify: (history: History, table?: string) => Promise<Verdict>;
  /** Once it has stopped: waits a minute for these instances, by address, to hold what the primary holds. */
  readonly compare: (addresses: readonly string[]) => Promise<Comparison>;
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
  /** Services that it reads through all the time, too. */
  readonly readers?: readonly ReadService[];
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
/** One acknowledged write could be luck; this many are a working connection. */
const convincingWrites = 10;
/** The writer itself tries for a minute to read everything back. */
const stopTimeoutMs = 120_000;

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
      ? asking(await podAddress(api, options, signal))
      : throughProxy(api, `/api/v1/namespaces/${options.namespace}/pods/${podName}:${port}/proxy`);
  const state = (): Promise<LedgerState> => ask<LedgerState>('GET', '/state');
  const mark = async (name: string): Promise<void> => {
    await ask('POST', `/mark?name=${encodeURIComponent(name)}`);
  };
  await until('writer', async () => yes(await state()), { within: podReadyMs, signal });
  let questions = 0;

  return {
    node: options.node,
    table: options.table,
    state,
    mark,
    acknowledgedAgain: async ({ within, writes = convincingWrites }) => {
      questions += 1;
      const name = `question-${questions}`;
      await mark(name);
      await until(
        'acknowledged writes',
        async () => {
          const { marks, errors } = await state();
          const acked = marks[name]?.acked ?? 0;
          return acked >= writes ? yes(undefined) : notYet(`${acked} since; errors ${JSON.stringify(errors)}`);
        },
        { within, signal },
      );
    },
    stop: () => ask<FinalReport>('POST', '/stop', {}, stopTimeoutMs),
    verify: (history, table = options.table) => ask<Verdict>('POST', `/verify?table=${table}`, history, stopTimeoutMs),
    compare: (addresses) => ask<Comparison>('POST', '/compare', addresses, stopTimeoutMs),
    remove,
  };
}

type Ask = <T>(method: 'GET' | 'POST', path: string, body?: unknown, timeoutMs?: number) => Promise<T>;

function throughProxy(api: ApiServer, proxy: string): Ask {
  return async <T>(method: 'GET' | 'POST', path: string, body?: unknown, timeoutMs?: number) => {
    if (method === 'POST') return api.post<T>(proxy + path, body, timeoutMs);
    const answer = await api.get<T>(proxy + path);
    if (answer === undefined) throw new Error('the writer’s Pod is gone');
    return answer;
  };
}

function asking(address: string): Ask {
  return async <T>(method: 'GET' | 'POST', path: string, body?: unknown, timeoutMs = 2_000) => {
    const answer = await request(`http://${address}:${port}${path}`, {
      method,
      body: method === 'POST' ? JSON.stringify(body ?? {}) : null,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`writer: ${answer.statusCode} ${text.slice(0, 500)}`);
    return JSON.parse(text) as T;
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
                { name: 'WRITER_READERS', value: (options.readers ?? []).join(',') },
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
