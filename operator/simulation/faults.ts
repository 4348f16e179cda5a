/** What goes wrong: each seed allows some kinds of faults by chance, and some strike when an instance is about to act. */
import {
  keys,
  type Fence,
  type ReinitializeRequest,
  type RestartRequest,
  type SwitchoverRequest,
  type UpgradeRequest,
} from '../api/cluster-state.ts';
import type { Cluster, Moment } from './cluster.ts';
import { etcdNode } from './etcd.ts';
import { wallClock, type Instance } from './instance.ts';
import type { Random } from './random.ts';

export const faultKinds = [
  'database-crash',
  'database-hang',
  'container-death',
  'pause',
  'agent-stall',
  'partition',
  'bad-link',
  'slow-network',
  'slow-database',
  'disk-stall',
  'disk-full',
  'clock-jump',
  'lost-answers',
  'late-transactions',
  'duplicates',
  'etcd-leader-change',
  'slow-etcd',
  'etcd-outage',
  'etcd-restored',
  'lost-watch',
  'compaction',
  'lease-revoked',
  'switchover',
  'restart',
  'upgrade',
  'reinitialize',
  'fenced',
  'termination',
  'instance-lost',
  'volume-lost',
  'foreign-volume',
  'node-gone',
  'another-volume',
  'scale',
  'durability-change',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** One fault, complete: the same strike in the same world does the same. */
export interface Strike {
  readonly kind: FaultKind;
  /** An instance's name, or whoever has that role when it strikes. */
  readonly on: string;
  /** How long it lasts, where it lasts. */
  readonly milliseconds: number;
  /** In [0, 1): which of the kind's forms. */
  readonly form: number;
}

export interface Faults {
  readonly kinds: readonly FaultKind[];
  /** Strikes now and then until `heal`. */
  readonly begin: () => void;
  readonly strike: (strike: Strike) => void;
  /** An instance begins or ends an effect. */
  readonly ambush: (moment: Moment) => void;
  readonly heal: () => void;
  readonly dataLosses: () => number;
}

/** Mean pause between two faults, in milliseconds. */
const meanPause = 1500;
const ambushChance = 0.04;
/** What a new primary has done so far is on few logs. */
const turningPointChance = 0.15;
/** These end what they hit for good, or for everybody: rarely allowed in a world. */
const rare: ReadonlySet<FaultKind> = new Set([
  'etcd-restored',
  'scale',
  'disk-full',
  'lease-revoked',
  'etcd-outage',
  'foreign-volume',
]);

/** Of data, for good. */
const losses: ReadonlySet<FaultKind> = new Set(['instance-lost', 'volume-lost', 'foreign-volume', 'etcd-restored']);

/** Each leaves a majority well. */
const endures: ReadonlySet<FaultKind> = new Set(['database-hang', 'disk-stall', 'pause', 'container-death']);
/** Until clients are served again, in milliseconds. */
const takeoverLimit = 20_000;

/** Milliseconds, drawn for each kind. */
const length: Readonly<Record<FaultKind, (random: Random) => number>> = {
  'database-crash': () => 0,
  'database-hang': (random) => random.between(300, random.chance(0.3) ? 20_000 : 4000),
  'container-death': (random) => random.between(50, random.pick([300, 2000, 15_000])),
  pause: (random) => random.between(50, random.chance(0.3) ? 20_000 : 3000),
  'agent-stall': (random) => random.between(500, 8000),
  partition: (random) => random.between(300, 15_000),
  'bad-link': (random) => random.between(2000, 30_000),
  'slow-network': (random) => random.between(1000, 20_000),
  'slow-database': (random) => random.between(5000, 30_000),
  'disk-stall': (random) => random.between(200, random.chance(0.3) ? 15_000 : 3000),
  'disk-full': (random) => random.between(1000, 15_000),
  'clock-jump': (random) => random.between(-20_000, 20_000),
  'lost-answers': (random) => random.between(1000, 20_000),
  'late-transactions': (random) => random.between(1000, 20_000),
  duplicates: (random) => random.between(1000, 20_000),
  'etcd-leader-change': (random) => random.between(200, random.chance(0.2) ? 8000 : 2000),
  'slow-etcd': (random) => random.between(2000, 30_000),
  'etcd-outage': (random) => random.between(3000, 30_000),
  'etcd-restored': (random) => random.between(1000, 15_000),
  'lost-watch': () => 0,
  compaction: () => 0,
  'lease-revoked': () => 0,
  switchover: (random) => random.between(1000, 30_000),
  restart: (random) => random.between(1000, 30_000),
  upgrade: (random) => random.between(2000, 40_000),
  reinitialize: (random) => random.between(1000, 30_000),
  fenced: (random) => random.between(1000, 15_000),
  termination: (random) => random.between(500, 3000),
  'instance-lost': () => 0,
  'volume-lost': (random) => random.between(300, 3000),
  'foreign-volume': (random) => random.between(300, 3000),
  'node-gone': (random) => random.between(3000, 30_000),
  'another-volume': () => 0,
  scale: () => 0,
  'durability-change': () => 0,
};

export function randomStrike(random: Random, kind: FaultKind, on: string): Strike {
  return { kind, on, milliseconds: Math.round(length[kind](random)), form: random.next() };
}

export function createFaults(
  cluster: Cluster,
  wanted: readonly FaultKind[] | undefined,
  mostDataLosses: number,
): Faults {
  const random = cluster.random.fork();
  const { time, network, etcd, instances, judge, coverage, trace, gone, moving } = cluster;
  const kinds = wanted ?? faultKinds.filter((kind) => random.chance(rare.has(kind) ? 0.12 : 0.4));
  let active = false;
  let dataLosses = 0;
  let strikes = 0;
  let restored = false;
  let upgraded = false;

  const all = (): readonly Instance[] => [...instances.values()];
  const present = (): readonly Instance[] => all().filter(({ lost }) => !lost);
  const primary = (): Instance | undefined => instances.get(etcd.view().leader?.value.instance ?? '');
  /** The primary is the most interesting victim. */
  const victim = (): Instance | undefined => (random.chance(0.4) ? primary() : undefined) ?? random.pick(present());

  function resolve(on: string): Instance | undefined {
    if (on === 'primary') return primary() ?? present()[0];
    if (on === 'replica') return present().find((instance) => instance !== primary());
    if (on === 'other replica') return present().filter((instance) => instance !== primary())[1];
    return instances.get(on);
  }

  function begin(): void {
    active = true;
    const next = (): void =>
      time.after(-Math.log(1 - random.next()) * meanPause, () => {
        if (!active) return;
        const kind = random.pick(kinds);
        const on = victim();
        if (kind && on) strike(randomStrike(random, kind, on.name));
        next();
      });
    next();
  }

  function strike(what: Strike): void {
    const on = resolve(what.on);
    if (!on || !perform(what, on)) return;
    coverage.met('fault', what.kind);
    strikes++;
    // A single fault that lasts is survived: others serve before it is over.
    if (strikes === 1 && endures.has(what.kind) && what.milliseconds > takeoverLimit)
      time.after(what.milliseconds - 1, () => strikes === 1 && judge.expectService(what.milliseconds - takeoverLimit));
  }

  function told({ kind, milliseconds }: Strike, on: Instance): void {
    trace('fault', `${kind} ${on.name}${milliseconds ? ` ${milliseconds} ms` : ''}`);
  }

  /** False if it could not be. */
  function perform(what: Strike, on: Instance): boolean {
    const { kind, milliseconds, form } = what;
    told(what, on);
    const choose = <T>(...forms: readonly [T, ...T[]]): T => forms[Math.floor(form * forms.length)] as T;
    switch (kind) {
      case 'database-crash':
        on.crashDatabase();
        return true;
      case 'database-hang':
        on.hang(milliseconds);
        return true;
      case 'container-death':
        on.kill(milliseconds);
        return true;
      case 'pause':
        on.pause(milliseconds);
        return true;
      case 'agent-stall':
        on.stall(milliseconds);
        return true;
      case 'partition':
        partition(on, milliseconds, form);
        return true;
      case 'bad-link': {
        const other = primary();
        const replica = on === other ? present().find((instance) => instance !== other) : on;
        if (!other || !replica) return false;
        cut([replica.name], [other.name], milliseconds, 'both');
        return true;
      }
      case 'slow-network':
        network.slow = choose(0.05, 0.3);
        time.after(milliseconds, () => (network.slow = 0));
        return true;
      case 'slow-database':
        on.setSlow(true);
        time.after(milliseconds, () => on.setSlow(false));
        return true;
      case 'disk-stall':
        on.disk.stall(milliseconds);
        return true;
      case 'disk-full':
        on.disk.fill(milliseconds);
        return true;
      case 'clock-jump':
        on.jump(milliseconds);
        return true;
      case 'lost-answers':
        etcd.faults.answersLost = choose(0.2, 0.6);
        time.after(milliseconds, () => (etcd.faults.answersLost = 0));
        return true;
      case 'late-transactions':
        etcd.faults.landsLate = choose(0.1, 0.4);
        time.after(milliseconds, () => (etcd.faults.landsLate = 0));
        return true;
      case 'duplicates':
        etcd.faults.duplicated = choose(0.1, 0.5);
        time.after(milliseconds, () => (etcd.faults.duplicated = 0));
        return true;
      case 'etcd-leader-change':
        etcd.losesLeader(milliseconds);
        return true;
      case 'slow-etcd':
        etcd.faults.slow = choose(0.5, 1);
        time.after(milliseconds, () => (etcd.faults.slow = 0));
        return true;
      case 'etcd-outage':
        outage(milliseconds);
        return true;
      case 'etcd-restored':
        return restoreLater(milliseconds, choose('another', 'same', 'empty'));
      case 'lost-watch':
        etcd.breakWatches(choose(true, false));
        return true;
      case 'compaction':
        etcd.compact();
        return true;
      case 'lease-revoked': {
        const { leader } = etcd.view();
        if (leader) etcd.endLease(leader.lease);
        return leader !== undefined;
      }
      case 'switchover':
        return switchover(milliseconds, form);
      case 'restart':
        etcd.put(keys.restart(on.name), {
          id: `${time.now()}`,
          reason: 'test',
          deadline: wallClock(time.now() + milliseconds),
        } satisfies RestartRequest);
        return true;
      case 'upgrade':
        return upgrade(milliseconds, form);
      case 'reinitialize':
        etcd.put(keys.reinitialize(on.name), {
          id: `${time.now()}`,
          incarnation: on.volume.incarnation,
          reason: 'test',
          deadline: wallClock(time.now() + milliseconds),
        } satisfies ReinitializeRequest);
        return true;
      case 'fenced':
        // The operator ends it then.
        etcd.put(keys.fence(on.name), {
          id: `${time.now() + milliseconds}`,
          incarnation: on.volume.incarnation,
          reason: 'test',
        } satisfies Fence);
        return true;
      case 'termination':
        on.end(milliseconds);
        return true;
      case 'instance-lost':
        if (dataLosses >= mostDataLosses || present().length < 3) return false;
        dataLosses++;
        on.lost = true;
        on.kill(Infinity);
        return true;
      case 'volume-lost':
        if (dataLosses >= mostDataLosses || on.lost) return false;
        dataLosses++;
        on.kill(milliseconds);
        on.loseVolume();
        return true;
      case 'foreign-volume':
        if (dataLosses >= mostDataLosses || on.lost) return false;
        dataLosses++;
        on.kill(milliseconds);
        on.loseVolume('another cluster');
        return true;
      case 'node-gone':
        // What is allowed then is told by mayBeginAnew alone, however many it hits: nobody else may lose data beside.
        if (on.lost || gone.has(on.name) || kinds.some((other) => losses.has(other))) return false;
        gone.add(on.name);
        on.kill(Infinity);
        time.after(milliseconds, () => {
          if (gone.delete(on.name)) on.start();
        });
        return true;
      case 'another-volume':
        return moveVolume(on);
      case 'scale':
        return scale(on, form);
      case 'durability-change':
        return changeDurability(form);
    }
  }

  function cut(
    ones: readonly string[],
    others: readonly string[],
    milliseconds: number,
    direction: 'both' | 'in' | 'out',
  ): void {
    const mend: (() => void)[] = [];
    for (const one of ones)
      for (const other of others) {
        if (direction !== 'in') mend.push(network.cut(one, other));
        if (direction !== 'out') mend.push(network.cut(other, one));
      }
    time.after(milliseconds, () => mend.forEach((each) => each()));
  }

  /** Cuts one way or both between an instance and one, or all, of the others and etcd. */
  function partition(on: Instance, milliseconds: number, form: number): void {
    const others = [etcdNode, ...instances.keys()].filter((name) => name !== on.name);
    const direction = (['both', 'in', 'out'] as const)[Math.floor(form * 3)] as 'both' | 'in' | 'out';
    const rest = (form * 3) % 1;
    const from = rest < 0.3 ? others : [others[Math.floor(((rest - 0.3) / 0.7) * others.length)] as string];
    cut([on.name], from, milliseconds, direction);
  }

  /** A primary goes on serving without etcd, if that is all that is wrong (rule 9). */
  function outage(milliseconds: number): void {
    const { leader, sync } = etcd.view();
    const serves = leader !== undefined && instances.get(leader.value.instance)?.server()?.open === true;
    const whole = (sync?.value.acknowledgements ?? 0) > 0 && sync?.value.members.length === instances.size - 1;
    etcd.outage(milliseconds);
    if (serves && whole && kinds.every((kind) => kind === 'etcd-outage')) {
      time.after(milliseconds - 1, () => judge.expectService(2500));
      const name = leader.value.instance;
      const [server, { epoch }, before] = [instances.get(name)?.server(), etcd.view(), strikes];
      time.after(milliseconds + 6000, () => {
        const now = etcd.view();
        const stayed = now.sync?.value.primary.instance === name && instances.get(name)?.server() === server;
        if (strikes <= before + 1 && (!stayed || now.epoch > epoch + 1))
          judge.disapproves(`${name} has not kept its place through an outage of etcd`);
      });
    }
  }

  function restoreLater(milliseconds: number, how: 'another' | 'same' | 'empty'): boolean {
    if (restored || upgraded) return false;
    restored = true;
    const restore = etcd.snapshot();
    time.after(milliseconds, () => {
      if (!active) return;
      trace('fault', `etcd is restored (${how}) from ${milliseconds} ms ago`);
      const { definition } = etcd.view();
      restore(how);
      // The operator publishes what is wanted now.
      time.after(random.between(10, 2000), () =>
        etcd.put(keys.definition, { ...definition, ...(how === 'empty' ? { founded: true } : {}) }),
      );
    });
    return true;
  }

  function switchover(milliseconds: number, form: number): boolean {
    const from = etcd.view().leader?.value.instance;
    if (!from) return false;
    const candidates = present();
    const to = form < 0.5 ? candidates[Math.floor(form * 2 * candidates.length)]?.name : undefined;
    const request: SwitchoverRequest = {
      id: `${time.now()}`,
      from,
      reason: 'test',
      deadline: wallClock(time.now() + milliseconds),
      ...(to ? { to } : {}),
    };
    etcd.put(keys.switchover, request);
    return true;
  }

  /** Sometimes it is called off again. */
  function upgrade(milliseconds: number, form: number): boolean {
    const { leader, initialize, upgrade: standing } = etcd.view();
    // An etcd from before an upgrade knows nothing of the data of after.
    if (!leader || !initialize || standing || restored) return false;
    upgraded = true;
    const request: UpgradeRequest = {
      id: `${time.now()}`,
      from: leader.value.instance,
      to: `${Number(initialize.version ?? 17) + 1}`,
      transfer: 'Copy',
      deadline: wallClock(time.now() + milliseconds),
    };
    etcd.put(keys.upgrade, request);
    if (form < 0.2) time.after(milliseconds / 10, () => etcd.delete(keys.upgrade));
    return true;
  }

  /** The definition gains an instance, or loses one; what that asks for is the operator's part. */
  function scale(on: Instance, form: number): boolean {
    const { definition } = etcd.view();
    if (!definition) return false;
    const { instances: wanted, durability } = definition;
    const publish = (names: readonly string[]): true => {
      etcd.put(keys.definition, { ...definition, generation: definition.generation + 1, instances: names });
      trace('fault', `instances are now ${names.join(', ')}`);
      return true;
    };
    if (form < 0.5) {
      const name = ['a', 'b', 'c', 'd', 'e'].find((each) => !wanted.includes(each) && !instances.get(each)?.lost);
      const known = name === undefined ? undefined : instances.get(name);
      if (name === undefined || wanted.length >= 5) return false;
      if (!known) cluster.add(name).start();
      return publish([...wanted, name]);
    }
    const least = Math.max(2, durability.acknowledgements + 1);
    if (wanted.length <= least || present().length <= least || !wanted.includes(on.name)) return false;
    return publish(wanted.filter((name) => name !== on.name));
  }

  /** It is to leave and come back with another volume; the rest is the operator's part. */
  function moveVolume(on: Instance): boolean {
    const { definition, leader } = etcd.view();
    if (!definition?.instances.includes(on.name) || leader?.value.instance === on.name) return false;
    const { instances: wanted, durability } = definition;
    if (moving.size > 0 || wanted.length <= Math.max(2, durability.acknowledgements + 1) || present().length < 3)
      return false;
    moving.set(on.name, on.volume.incarnation);
    const others = wanted.filter((name) => name !== on.name);
    etcd.put(keys.definition, { ...definition, generation: definition.generation + 1, instances: others });
    return true;
  }

  function changeDurability(form: number): boolean {
    const { definition } = etcd.view();
    if (!definition) return false;
    const { mode, acknowledgements } = definition.durability;
    const highest = definition.instances.length - 2;
    const durability =
      form < 0.7
        ? { mode, acknowledgements: acknowledgements === 1 ? 2 : 1 }
        : { mode: mode === 'Strict' ? ('Preferred' as const) : ('Strict' as const), acknowledgements };
    if (mode === 'Async' || durability.acknowledgements > Math.max(1, highest)) return false;
    etcd.put(keys.definition, { ...definition, generation: definition.generation + 1, durability });
    return true;
  }

  return {
    kinds,
    begin,
    strike,
    ambush: ({ instance: name, effect, when }) => {
      const turningPoint = when === 'after' && (effect.type === 'open' || effect.type === 'promote');
      if (!active || !random.chance(turningPoint ? turningPointChance : when === 'before' ? ambushChance : 0)) return;
      const sudden = kinds.filter((kind) => ['database-crash', 'container-death', 'pause', 'partition'].includes(kind));
      const kind = random.pick(sudden);
      const on = random.chance(0.5) ? instances.get(name) : victim();
      if (!kind || !on) return;
      const what = randomStrike(random, kind, on.name);
      time.after(random.between(0, random.chance(0.5) ? 30 : 800), () => active && strike(what));
    },
    dataLosses: () => dataLosses,
    heal: () => {
      active = false;
      trace('fault', 'all is well again');
      judge.healed();
      network.heal();
      network.slow = 0;
      etcd.recover();
      gone.clear();
      for (const instance of all()) {
        instance.disk.heal();
        instance.setSlow(false);
        instance.resume();
        if (!instance.lost) instance.start();
      }
    },
  };
}
