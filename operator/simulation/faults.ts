/** What goes wrong, by chance: each seed allows some kinds of faults, and some strike when an instance is about to act. */
import { keys, type Definition, type SwitchoverRequest } from '../api/cluster-state.ts';
import type { Cluster } from './cluster.ts';
import { etcdNode } from './etcd.ts';
import type { Instance } from './instance.ts';

export const faultKinds = [
  'database-crash',
  'container-death',
  'pause',
  'agent-stall',
  'partition',
  'slow-network',
  'lost-answers',
  'late-transactions',
  'etcd-leader-change',
  'lost-watch',
  'switchover',
  'termination',
  'instance-lost',
  'volume-lost',
  'durability-change',
] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Faults {
  readonly kinds: readonly FaultKind[];
  /** Strikes now and then until `heal`. */
  readonly begin: () => void;
  /** An instance begins an effect. */
  readonly ambush: (instance: string) => void;
  readonly heal: () => void;
  readonly met: ReadonlyMap<FaultKind, number>;
}

/** Mean pause between two faults, in milliseconds. */
const meanPause = 1500;
const ambushChance = 0.04;
const durationOfCut = { shortest: 300, longest: 15_000 };

export function createFaults(cluster: Cluster, wanted: readonly FaultKind[] | undefined): Faults {
  const random = cluster.random.fork();
  const { time, network, etcd, instances, trace } = cluster;
  const kinds = wanted ?? faultKinds.filter(() => random.chance(0.45));
  const met = new Map<FaultKind, number>();
  let active = false;
  let healedCuts = 0;
  let dataLosses = 0;

  const all = (): readonly Instance[] => [...instances.values()];
  const primary = (): Instance | undefined => instances.get(etcd.view().leader?.value.instance ?? '');
  /** The primary is the most interesting victim. */
  const victim = (): Instance => (random.chance(0.4) ? primary() : undefined) ?? (random.pick(all()) as Instance);

  function begin(): void {
    active = true;
    const next = (): void =>
      time.after(-Math.log(1 - random.next()) * meanPause, () => {
        if (!active) return;
        const kind = random.pick(kinds);
        if (kind) strike(kind, victim());
        next();
      });
    next();
  }

  function strike(kind: FaultKind, on: Instance): void {
    met.set(kind, (met.get(kind) ?? 0) + 1);
    trace('fault', `${kind} ${on.name}`);
    switch (kind) {
      case 'database-crash':
        on.crashDatabase();
        return;
      case 'container-death':
        on.kill(random.between(50, random.pick([300, 2000, 15_000])));
        return;
      case 'pause':
        on.pause(random.between(50, random.chance(0.3) ? 20_000 : 3000));
        return;
      case 'agent-stall':
        on.stall(random.between(500, 8000));
        return;
      case 'partition':
        partition(on);
        return;
      case 'slow-network':
        network.slow = random.pick([0, 0.05, 0.3]);
        return;
      case 'lost-answers':
        etcd.faults.answersLost = random.pick([0, 0.2, 0.6]);
        return;
      case 'late-transactions':
        etcd.faults.landsLate = random.pick([0, 0.1, 0.4]);
        return;
      case 'etcd-leader-change':
        etcd.losesLeader(random.between(200, random.chance(0.2) ? 8000 : 2000));
        return;
      case 'lost-watch':
        etcd.breakWatches(random.chance(0.5));
        return;
      case 'switchover':
        switchover();
        return;
      case 'termination':
        on.end(random.between(500, 3000));
        return;
      case 'instance-lost':
        if (dataLosses++ > 0 || instances.size < 3) return;
        on.lost = true;
        on.kill(Infinity);
        return;
      case 'volume-lost':
        if (dataLosses++ > 0 || on.lost) return;
        on.kill(random.between(300, 3000));
        on.loseVolume();
        return;
      case 'durability-change':
        changeDurability();
    }
  }

  /** Cuts one way or both between an instance and one, or all, of the others and etcd. */
  function partition(on: Instance): void {
    const others = [...instances.keys(), etcdNode].filter((name) => name !== on.name);
    const from = random.chance(0.3) ? others : [random.pick(others) as string];
    const direction = random.pick(['both', 'in', 'out']);
    for (const other of from) {
      if (direction !== 'in') network.cut(on.name, other);
      if (direction !== 'out') network.cut(other, on.name);
    }
    const mine = ++healedCuts;
    time.after(random.between(durationOfCut.shortest, durationOfCut.longest), () => {
      if (mine === healedCuts) network.heal();
    });
  }

  function switchover(): void {
    const from = etcd.view().leader?.value.instance;
    if (!from) return;
    const to = random.chance(0.5) ? random.pick(all())?.name : undefined;
    const deadline = new Date(Date.UTC(2026, 0) + time.now() + random.between(1000, 30_000)).toISOString();
    const request: SwitchoverRequest = { id: `${time.now()}`, from, reason: 'test', deadline, ...(to ? { to } : {}) };
    etcd.put(keys.switchover, request);
  }

  function changeDurability(): void {
    const definition = etcd.view().definition as Definition;
    const highest = instances.size - 2;
    if (highest < 2) return;
    const { mode, acknowledgements } = definition.durability;
    const durability = { mode, acknowledgements: acknowledgements === 1 ? 2 : 1 };
    etcd.put(keys.definition, { ...definition, generation: definition.generation + 1, durability });
  }

  return {
    kinds,
    met,
    begin,
    ambush: (name) => {
      if (!active || !random.chance(ambushChance)) return;
      const sudden = kinds.filter((kind) => ['database-crash', 'container-death', 'pause', 'partition'].includes(kind));
      const kind = random.pick(sudden);
      const on = random.chance(0.5) ? instances.get(name) : victim();
      if (kind && on) time.after(random.between(0, random.chance(0.5) ? 30 : 800), () => active && strike(kind, on));
    },
    heal: () => {
      active = false;
      trace('fault', 'all is well again');
      network.heal();
      network.slow = 0;
      etcd.recover();
      for (const instance of all()) {
        instance.resume();
        if (!instance.lost) instance.start();
      }
    },
  };
}
