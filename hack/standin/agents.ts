/** What the agents of one cluster would have written to etcd by now: pure, and healthy agents only. */
import { declarationDigest, keys, type Leader, type SyncState } from '../../operator/api/cluster-state.ts';
import { credentialsDigest } from '../../operator/api/declared-password.ts';
import { PostgresDeclaration } from '../../operator/api/postgres-declaration.ts';
import type { Compare, Write } from '../../operator/dcs/dcs.ts';

export interface Stored {
  readonly value: string;
  readonly modRevision: number;
}

/** A Pod whose agent runs. */
export interface AgentPod {
  readonly instance: string;
  readonly node: string;
  readonly address: string;
  /** Fingerprint of the certificates that it mounts. */
  readonly certificates: string | undefined;
}

export interface AgentsWorld {
  /** By key, relative to the cluster's prefix. */
  readonly entries: ReadonlyMap<string, Stored>;
  readonly pods: readonly AgentPod[];
  /** ISO 8601. */
  readonly now: string;
  readonly etcdClusterId: string;
  /** That all leased keys hang on. */
  readonly lease: string;
}

export interface Turn {
  readonly compare: readonly Compare[];
  readonly writes: readonly Write[];
}

interface Defined {
  readonly generation: number;
  readonly version: string;
  readonly instances: readonly string[];
  readonly durability: { readonly acknowledgements: number };
  readonly tags?: Readonly<Record<string, { readonly noFailover?: boolean; readonly noSync?: boolean }>>;
}
interface Request {
  readonly id: string;
  readonly from: string;
  readonly to?: string;
  readonly deadline?: string;
}

/** The next transaction, keys relative to the prefix; undefined if nothing is to be told. */
export function agentsTurn(world: AgentsWorld): Turn | undefined {
  const { entries, pods, now, etcdClusterId, lease } = world;
  const definition = parsed<Defined>(entries, keys.definition);
  if (!definition) return undefined;
  const puts = new Map<string, { readonly value: string; readonly leased: boolean }>();
  const deletes = new Set<string>();
  const put = (key: string, value: object | number, leased = false): void => {
    const text = typeof value === 'number' ? String(value) : JSON.stringify(value);
    if (entries.get(key)?.value !== text) puts.set(key, { value: text, leased });
  };
  const answer = (id: string, instance: string, refusal?: string): void =>
    put(keys.answer, {
      id,
      instance,
      outcome: refusal === undefined ? 'done' : 'refused',
      reason: refusal ?? 'done',
      at: now,
    });

  const fenced = new Set(under(entries, keys.fence('')));
  const serving = pods.map(({ instance }) => instance).filter((instance) => !fenced.has(instance));
  const fit = serving.filter(
    (instance) => definition.instances.includes(instance) && definition.tags?.[instance]?.noFailover !== true,
  );
  const before = parsed<Leader>(entries, keys.leader);
  const sync = parsed<SyncState>(entries, keys.sync);
  const request = parsed<Request>(entries, keys.switchover);
  const stays = before !== undefined && serving.includes(before.instance);
  const successor = request?.to ?? fit.find((instance) => instance !== request?.from);
  const handsOver = request !== undefined && stays && before.instance === request.from && fit.includes(successor ?? '');
  const synced = (sync?.members ?? []).map(({ instance }) => instance).filter((instance) => fit.includes(instance));
  const leader = handsOver ? successor : stays ? before.instance : (synced.sort()[0] ?? fit.toSorted()[0]);
  const lastEpoch = Number(entries.get(keys.epoch)?.value ?? '0');
  const changes = leader !== undefined && leader !== before?.instance;
  const epoch = changes ? lastEpoch + 1 : lastEpoch;

  if (request) {
    deletes.add(keys.switchover);
    answer(
      request.id,
      request.from,
      handsOver ? undefined : `${request.from} can’t hand over to ${successor ?? 'anybody'}`,
    );
  }
  for (const prefix of ['requests/restart/', 'requests/reinitialize/'])
    for (const instance of under(entries, prefix)) {
      const { id } = parsed<Request>(entries, prefix + instance) ?? { id: '' };
      deletes.add(prefix + instance);
      answer(id, instance);
    }
  if (leader === undefined) {
    if (before) deletes.add(keys.leader);
  } else {
    if (!entries.has(keys.initialize))
      put(keys.initialize, { systemIdentifier: '7000000000000000001', etcdClusterId, at: now });
    if (changes) {
      put(keys.epoch, epoch);
      put(keys.leader, { instance: leader, incarnation: leader, epoch, lease } satisfies Leader, true);
      const reason = lastEpoch === 0 ? 'Bootstrap' : handsOver ? 'Switchover' : 'LeaseExpired';
      put(keys.history(epoch), { epoch, winner: leader, reason, timeline: epoch, at: now });
    }
    const members = serving
      .filter(
        (instance) =>
          instance !== leader &&
          definition.instances.includes(instance) &&
          definition.tags?.[instance]?.noSync !== true,
      )
      .sort();
    const acknowledgements = Math.min(definition.durability.acknowledgements, members.length);
    put(keys.sync, { epoch, primary: voter(leader), members: members.map(voter), acknowledgements });
    const declaration = entries.get(keys.declaration);
    const digest = declaration && declarationDigest(declaration.value);
    if (digest !== undefined && parsed<{ declaration: string }>(entries, keys.declared)?.declaration !== digest)
      put(keys.declared, { declaration: digest, instance: leader, findings: [], at: now });
  }

  const system = credentialsIn(entries);
  for (const { instance, node, address, certificates } of pods) {
    const leads = instance === leader;
    put(
      keys.member(instance),
      {
        instance,
        incarnation: instance,
        state: fenced.has(instance) ? 'stopped' : leads ? 'running' : leader === undefined ? 'waiting' : 'streaming',
        role: leads ? 'primary' : 'replica',
        address,
        databasePort: 5432,
        agentPort: 8008,
        node,
        version: `${definition.version}.1`,
        generation: definition.generation,
        position: { epoch, lsn: '0/5000060' },
        ...(certificates !== undefined && { certificates }),
        ...(system !== undefined && { credentials: system }),
      },
      true,
    );
  }
  for (const instance of under(entries, keys.member('')))
    if (!pods.some((pod) => pod.instance === instance)) deletes.add(keys.member(instance));

  if (puts.size === 0 && deletes.size === 0) return undefined;
  // Whatever it was decided from must still be so.
  const read = [keys.definition, keys.leader, keys.epoch, ...deletes, ...puts.keys()];
  return {
    compare: [...new Set(read)].map((key): Compare => {
      const entry = entries.get(key);
      return entry ? { key, is: 'modRevision', modRevision: entry.modRevision } : { key, is: 'absent' };
    }),
    writes: [
      ...[...puts].map(([key, { value, leased }]): Write => ({ put: key, value, ...(leased && { lease }) })),
      ...[...deletes].map((key): Write => ({ delete: key })),
    ],
  };
}

const voter = (instance: string) => ({ instance, incarnation: instance });

const under = (entries: AgentsWorld['entries'], prefix: string): readonly string[] =>
  [...entries.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));

// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- what a key holds is known by its name
function parsed<T>(entries: AgentsWorld['entries'], key: string): T | undefined {
  const entry = entries.get(key);
  return entry && (JSON.parse(entry.value) as T);
}

function credentialsIn(entries: AgentsWorld['entries']): string | undefined {
  const entry = entries.get(keys.declaration);
  const { data } = PostgresDeclaration.safeParse(entry && JSON.parse(entry.value));
  return data?.system && credentialsDigest(data.system);
}
