/** One world: a cluster, its faults for a while, then peace, in which it must recover. */
import { keys, type AdoptRequest, type Definition, type FailoverRequest, type Tags } from '../api/cluster-state.ts';
import { sameVoter, takeoverQuorum } from '../ha/takeover.ts';
import type { Bug } from './bugs.ts';
import type { Cluster, Moment, Verdict } from './cluster.ts';
import { createCoverage, type Counts, type Machine } from './coverage.ts';
import { createEtcd, etcdNode } from './etcd.ts';
import { createFaults, type FaultKind, type Strike } from './faults.ts';
import { createInstance, wallClock, type Instance } from './instance.ts';
import { createJudge } from './invariants.ts';
import { createNetwork } from './network.ts';
import { runOperator } from './operator.ts';
import { createRandom } from './random.ts';
import { createVirtualTime } from './virtual-time.ts';

export interface Outcome {
  readonly seed: number;
  readonly violation: string | undefined;
  readonly virtualMilliseconds: number;
  readonly acknowledged: number;
  readonly epochs: number;
  readonly coverage: Counts;
  readonly machine: Machine;
}

export type Shape = Pick<Definition, 'instances' | 'durability' | 'tags'>;

/** Milliseconds after the cluster has begun to serve. */
export type Scheduled = Strike & { readonly at: number };

export interface Options {
  readonly bug?: Bug | undefined;
  readonly trace?: ((line: string) => void) | undefined;
  /** By chance if absent, as the faults are. */
  readonly shape?: Shape | undefined;
  readonly faults?: readonly FaultKind[] | undefined;
  /** In place of chance. */
  readonly schedule?: readonly Scheduled[] | undefined;
  /** How long things may go wrong, in milliseconds. */
  readonly chaos?: number;
  /** Asked at each effect from the moment on when faults may strike. */
  readonly at?: (moment: Moment) => Verdict;
}

/** A primary outlasts them. */
const nuisances: ReadonlySet<FaultKind> = new Set([
  'slow-etcd',
  'lost-watch',
  'compaction',
  'duplicates',
  'clock-jump',
  'slow-database',
]);

const limits = { writable: 60_000, catchingUp: 140_000, streaming: 120_000 };

/** A violation, and of the kind that the bug makes. */
export const isCaught = (bug: Bug, { violation }: Outcome): boolean =>
  violation !== undefined && (bug.shows?.test(violation) ?? true);

/** Each upgrade adds a plus. */
const withoutUpgrades = (systemIdentifier: string): string => systemIdentifier.replace(/\++$/, '');

export function simulate(seed: number, options: Options = {}): Outcome {
  const { bug } = options;
  const time = createVirtualTime();
  const random = createRandom(seed);
  const network = createNetwork(time, random.fork());
  const trace = options.trace
    ? (who: string, what: string): void =>
        options.trace?.(`${(time.now() / 1000).toFixed(3).padStart(8)}  ${who.padEnd(8)} ${what}`)
    : (): void => undefined;
  const instances = new Map<string, Instance>();
  const runsSince = (...hosts: readonly Instance['agentHost'][]): number =>
    Math.max(...hosts.map((host) => (host.paused() ? Infinity : host.resumedAt())));
  const judge = createJudge({
    now: time.now,
    after: time.after,
    judged: (name) => {
      const instance = instances.get(name);
      return instance && { ...instance, awakeSince: () => runsSince(instance.databaseHost) };
    },
    instances: () => [...instances.values()].filter(({ lost, volume }) => !lost && volume.data).map(({ name }) => name),
    trace,
    reachesEtcdSince: (name) => {
      const instance = instances.get(name);
      return instance
        ? Math.max(network.wellSince(name, etcdNode), etcd.wellSince(), runsSince(instance.agentHost))
        : Infinity;
    },
    knowsOfRestore: (name) => {
      const state = instances.get(name)?.state();
      const { initialize, etcdClusterId } = state?.view ?? {};
      return state?.seen.rewound === true || (initialize !== undefined && initialize.etcdClusterId !== etcdClusterId);
    },
    isHandingOver: (name) => {
      const state = instances.get(name)?.state();
      return state?.ending === true || state?.inFlight.database === 'stop';
    },
    onlyNuisances: () => faults.kinds.every((kind) => nuisances.has(kind)),
    onlySwitchovers: () => faults.kinds.every((kind) => kind === 'switchover'),
  });
  const etcd = createEtcd(time, network, random.fork(), judge);
  const coverage = createCoverage();
  let connections = 0;
  let incarnations = 0;
  let begun = false;
  const cluster: Cluster = {
    time,
    random,
    network,
    etcd,
    judge,
    coverage,
    instances,
    bug,
    trace,
    moving: new Map(),
    gone: new Set(),
    nextConnection: () => ++connections,
    nextIncarnation: () => `i${++incarnations}`,
    at: (moment) => {
      if (!begun) return 'go';
      const opens = moment.when === 'after' && moment.effect.type === 'open';
      if (opens && bug?.diesOpening === etcd.view().epoch) instances.get(moment.instance)?.kill(20_000);
      if (options.at) return options.at(moment);
      faults.ambush(moment);
      return 'go';
    },
    add: (name) => {
      const instance = createInstance(cluster, name);
      instances.set(name, instance);
      return instance;
    },
  };

  const shape = options.shape ?? bug?.shape ?? chooseShape();
  function chooseShape(): Shape {
    const size = random.pick([2, 3, 3, 3, 3, 4, 4]);
    const mode = random.chance(0.15) ? 'Async' : size === 2 || random.chance(0.2) ? 'Preferred' : 'Strict';
    const acknowledgements = size === 4 && random.chance(0.4) ? 2 : 1;
    const names = ['a', 'b', 'c', 'd'].slice(0, size);
    // At most one that may not lead, and one that doesn't count.
    const spare = size > acknowledgements + 1;
    const [noFailover, noSync] = [random.pick(names), random.pick(names)];
    const tagged = spare && random.chance(0.2);
    const tags = (name: string): Tags => ({
      priority: random.pick([0, 0, 1, 2]),
      noFailover: name === noFailover && size > 2,
      noSync: name === noSync && size > acknowledgements + 2,
    });
    return {
      instances: names,
      durability: { mode, acknowledgements },
      ...(tagged ? { tags: Object.fromEntries(names.map((name) => [name, tags(name)])) } : {}),
    };
  }
  const schedule = options.schedule ?? bug?.schedule;
  const faults = createFaults(
    cluster,
    schedule?.map(({ kind }) => kind) ?? options.faults ?? bug?.faults,
    schedule ? 2 : random.pick([1, 1, 1, 2]),
  );
  trace(
    'world',
    `${shape.instances.length} instances, ${shape.durability.mode} ${shape.durability.acknowledgements}; faults: ${faults.kinds.join(' ')}`,
  );

  etcd.put(keys.definition, {
    generation: 1,
    engine: 'postgres',
    version: '18',
    parameters: {},
    application: { database: 'app', owner: 'app' },
    paused: false,
    ...shape,
  } satisfies Definition);
  for (const name of shape.instances) cluster.add(name);
  for (const instance of instances.values()) time.after(random.between(0, 1000), instance.start);
  runOperator(cluster);

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

  const broken = (): boolean => judge.violation() !== undefined || judge.gaveUp();
  // Schedules begin with a cluster that is whole; chance may strike while it is being built.
  const whole = (): boolean =>
    [...instances.values()].filter((instance) => instance.streaming()).length >= instances.size - 1 &&
    (etcd.view().sync?.value.members.length ?? 0) >= (shape.durability.mode === 'Async' ? 0 : instances.size - 1);
  const ready = (): boolean => judge.acknowledgements.length > 5 && ((!schedule && !options.at) || whole());
  time.run(schedule || options.at ? 60_000 : 15_000, () => broken() || ready());
  begun = true;
  let systemIdentifier = etcd.view().initialize?.systemIdentifier;
  if (schedule) for (const strike of schedule) time.after(strike.at, () => faults.strike(strike));
  else if (!options.at) faults.begin();
  time.run(time.now() + (options.chaos ?? 45_000), broken);
  faults.heal();
  let healedAt = time.now();

  const writable = (): boolean => {
    const last = judge.acknowledgements.at(-1);
    return last !== undefined && (submittedAt.get(last.id) ?? 0) > healedAt;
  };
  systemIdentifier ??= etcd.view().initialize?.systemIdentifier;
  const holdsForeignData = ({ volume }: Instance): boolean =>
    volume.data !== undefined &&
    systemIdentifier !== undefined &&
    withoutUpgrades(volume.data.systemIdentifier) !== withoutUpgrades(systemIdentifier);
  const isForeign = (instance: Instance): boolean =>
    holdsForeignData(instance) &&
    (instance.volume.vow > 0 || instance.volume.initialized !== instance.volume.data?.systemIdentifier);
  const living = (): readonly Instance[] =>
    [...instances.values()].filter((instance) => !instance.lost && !isForeign(instance));
  const allStream = (): boolean => {
    const leader = living().find((instance) => instance.server()?.open);
    const of = (instance: Instance): boolean =>
      instance.streaming() && instance.server()?.receiver()?.primary === leader?.name;
    return leader !== undefined && living().every((instance) => instance === leader || of(instance));
  };
  let violation = undefined as string | undefined;
  let checkedAt = 0;
  /** Looked at now and then, not at each event. */
  const sometimes = (condition: () => boolean) => (): boolean => {
    if (broken()) return true;
    if (time.now() - checkedAt < 100) return false;
    checkedAt = time.now();
    return condition();
  };
  const canOffer = ({ volume }: Instance): boolean =>
    volume.data !== undefined &&
    volume.data.consistentAt === undefined &&
    !volume.broken &&
    // Lost with the only one that had been upgraded, nothing brings them back.
    etcd.view().initialize?.outgrown?.includes(volume.data.systemIdentifier) !== true;
  const without = (): readonly string[] =>
    [...instances.values()]
      .filter((instance) => instance.lost || isForeign(instance) || !canOffer(instance))
      .map(({ name }) => name);
  if (judge.untrusted()) {
    // Frozen until somebody asks for its adoption.
    time.run(time.now() + 8000, broken);
    const { etcdClusterId } = etcd.view();
    etcd.put(keys.adopt, { id: 'adopt', etcdClusterId, without: without(), reason: 'test' } satisfies AdoptRequest);
  } else if (!recoverable()) askForFailover();
  if (recoverable()) {
    // A rewound one waits for its primary until it gives up.
    const limit = living().some(({ volume }) => volume.data?.consistentAt !== undefined) ? limits.catchingUp : 0;
    time.run(healedAt + limits.writable + limit, sometimes(writable));
    if (!broken() && !writable())
      violation = `no write is acknowledged ${(limits.writable + limit) / 1000} s after all faults have healed`;
    else {
      time.run(time.now() + limits.streaming, sometimes(allStream));
      if (!broken() && !allStream()) violation = 'not every instance streams 120 s after clients could write again';
    }
    if (violation !== undefined) trace('judge', `VIOLATION: ${violation}`);
  } else time.run(healedAt + 10_000, broken);

  /** First without accepting a loss, which must be refused, then with it. */
  function askForFailover(): void {
    // Whether that is so may take a moment to be known.
    time.run(time.now() + 15_000, broken);
    if (recoverable() || broken()) return;
    const to = living().find(({ name, volume }) => volume.data && !volume.broken && isWanted(name))?.name;
    if (to === undefined || etcd.view().leader) return;
    const ask = (id: string, acceptDataLoss: boolean): void =>
      etcd.put(keys.failover, {
        id,
        to,
        acceptDataLoss,
        fenced: acceptDataLoss, // what is missing is gone
        reason: 'test',
        deadline: wallClock(time.now() + 60_000),
      } satisfies FailoverRequest);
    ask('careful', false);
    time.run(time.now() + 10_000, () => broken() || etcd.view().failover === undefined);
    if (broken() || etcd.view().failover || etcd.view().leader) return;
    trace('operator', `forces a failover to ${to}`);
    ask('forced', true);
    time.run(time.now() + 20_000, () => broken() || etcd.view().leader !== undefined);
    if (!broken() && !etcd.view().leader && instances.get(to)?.state().database.status === 'replica')
      violation = `${to} does not lead 20 s after a forced failover`;
    healedAt = time.now();
  }

  function isWanted(name: string): boolean {
    return etcd.view().definition?.instances.includes(name) === true;
  }

  /** Somebody may claim, and then somebody can acknowledge; without that, blocked is right (DESIGN §5, rule 14). */
  function recoverable(): boolean {
    const { sync, definition: wanted } = etcd.view();
    const isRestored = judge.untrusted();
    const tags = wanted?.tags ?? {};
    // One that may not lead can be all that holds the last writes.
    if (Object.values(tags).some((tag) => tag.noFailover) && faults.dataLosses() > 0) return false;
    const here = living().filter((instance) => canOffer(instance) && !holdsForeignData(instance));
    const has = (voter: { instance: string; incarnation: string }): boolean =>
      here.some(({ name, volume }) => sameVoter(voter, { instance: name, incarnation: volume.incarnation }));
    const needed = wanted?.durability.mode === 'Strict' ? wanted.durability.acknowledgements : 0;
    const staying = living().filter(({ name }) => isWanted(name) && !tags[name]?.noSync);
    if (staying.length <= needed) return false;
    // Whoever has the longest log may claim after an adoption.
    if (isRestored) return etcd.view().adopt !== undefined && here.length > 0;
    if (!sync) return true;
    const { primary, members, acknowledgements } = sync.value;
    if (staying.length <= acknowledgements) return false;
    if (has(primary) && !tags[primary.instance]?.noFailover) return true;
    if (acknowledgements === 0) return wanted?.durability.mode === 'Async' && here.length > 0;
    return members.length >= acknowledgements && members.filter(has).length >= takeoverQuorum(sync.value);
  }

  return {
    seed,
    violation: judge.violation() ?? violation,
    virtualMilliseconds: time.now(),
    acknowledged: judge.acknowledgements.length,
    epochs: etcd.view().epoch,
    coverage: coverage.counts,
    machine: coverage.machine,
  };
}
