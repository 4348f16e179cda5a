import type { ClusterAccess } from './access.ts';
import type { ApiObject, ResourceKind } from './kinds.ts';
import type { Surroundings } from './surroundings.ts';

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
  /** JSON merge patch. */
  patch<T extends ApiObject>(
    kind: ResourceKind<T>,
    ref: ObjectRef,
    mergePatch: object,
    how: { readonly fieldManager: string; readonly subresource?: string },
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

export function kubernetesClient(_access: ClusterAccess, _surroundings: Partial<Surroundings> = {}): KubernetesClient {
  throw new Error('not yet');
}
