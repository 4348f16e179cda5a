import type { KubernetesClient, Selection } from './client.ts';
import type { ApiObject, ResourceKind } from './kinds.ts';
import type { Surroundings } from './surroundings.ts';

/** `namespace/name`, or `name` for objects of the cluster itself. */
export type ObjectKey = string;

export interface InformerOptions<T> extends Partial<Surroundings> {
  /** Called for each object that appears, changes or (undefined) goes; `previous` is what the cache held. May throw: it is logged. */
  readonly onChange?: (key: ObjectKey, object: T | undefined, previous: T | undefined) => void;
  /** What of an object is worth keeping; `managedFields` are dropped anyway. */
  readonly transform?: (object: T) => T;
  /** The values under which `withIndex` finds an object, such as its owner's name. */
  readonly indexBy?: (object: T) => readonly string[];
}

export interface Informer<T> {
  /** Lists, then watches, whatever happens, until the signal aborts; resolves then and never rejects. */
  start(signal: AbortSignal): Promise<void>;
  /** Whether the cache has been complete at least once. */
  hasSynced(): boolean;
  /** Resolves when the cache is complete for the first time; rejects with the signal's reason. */
  whenSynced(signal?: AbortSignal): Promise<void>;
  get(key: ObjectKey): T | undefined;
  list(): readonly T[];
  /** Objects for which `indexBy` returned this value. */
  withIndex(value: string): readonly T[];
}

/** A local copy of the selected objects that follows the API server. Cached objects are shared: never change them. */
export function createInformer<T extends ApiObject>(
  _client: KubernetesClient,
  _kind: ResourceKind<T>,
  _where: Selection,
  _options: InformerOptions<T> = {},
): Informer<T> {
  throw new Error('not yet');
}

export function keyOf(object: ApiObject): ObjectKey {
  const { namespace, name = '' } = object.metadata ?? {};
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}
