import { MainstayError } from '../platform/errors.ts';
import type { ClusterAccess } from './access.ts';
import { isGone, isNotFound, KubernetesApiError, type ApiStatus } from './api-error.ts';
import type { ApiObject, ResourceKind } from './kinds.ts';
import type { RequestMetrics } from './metrics.ts';
import type { Surroundings } from './surroundings.ts';
import { createTransport, type ApiRequest } from './transport.ts';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** From the call to its answer, retries included; 10 s by default. For a list: for each page. */
  readonly timeoutMs?: number | undefined;
}

export interface ObjectRef {
  /** Left out for objects of the cluster itself. */
  readonly namespace?: string | undefined;
  readonly name: string;
}

export interface Selection {
  /** All namespaces when left out. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface DeletePreconditions {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly gracePeriodSeconds?: number | undefined;
  readonly propagationPolicy?: 'Orphan' | 'Background' | 'Foreground' | undefined;
}

export interface ObjectList<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
}

export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

export interface WatchStart {
  readonly resourceVersion: string;
  /** After which the server ends the stream. */
  readonly timeoutSeconds: number;
}

/**
 * Objects go over the wire as they are, unknown fields included. Every call ends within its deadline, by an answer or by
 * KubernetesApiError / KubernetesUnreachableError; reads and `apply` are tried again within it, other writes never.
 */
export interface KubernetesClient {
  /** Undefined when the object does not exist. */
  get<T extends ApiObject>(kind: ResourceKind<T>, ref: ObjectRef, options?: CallOptions): Promise<T | undefined>;
  /** All pages, one consistent state. */
  list<T extends ApiObject>(kind: ResourceKind<T>, where: Selection, options?: CallOptions): Promise<ObjectList<T>>;
  create<T extends ApiObject>(kind: ResourceKind<T>, object: T, options?: CallOptions): Promise<T>;
  /** Server-side apply: creates, or makes the given fields (and only those) belong to the field manager. */
  apply<T extends ApiObject>(
    kind: ResourceKind<T>,
    object: T,
    how: { readonly fieldManager: string; readonly force?: boolean; readonly subresource?: 'status' | 'scale' },
    options?: CallOptions,
  ): Promise<T>;
  /** Replaces the object; refused with Conflict when `metadata.resourceVersion` is not the present one. */
  update<T extends ApiObject>(
    kind: ResourceKind<T>,
    object: T,
    how?: { readonly subresource?: string; readonly fieldManager?: string },
    options?: CallOptions,
  ): Promise<T>;
  /** JSON merge patch, in which a list replaces a list; `lists: 'merged'`: by their keys, as Kubernetes' own kinds define it. */
  patch<T extends ApiObject>(
    kind: ResourceKind<T>,
    ref: ObjectRef,
    mergePatch: object,
    how: { readonly fieldManager: string; readonly subresource?: string; readonly lists?: 'merged' },
    options?: CallOptions,
  ): Promise<T>;
  /** Resolves too when the object does not exist; preconditions that fail are a Conflict. */
  delete<T extends ApiObject>(
    kind: ResourceKind<T>,
    ref: ObjectRef,
    preconditions?: DeletePreconditions,
    options?: CallOptions,
  ): Promise<void>;
  /** Changes after a resourceVersion; ends when the server ends it, throws when it is lost or (410) too old. For informers. */
  watch<T extends ApiObject>(
    kind: ResourceKind<T>,
    where: Selection,
    start: WatchStart,
    options?: CallOptions,
  ): AsyncIterable<WatchEvent<T>>;
  /** Closes the connections; calls under way fail. */
  close(): Promise<void>;
}

export interface KubernetesClientOptions extends Partial<Surroundings> {
  readonly metrics?: RequestMetrics | undefined;
}

/** Small enough that parsing a page doesn't stall the event loop. */
const PAGE_LIMIT = 500;

export function kubernetesClient(access: ClusterAccess, options: KubernetesClientOptions = {}): KubernetesClient {
  const transport = createTransport(access, options);

  return {
    async get<T extends ApiObject>(kind: ResourceKind<T>, ref: ObjectRef, call?: CallOptions) {
      try {
        const path = pathOf(kind, ref);
        const request = { verb: 'get', method: 'GET', path, idempotent: true, ...formOf(kind) } as const;
        return (await transport.call(request, call)) as T;
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    },

    async list<T extends ApiObject>(kind: ResourceKind<T>, where: Selection, call?: CallOptions) {
      try {
        return await listPages(kind, where, PAGE_LIMIT, call);
      } catch (error) {
        if (!isGone(error)) throw error;
        // The continuation expired under us (compaction): everything in one piece cannot.
        return await listPages(kind, where, undefined, call);
      }
    },

    async create<T extends ApiObject>(kind: ResourceKind<T>, object: T, call?: CallOptions) {
      const path = collectionPath(kind, object.metadata?.namespace);
      const body = withType(kind, object);
      return (await transport.call({ verb: 'create', method: 'POST', path, body, idempotent: false }, call)) as T;
    },

    async apply<T extends ApiObject>(
      kind: ResourceKind<T>,
      object: T,
      { fieldManager, force, subresource }: Parameters<KubernetesClient['apply']>[2],
      call?: CallOptions,
    ) {
      const request: ApiRequest = {
        verb: 'apply',
        method: 'PATCH',
        path: pathOf(kind, refOf(object), subresource),
        query: { fieldManager, force },
        contentType: 'application/apply-patch+yaml', // JSON is YAML
        body: withType(kind, object),
        idempotent: true,
      };
      return (await transport.call(request, call)) as T;
    },

    async update<T extends ApiObject>(
      kind: ResourceKind<T>,
      object: T,
      { subresource, fieldManager }: Parameters<KubernetesClient['update']>[2] = {},
      call?: CallOptions,
    ) {
      const request: ApiRequest = {
        verb: 'update',
        method: 'PUT',
        path: pathOf(kind, refOf(object), subresource),
        query: { fieldManager },
        body: withType(kind, object),
        idempotent: false,
      };
      return (await transport.call(request, call)) as T;
    },

    async patch<T extends ApiObject>(
      kind: ResourceKind<T>,
      ref: ObjectRef,
      mergePatch: object,
      { fieldManager, subresource, lists }: Parameters<KubernetesClient['patch']>[3],
      call?: CallOptions,
    ) {
      const request: ApiRequest = {
        verb: 'patch',
        method: 'PATCH',
        path: pathOf(kind, ref, subresource),
        query: { fieldManager },
        contentType: lists === 'merged' ? 'application/strategic-merge-patch+json' : 'application/merge-patch+json',
        body: mergePatch,
        idempotent: false,
      };
      return (await transport.call(request, call)) as T;
    },

    async delete<T extends ApiObject>(
      kind: ResourceKind<T>,
      ref: ObjectRef,
      { uid, resourceVersion, ...rest }: DeletePreconditions = {},
      call?: CallOptions,
    ) {
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', ...rest, preconditions: { uid, resourceVersion } };
      const path = pathOf(kind, ref);
      try {
        await transport.call({ verb: 'delete', method: 'DELETE', path, body, idempotent: false }, call);
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },

    async *watch<T extends ApiObject>(
      kind: ResourceKind<T>,
      where: Selection,
      start: WatchStart,
      call?: CallOptions,
    ): AsyncGenerator<WatchEvent<T>> {
      const request: ApiRequest = {
        verb: 'watch',
        method: 'GET',
        path: collectionPath(kind, where.namespace, 'any'),
        query: { ...selectors(where), ...start, watch: true, allowWatchBookmarks: true },
        ...formOf(kind),
        idempotent: false, // who watches decides from where to go on
      };
      for await (const line of transport.lines(request, call)) {
        const event = JSON.parse(line) as { readonly type: string; readonly object: T };
        if (event.type === 'ADDED' || event.type === 'MODIFIED' || event.type === 'DELETED') {
          yield { type: event.type, object: event.object };
        } else if (event.type === 'BOOKMARK') {
          yield { type: 'BOOKMARK', resourceVersion: event.object.metadata?.resourceVersion ?? '' };
        } else {
          const status = event.object as ApiStatus;
          throw new KubernetesApiError(`watch ${request.path}`, status.code ?? 500, status);
        }
      }
    },

    close: () => transport.close(),
  };

  async function listPages<T extends ApiObject>(
    kind: ResourceKind<T>,
    where: Selection,
    limit: number | undefined,
    call?: CallOptions,
  ): Promise<ObjectList<T>> {
    const items: T[] = [];
    let next: string | undefined;
    for (;;) {
      const request: ApiRequest = {
        verb: 'list',
        method: 'GET',
        path: collectionPath(kind, where.namespace, 'any'),
        query: { ...selectors(where), limit, continue: next },
        ...formOf(kind, 'List'),
        idempotent: true,
      };
      const page = (await transport.call(request, call)) as ListAnswer<T>;
      // The API leaves the type out of list items; readers should not have to care where an object came from.
      for (const item of page.items ?? []) items.push(withType(kind, item));
      next = page.metadata.continue;
      if (next === undefined || next === '') return { items, resourceVersion: page.metadata.resourceVersion };
    }
  }
}

interface ListAnswer<T> {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: readonly T[] | null;
}

function withType<T extends ApiObject>(kind: ResourceKind<T>, object: T): T {
  return { ...object, apiVersion: kind.apiVersion, kind: kind.kind };
}

function formOf<T extends ApiObject>(kind: ResourceKind<T>, list: 'List' | '' = ''): { readonly accept?: string } {
  return kind.metadataOnly ? { accept: `application/json;as=PartialObjectMetadata${list};g=meta.k8s.io;v=v1` } : {};
}

const selectors = ({ labelSelector, fieldSelector }: Selection) => ({ labelSelector, fieldSelector });

function refOf(object: ApiObject): ObjectRef {
  return { namespace: object.metadata?.namespace, name: object.metadata?.name ?? '' };
}

function pathOf<T extends ApiObject>(kind: ResourceKind<T>, ref: ObjectRef, subresource?: string): string {
  if (ref.name === '') throw new MainstayError('ResourceInvalid', `A ${kind.kind} without a name.`);
  const path = `${collectionPath(kind, ref.namespace)}/${encodeURIComponent(ref.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

function collectionPath<T extends ApiObject>(
  kind: ResourceKind<T>,
  namespace: string | undefined,
  without: 'any' | 'refused' = 'refused',
): string {
  const group = kind.apiVersion.includes('/') ? `/apis/${kind.apiVersion}` : `/api/${kind.apiVersion}`;
  if (!kind.namespaced) return `${group}/${kind.plural}`;
  if (namespace !== undefined && namespace !== '') {
    return `${group}/namespaces/${encodeURIComponent(namespace)}/${kind.plural}`;
  }
  if (without === 'refused') throw new MainstayError('ResourceInvalid', `A ${kind.kind} without a namespace.`);
  return `${group}/${kind.plural}`;
}
