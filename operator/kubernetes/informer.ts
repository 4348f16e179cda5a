import { isGone, KubernetesApiError, KubernetesUnreachableError } from './api-error.ts';
import type { KubernetesClient, Selection } from './client.ts';
import type { ApiObject, ResourceKind } from './kinds.ts';
import { createObjectCache, type ObjectKey } from './object-cache.ts';
import { surroundingsFrom, type Surroundings } from './surroundings.ts';

export { keyOf, type ObjectKey } from './object-cache.ts';

export interface InformerOptions<T> extends Partial<Surroundings> {
  /** Called for each object that appears, changes or (undefined) goes; `previous` is what the cache held. May throw: it is logged. */
  readonly onChange?: (key: ObjectKey, object: T | undefined, previous: T | undefined) => void;
  /** What of an object is worth keeping; `managedFields` are dropped anyway. */
  readonly transform?: (object: T) => T;
  /** The values under which `withIndex` finds an object, such as its owner's name. */
  readonly indexBy?: (object: T) => readonly string[];
  /** After so long without any event or bookmark, the connection is taken for dead; 100 s. */
  readonly silenceMs?: number;
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

const LIST_TIMEOUT_MS = 30_000;
/** Servers send bookmarks about once a minute; a watch that gets none at all is merely opened anew, which is cheap. */
const SILENCE_MS = 100_000;
/** As client-go: not all watches of all clients at the same moment, and none for ever. */
const WATCH_SECONDS = { least: 300, spread: 300 };
const BACKOFF_MS = { first: 800, longest: 30_000 };
/** After so many failed watches in a row, the version we resume from may itself be the trouble: list again. */
const WATCH_FAILURES_BEFORE_LIST = 5;
/** A watch that the server ends sooner than this, without an event, counts as a failure. */
const SHORT_WATCH_MS = 1_000;

/** A local copy of the selected objects that follows the API server. Cached objects are shared: never change them. */
export function createInformer<T extends ApiObject>(
  client: KubernetesClient,
  kind: ResourceKind<T>,
  where: Selection,
  options: InformerOptions<T> = {},
): Informer<T> {
  const { clock, random, log } = surroundingsFrom(options);
  const { transform = (object: T) => object, silenceMs = SILENCE_MS } = options;
  const cache = createObjectCache<T>(options.indexBy);
  const synced = Promise.withResolvers<undefined>();
  let hasSynced = false;
  /** Where the next watch begins; undefined when only a list can tell. */
  let resourceVersion: string | undefined;
  let failures = 0;

  return {
    async start(signal) {
      while (!signal.aborted) {
        try {
          if (resourceVersion === undefined) await listAll(signal);
          else await watchOn(resourceVersion, signal);
        } catch (error) {
          await recover(error, signal);
        }
      }
    },
    hasSynced: () => hasSynced,
    whenSynced: (signal) => (signal === undefined ? synced.promise : orAborted(synced.promise, signal)),
    get: (key) => cache.get(key),
    list: () => cache.list(),
    withIndex: (value) => cache.withIndex(value),
  };

  async function listAll(signal: AbortSignal): Promise<void> {
    const list = await client.list(kind, where, { signal, timeoutMs: LIST_TIMEOUT_MS });
    // Everything is in the cache before the first handler looks at it.
    const changes = cache.replace(list.items.map(keep));
    resourceVersion = list.resourceVersion;
    for (const { key, object, previous } of changes) notify(key, object, previous);
    hasSynced = true;
    synced.resolve(undefined);
  }

  async function watchOn(from: string, signal: AbortSignal): Promise<void> {
    const openedAt = clock.now();
    const silence = watchSilence(signal);
    let heard = false;
    try {
      const start = {
        resourceVersion: from,
        timeoutSeconds: WATCH_SECONDS.least + Math.floor(WATCH_SECONDS.spread * random()),
      };
      for await (const event of client.watch(kind, where, start, { signal: silence.signal })) {
        silence.heard();
        heard = true;
        failures = 0;
        if (event.type === 'BOOKMARK') {
          resourceVersion = event.resourceVersion;
          continue;
        }
        const object = keep(event.object);
        const gone = event.type === 'DELETED';
        const { key, previous } = gone ? cache.remove(object) : cache.put(object);
        resourceVersion = object.metadata?.resourceVersion ?? resourceVersion;
        notify(key, gone ? undefined : object, previous);
      }
    } finally {
      silence.end();
    }
    if (!heard && clock.now() - openedAt < SHORT_WATCH_MS) throw new Error('the watch ended as soon as it began');
    failures = 0;
  }

  /** Waits, and decides whether to go on from the last version or to list. */
  async function recover(error: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const watched = resourceVersion !== undefined;
    failures += 1;
    // Besides 410: no other refusal of this very watch goes away by asking the same again.
    const refused = error instanceof KubernetesApiError && error.status < 500 && error.status !== 429;
    if (refused || failures % WATCH_FAILURES_BEFORE_LIST === 0) resourceVersion = undefined;
    if (watched && isGone(error) && failures === 1) {
      log.debug({ kind: kind.kind }, 'the watch fell too far behind; listing again');
      return;
    }
    const waitMs = Math.max(backoff(failures), retryAfterMs(error));
    log.warn({ err: error, kind: kind.kind, failures, waitMs }, 'informer lost the API server; it will try again');
    await clock.sleep(waitMs, signal).catch(() => undefined);
  }

  function backoff(failed: number): number {
    return Math.min(BACKOFF_MS.first * 2 ** (failed - 1), BACKOFF_MS.longest) * (0.5 + 0.5 * random());
  }

  /** A signal that aborts with its parent, or when nothing has been heard for too long. */
  function watchSilence(parent: AbortSignal) {
    const controller = new AbortController();
    const follow = (): void => controller.abort(parent.reason);
    parent.addEventListener('abort', follow, { once: true });
    const arm = (): (() => void) =>
      clock.after(silenceMs, () => controller.abort(new KubernetesUnreachableError(`watch ${kind.plural}`, 'Timeout')));
    let cancel = arm();
    return {
      signal: controller.signal,
      heard(): void {
        cancel();
        cancel = arm();
      },
      end(): void {
        cancel();
        parent.removeEventListener('abort', follow);
      },
    };
  }

  function keep(object: T): T {
    // Four fifths of an object's memory, and of no use to a reader.
    return transform({ ...object, metadata: { ...object.metadata, managedFields: undefined } });
  }

  function notify(key: ObjectKey, object: T | undefined, previous: T | undefined): void {
    const failed = (error: unknown): void =>
      log.error({ err: error, kind: kind.kind, key }, 'an informer handler failed; the informer goes on');
    try {
      // An async handler fits the type too; its rejection must not end the process.
      const result = options.onChange?.(key, object, previous) as unknown;
      if (result instanceof Promise) result.catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}

const retryAfterMs = (error: unknown): number =>
  error instanceof KubernetesApiError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;

async function orAborted(promise: Promise<undefined>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<undefined>();
  const onAbort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
