/** The few calls that the tool itself makes to the API server. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { apiServerUrl } from './layout.ts';
import { certificateFile, keyFile } from './pki.ts';

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly [field: string]: unknown;
}

export interface Node {
  readonly metadata: { readonly name: string };
  readonly status: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastHeartbeatTime: string;
    }[];
  };
}

export interface Pod {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: { readonly nodeName?: string };
}

export const isReady = (node: Node): boolean =>
  node.status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false;

/** Whether the API server says that it is ready. */
export async function apiIsReady(signal?: AbortSignal): Promise<boolean> {
  return call('GET', '/readyz', { signal }).then(
    () => true,
    () => false,
  );
}

export async function getList<T>(path: string, signal?: AbortSignal): Promise<readonly T[]> {
  return (JSON.parse(await call('GET', path, { signal })) as { readonly items: readonly T[] }).items;
}

/** Server-side apply of a cluster-scoped object. */
export async function apply(object: KubernetesObject, plural: string, signal: AbortSignal): Promise<void> {
  await call(
    'PATCH',
    `/apis/${object.apiVersion}/${plural}/${object.metadata.name}?fieldManager=hack-cluster&force=true`,
    {
      signal,
      body: JSON.stringify(object),
    },
  );
}

function call(
  method: string,
  path: string,
  options: { readonly signal?: AbortSignal | undefined; readonly body?: string },
): Promise<string> {
  const timeout = AbortSignal.timeout(5_000);
  return new Promise((resolve, reject) => {
    const sent = request(
      new URL(path, apiServerUrl),
      {
        method,
        agent: false,
        ca: readFileSync(certificateFile('ca')),
        cert: readFileSync(certificateFile('admin')),
        key: readFileSync(keyFile('admin')),
        headers: { accept: 'application/json', 'content-type': 'application/apply-patch+yaml' },
        signal: options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.once('error', reject).once('end', () => {
          const status = response.statusCode ?? 0;
          if (status >= 200 && status < 300) resolve(text);
          else reject(new Error(`${method} ${path}: ${status} ${text.slice(0, 300)}`));
        });
      },
    );
    sent.once('error', reject).end(options.body);
  });
}
