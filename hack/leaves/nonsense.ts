/**
 * Every field of every resource is given nonsense. The API server must refuse it with words that name the field, or, if it takes
 * it, also take everything that the operator makes of it: what is refused only later leaves a cluster that never comes up.
 */
import { request } from 'node:https';
import type { ClusterAccess } from '../../operator/kubernetes/access.ts';
import { parseDatabaseCluster } from '../../operator/api/database-cluster.ts';
import type { Installation } from '../../operator/resources/installation.ts';
import type { CustomResource } from '../generate/custom-resource-definition.ts';
import { objectsFor, wordsFor } from './children.ts';
import { leavesOf, mapKey, withLeaf, type Context, type Leaf } from './leaves.ts';

/** Of any type: the schema must sort them out. */
export const nonsense: readonly unknown[] = [
  '',
  ' ',
  'ä',
  '日本語',
  '\u0000',
  'a b',
  'a\nb',
  '-',
  'UPPER_case',
  '-1',
  '0',
  '10',
  '1.5',
  '10GB',
  '5m',
  '1e3',
  '9999999999999999Gi',
  'x'.repeat(64),
  'x'.repeat(254),
  'x'.repeat(5_000),
  "'; DROP TABLE x; --",
  '../../etc/passwd',
  '${HOME}',
  0,
  -1,
  1.5,
  2 ** 53,
  true,
  null,
  [],
  {},
];
/** As keys of maps. */
const keys = ['', 'ä', 'a b', 'a/b/c', '-a', 'UPPER', 'x'.repeat(400), '1'];

export interface Subject {
  readonly resource: CustomResource;
  readonly namespace: string | undefined;
  readonly apiVersion: string;
  /** A spec that is taken. */
  readonly base: Context;
  readonly beside: Readonly<Record<string, Context>>;
}

export interface Findings {
  readonly tried: number;
  readonly refused: number;
  readonly problems: readonly string[];
}

export async function tryNonsense(
  access: ClusterAccess,
  subject: Subject,
  installation: Installation,
): Promise<Findings> {
  const schema = subject.resource.schema.properties?.['spec'] ?? {};
  const cases = leavesOf(schema).flatMap((leaf) => [
    ...nonsense.map((value) => ({ leaf, value, key: leaf.path.includes('parameters.*') ? 'work_mem' : mapKey })),
    ...(leaf.path.includes('*') ? keys.map((key) => ({ leaf, value: 'a', key })) : []),
  ]);
  const problems: string[] = [];
  const children = new Map<string, Promise<string | undefined>>();
  let refused = 0;
  const queue = [...cases];
  const work = async (): Promise<void> => {
    for (let one = queue.shift(); one; one = queue.shift()) {
      const problem = await tryOne(one.leaf, one.value, one.key);
      if (problem !== undefined) problems.push(`${one.leaf.path} = ${show(one.value, one.key, one.leaf)}: ${problem}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  return { tried: cases.length, refused, problems };

  async function tryOne(leaf: Leaf, value: unknown, key: string): Promise<string | undefined> {
    const { resource, namespace, apiVersion, base, beside } = subject;
    const spec = withLeaf(base, leaf.path, value, beside, key);
    const metadata = { name: 'nonsense', ...(namespace !== undefined && { namespace }) };
    const object = { apiVersion, kind: resource.kind, metadata, spec };
    const answer = await dryRun(access, collectionOf(object, resource.plural), object);
    if (answer.status === 422 || answer.status === 400) {
      refused += 1;
      const field = leaf.path.split(/[.[]/)[0] ?? '';
      return answer.message.includes(field) || answer.message.includes('strict decoding') || answer.status === 400
        ? undefined
        : `refused without a word about the field: ${answer.message.slice(0, 200)}`;
    }
    if (answer.status !== 201) return `${answer.status} ${answer.message.slice(0, 200)}`;
    if (namespace === undefined || resource.kind === 'ClusterOperation') return undefined;
    return followUp(answer.object);
  }

  async function followUp(stored: object): Promise<string | undefined> {
    let objects: readonly object[];
    try {
      const cluster = parseDatabaseCluster(stored);
      wordsFor(cluster);
      objects = objectsFor(cluster, installation);
    } catch (error) {
      return `taken by the API server, but not by the operator: ${error instanceof Error ? error.message.slice(0, 300) : ''}`;
    }
    for (const object of objects) {
      const { kind = '', metadata = {} } = object as {
        readonly kind?: string;
        readonly metadata?: { readonly name?: string };
      };
      // Of instances that are alike one tells enough.
      if (/-[2-9](-wal)?$/.test(metadata.name ?? '')) continue;
      const id = JSON.stringify(withoutUid(object));
      const result = children.get(id) ?? childProblem(kind, object);
      children.set(id, result);
      const problem = await result;
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  async function childProblem(kind: string, object: object): Promise<string | undefined> {
    const plural = pluralOf(kind);
    const { status, message } = await dryRun(access, collectionOf(object as Typed, plural), object);
    // Nobody has made the class: what stands in the spec may be right all the same.
    const isMissing = status === 403 && /no PriorityClass/.test(message);
    return status === 201 || status === 409 || isMissing
      ? undefined
      : `taken, but its ${kind} is refused: ${message.slice(0, 300)}`;
  }
}

interface Typed {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly namespace?: string };
}

const pluralOf = (kind: string): string =>
  kind.endsWith('y') ? `${kind.slice(0, -1).toLowerCase()}ies` : `${kind.toLowerCase()}s`;

function collectionOf({ apiVersion, metadata: { namespace } }: Typed, plural: string): string {
  const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespace === undefined ? `${group}/${plural}` : `${group}/namespaces/${namespace}/${plural}`;
}

const withoutUid = (object: object): object => {
  const { metadata = {} } = object as { readonly metadata?: object };
  return { ...object, metadata: { ...metadata, ownerReferences: undefined } };
};

function show(value: unknown, key: string, leaf: Leaf): string {
  const text = JSON.stringify(value);
  const shown = text.length > 60 ? `${text.slice(0, 40)}… (${text.length})` : text;
  return leaf.path.includes('*') ? `${JSON.stringify(key.slice(0, 20))}: ${shown}` : shown;
}

async function dryRun(
  access: ClusterAccess,
  path: string,
  object: object,
): Promise<{ readonly status: number; readonly message: string; readonly object: object }> {
  const { token = '' } = await access.credentials();
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly status: number; readonly text: string }>();
  const url = new URL(`${path}?dryRun=All&fieldValidation=Strict`, access.server);
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const sent = request(url, { method: 'POST', rejectUnauthorized: false, headers }, (response) => {
    let text = '';
    response
      .setEncoding('utf8')
      .on('data', (part: string) => (text += part))
      .once('end', () => resolve({ status: response.statusCode ?? 0, text }))
      .once('error', reject);
  });
  sent.once('error', reject).end(JSON.stringify(object));
  const { status, text } = await promise;
  const answer = JSON.parse(text) as { readonly message?: string };
  return { status, message: answer.message ?? '', object: answer };
}
