import type { ApiObject } from './kinds.ts';

/** `namespace/name`, or `name` for objects of the cluster itself. */
export type ObjectKey = string;

export function keyOf(object: ApiObject): ObjectKey {
  const { namespace, name = '' } = object.metadata ?? {};
  return namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;
}

export interface ObjectChange<T> {
  readonly key: ObjectKey;
  readonly object: T | undefined;
  readonly previous: T | undefined;
}

/** Objects by key and by the values of one index. */
export interface ObjectCache<T> {
  get(key: ObjectKey): T | undefined;
  list(): readonly T[];
  withIndex(value: string): readonly T[];
  put(object: T): ObjectChange<T>;
  remove(object: T): ObjectChange<T>;
  /** Makes the cache hold exactly these objects, and tells what that changed. */
  replace(objects: readonly T[]): readonly ObjectChange<T>[];
}

export function createObjectCache<T extends ApiObject>(
  indexBy: (object: T) => readonly string[] = () => [],
): ObjectCache<T> {
  const objects = new Map<ObjectKey, T>();
  const index = new Map<string, Map<ObjectKey, T>>();

  return {
    get: (key) => objects.get(key),
    list: () => [...objects.values()],
    withIndex: (value) => [...(index.get(value)?.values() ?? [])],
    put,
    remove: (object) => removeKey(keyOf(object), object),
    replace(wanted) {
      const changes: ObjectChange<T>[] = [];
      const gone = new Set(objects.keys());
      for (const object of wanted) {
        const key = keyOf(object);
        gone.delete(key);
        // Only equality of versions means something: after a restore of etcd they may even go back.
        if (objects.get(key)?.metadata?.resourceVersion !== object.metadata?.resourceVersion || !objects.has(key)) {
          changes.push(put(object));
        }
      }
      for (const key of gone) changes.push(removeKey(key));
      return changes;
    },
  };

  function put(object: T): ObjectChange<T> {
    const key = keyOf(object);
    const { previous } = removeKey(key);
    objects.set(key, object);
    for (const value of indexBy(object)) {
      const entries = index.get(value) ?? new Map<ObjectKey, T>();
      index.set(value, entries.set(key, object));
    }
    return { key, object, previous };
  }

  function removeKey(key: ObjectKey, last?: T): ObjectChange<T> {
    const previous = objects.get(key);
    if (previous === undefined) return { key, object: undefined, previous: last };
    objects.delete(key);
    for (const value of indexBy(previous)) {
      const entries = index.get(value);
      entries?.delete(key);
      if (entries?.size === 0) index.delete(value);
    }
    return { key, object: undefined, previous };
  }
}
