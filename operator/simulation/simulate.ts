/** One seed: a cluster, its faults for a while, then peace, in which it must recover. */
import { keys, type Definition } from '../api/cluster-state.ts';
import { sameVoter, takeoverQuorum } from '../ha/takeover.ts';
import type { Bug } from './bugs.ts';
import type { Cluster } from './cluster.ts';
import { createEtcd, type EtcdListener } from './etcd.ts';
import { createFaults, type FaultKind } from './faults.ts';
import { createInstance, type Instance } from './instance.ts';
import { createJudge } from './invariants.ts';
import { createNetwork } from './network.ts';
import { createRandom } from './random.ts';
import { createVirtualTime } from './virtual-time.ts';

export interface Outcome {
  readonly seed: number;
  readonly violation: string | undefined;
  readonly virtualMilliseconds: number;
  readonly acknowledged: number;
  readonly epochs: number;
  readonly faults: ReadonlyMap<FaultKind, number>;
}

const chaos = 45_000;
const limits = { writable: 60_000, streaming: 120_000 };

export function simulate(
  seed: number,
  options: { readonly bug?: Bug; readonly trace?: (line: string) => void } = {},
): Outcome {
  const { bug } = options;
  const time = createVirtualTime();
  const random = createRandom(seed);
  const network = createNetwork(time, random.fork());
  const trace = options.trace
    ? (who: string, what: string): void =>
        options.trace?.(`${(time.now() / 1000).toFixed(3).padStart(8)}  ${who.padEnd(6)} ${what}`)
    : (): void => undefined;
  const instances = new Map<string, Instance>();
  const judge = createJudge(
    time.now,
    (name) => {
      const instance = instances.get(name);
      return (
        instance && {
          volume: instance.volume,
          server: instance.server,
          awake: () =>
            !instance.agentHost.paused() &&
            Math.min(...[instance.agentHost, instance.databaseHost].map((host) => time.now() - host.resumedAt())) > 500,
        }
      );
    },
    trace,
  );
  const listener: EtcdListener = judge;
  const etcd = createEtcd(time, network, random.fork(), listener);
  let connections = 0;
  let incarnations = 0;
  const cluster: Cluster = {
    time,
    random,
    network,
    etcd,
    judge,
    instances,
    bug,
    trace,
    nextConnection: () => ++connections,
    nextIncarnation: () => `i${++incarnations}`,
    onEffect: (instance) => faults.ambush(instance),
  };

  const definition = bug?.definition ?? chooseDefinition();
  function chooseDefinition(): Pick<Definition, 'instances' | 'durability'> {
    const size = random.pick([2, 3, 3, 3, 3, 4, 4]);
    const mode = size === 2 || random.chance(0.2) ? 'Preferred' : 'Strict';
    const acknowledgements = size === 4 && random.chance(0.4) ? 2 : 1;
    return { instances: ['a', 'b', 'c', 'd'].slice(0, size), durability: { mode, acknowledgements } };
  }
  const faults = createFaults(cluster, bug?.faults);
  trace(
    'world',
    `${definition.instances.length} instances, ${definition.durability.mode} ${definition.durability.acknowledgements}; faults: ${faults.kinds.join(' ')}`,
  );

  etcd.put(keys.definition, {
    generation: 1,
    engine: 'postgres',
    version: '18',
    parameters: {},
    application: { database: 'app', owner: 'app' },
    paused: false,
    ...definition,
  } satisfies Definition);
  for (const name of definition.instances) instances.set(name, createInstance(cluster, name));
  for (const instance of instances.values()) time.after(random.between(0, 1000), instance.start);

  // ---- clients: one beside each instance, writing wherever it is let in ----------------------------------------------

  let ids = 0;
  const submittedAt = new Map<number, number>();
  const pauseBetweenWrites = random.pick([15, 60, 200]);
  /** Writes that may wait for their acknowledgement on one server. */
  const clients = random.pick([3, 40]);
  const writeSometimes = (): void => {
    for (const { databaseHost, server } of instances.values()) {
      const database = server();
      if (!database?.open || databaseHost.paused() || database.waitingWrites() >= clients) continue;
      submittedAt.set(++ids, time.now());
      database.write(ids);
    }
    time.after(random.between(0.2, 1.8) * pauseBetweenWrites, writeSometimes);
  };
  writeSometimes();

  // ---- course --------------------------------------------------------------------------------------------------------

  const broken = (): boolean => judge.violation() !== undefined;
  time.run(15_000, () => broken() || judge.acknowledgements.length > 5);
  faults.begin();
  time.run(time.now() + chaos, broken);
  faults.heal();
  const healedAt = time.now();

  const writable = (): boolean => {
    const last = judge.acknowledgements.at(-1);
    return last !== undefined && (submittedAt.get(last.id) ?? 0) > healedAt;
  };
  const living = (): readonly Instance[] => [...instances.values()].filter(({ lost }) => !lost);
  const allStream = (): boolean => {
    const leader = living().find((instance) => instance.server()?.open);
    const of = (instance: Instance): boolean =>
      instance.streaming() && instance.server()?.receiver()?.primary === leader?.name;
    return leader !== undefined && living().every((instance) => instance === leader || of(instance));
  };
  let violation: string | undefined;
  let checkedAt = 0;
  /** Looked at now and then, not at each event. */
  const sometimes = (condition: () => boolean) => (): boolean => {
    if (broken()) return true;
    if (time.now() - checkedAt < 100) return false;
    checkedAt = time.now();
    return condition();
  };
  if (recoverable()) {
    time.run(healedAt + limits.writable, sometimes(writable));
    if (!broken() && !writable()) violation = 'no write is acknowledged 60 s after all faults have healed';
    else {
      time.run(healedAt + limits.streaming, sometimes(allStream));
      if (!broken() && !allStream()) violation = 'not every instance streams 120 s after all faults have healed';
    }
    if (violation !== undefined) trace('judge', `VIOLATION: ${violation}`);
  } else time.run(healedAt + 10_000, broken);

  /** Somebody may claim, and then somebody can acknowledge; without that, blocked is right (DESIGN §5, rule 14). */
  function recoverable(): boolean {
    const { sync, initialize, definition: wanted } = etcd.view();
    if (!sync || !initialize) return true;
    const here = living().filter(({ volume }) => volume.data && !volume.broken);
    const has = (voter: { instance: string; incarnation: string }): boolean =>
      here.some(({ name, volume }) => sameVoter(voter, { instance: name, incarnation: volume.incarnation }));
    const { primary, members, acknowledgements } = sync.value;
    const needed = wanted?.durability.mode === 'Strict' ? wanted.durability.acknowledgements : 0;
    if (living().length <= Math.max(needed, acknowledgements)) return false;
    if (has(primary)) return true;
    return (
      acknowledgements > 0 &&
      members.length >= acknowledgements &&
      members.filter(has).length >= takeoverQuorum(sync.value)
    );
  }

  return {
    seed,
    violation: judge.violation() ?? violation,
    virtualMilliseconds: time.now(),
    acknowledged: judge.acknowledgements.length,
    epochs: etcd.view().epoch,
    faults: faults.met,
  };
}
