/** What etcd holds about all clusters, followed by one watch and kept in memory. */
import { clusterPrefix, keys, type ClusterIdentity, type Member } from '../api/cluster-state.ts';
import type { Dcs, WatchEvent } from '../dcs/dcs.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/log.ts';
import { parseRuntime, type ClusterRuntime, type LeasedValue } from './cluster-runtime.ts';
import type { Explain, Explanation } from './explanation.ts';

export const root = '/mainstay/';

export interface RuntimeViewOptions {
  readonly dcs: Dcs;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly explain: Explain;
  /** Something about a cluster has changed; `soon: false` for what can wait, such as positions. */
  readonly onChange: (cluster: { readonly namespace: string; readonly name: string }, soon: boolean) => void;
  /** The watch was lost, or stands again: everything is worth another look. */
  readonly onConnection: () => void;
}

export interface RuntimeView {
  /** Reads, then watches, whatever happens, until the signal aborts; never rejects. */
  start(signal: AbortSignal): Promise<void>;
  /** Resolves when everything has been read once; rejects with the signal's reason. */
  whenSynced(signal: AbortSignal): Promise<void>;
  hasSynced(): boolean;
  /** How long the watch has been down; 0 while it stands. */
  silentForMs(): number;
  /** Undefined as long as nothing has been read. Throws if what is stored can't be understood. */
  of(cluster: ClusterIdentity): ClusterRuntime | undefined;
  /** The same, by a linearizable read of now. */
  readNow(cluster: ClusterIdentity, signal: AbortSignal): Promise<ClusterRuntime>;
}

const readTimeoutMs = 10_000;
const backoffMs = { first: 500, longest: 10_000 };

export function createRuntimeView(options: RuntimeViewOptions): RuntimeView {
  const { dcs, clock, random, log, explain } = options;
  /** By prefix of the cluster, then by key relative to it. */
  const clusters = new Map<string, Map<string, LeasedValue>>();
  let seen = { revision: 0, clusterId: '' };
  const synced = Promise.withResolvers<undefined>();
  let hasSynced = false;
  let silentSince: number | undefined = clock.now();
  let failures = 0;
  const fellSilent = (): boolean => {
    if (silentSince !== undefined) return false;
    silentSince = clock.now();
    return true;
  };

  return {
    async start(signal) {
      const isOver = (): boolean => signal.aborted;
      while (!isOver()) {
        try {
          await follow(signal);
        } catch (error) {
          if (isOver()) return;
          if (fellSilent()) options.onConnection();
          const waitMs = Math.min(backoffMs.first * 2 ** failures, backoffMs.longest) * (0.5 + 0.5 * random());
          failures += 1;
          log.warn({ err: error, waitMs }, 'etcd watch lost; reading again');
          await clock.sleep(waitMs, signal).catch(() => undefined);
        }
      }
    },
    hasSynced: () => hasSynced,
    whenSynced: (signal) =>
      new Promise((resolve, reject) => {
        const abort = (): void => reject(signal.reason as Error);
        if (signal.aborted) abort();
        signal.addEventListener('abort', abort, { once: true });
        void synced.promise.then(() => {
          signal.removeEventListener('abort', abort);
          resolve();
        });
      }),
    silentForMs: () => (silentSince === undefined ? 0 : clock.now() - silentSince),
    of: (cluster) => (hasSynced ? understood(clusters.get(clusterPrefix(cluster)) ?? new Map(), seen) : undefined),
    async readNow(cluster, signal) {
      const prefix = clusterPrefix(cluster);
      const snapshot = await dcs.read(prefix, { milliseconds: readTimeoutMs, signal });
      const entries = new Map([...snapshot.entries].map(([key, entry]) => [key.slice(prefix.length), entry]));
      return understood(entries, snapshot);
    },
  };

  function understood(entries: ReadonlyMap<string, LeasedValue>, at: typeof seen): ClusterRuntime {
    let explanation: Explanation | undefined;
    try {
      explanation = explain(entries, at);
    } catch (error) {
      log.debug({ err: error }, 'the protocol does not understand what etcd holds about a cluster');
    }
    return parseRuntime(entries, explanation, at.clusterId);
  }

  async function follow(signal: AbortSignal): Promise<void> {
    const snapshot = await dcs.read(root, { milliseconds: readTimeoutMs, signal });
    clusters.clear();
    seen = { revision: snapshot.revision, clusterId: snapshot.clusterId };
    for (const [key, entry] of snapshot.entries) put(key, entry);
    for await (const { revision, events } of dcs.watch(root, snapshot.revision + 1, signal)) {
      // The first item says that the watch stands.
      if (silentSince !== undefined) {
        silentSince = undefined;
        failures = 0;
        hasSynced = true;
        synced.resolve(undefined);
        options.onConnection();
      }
      seen = { ...seen, revision };
      for (const event of events) handle(event);
    }
    throw new Error('the watch ended');
  }

  function handle(event: WatchEvent): void {
    const key = event.type === 'put' ? event.entry.key : event.key;
    const place = placeOf(key);
    if (!place) return;
    const before = clusters.get(place.prefix)?.get(place.key);
    if (event.type === 'put') put(key, event.entry);
    else remove(place);
    // Agents say the same again every few seconds, in case that somebody took it away: with a thousand clusters, all the time.
    if (event.type === 'put' && before?.value === event.entry.value && before.lease === event.entry.lease) return;
    const soon = event.type === 'delete' || !before || isNews(place.key, before.value, event.entry.value);
    options.onChange(place.cluster, soon);
  }

  function put(key: string, { value, modRevision, lease }: LeasedValue): void {
    const place = placeOf(key);
    if (!place) return;
    const cluster = clusters.get(place.prefix) ?? new Map<string, LeasedValue>();
    clusters.set(place.prefix, cluster.set(place.key, { value, modRevision, lease }));
  }

  function remove(place: Place): void {
    const cluster = clusters.get(place.prefix);
    cluster?.delete(place.key);
    if (cluster?.size === 0) clusters.delete(place.prefix);
  }
}

interface Place {
  readonly prefix: string;
  readonly key: string;
  readonly cluster: { readonly namespace: string; readonly name: string };
}

const keyForm = /^\/mainstay\/([^/]+)\/([^/]+)-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/(.+)$/;

/** Which cluster a key belongs to; undefined for keys of another form. */
export function placeOf(wholeKey: string): Place | undefined {
  const [, namespace, name, uid, key] = keyForm.exec(wholeKey) ?? [];
  if (namespace === undefined || name === undefined || uid === undefined || key === undefined) return undefined;
  return { prefix: clusterPrefix({ namespace, name, uid }), key, cluster: { namespace, name } };
}

/** Members report once a second; only their positions differ then, and nobody decides on those here. */
function isNews(key: string, before: string, after: string): boolean {
  if (before === after) return false;
  if (!key.startsWith(keys.member(''))) return true;
  return withoutPosition(before) !== withoutPosition(after);
}

function withoutPosition(member: string): string {
  try {
    const value = JSON.parse(member) as Partial<Member>;
    return JSON.stringify({ ...value, position: undefined, backlog: undefined });
  } catch {
    return member;
  }
}
