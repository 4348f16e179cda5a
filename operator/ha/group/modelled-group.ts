/**
 * A world for the decisions of members: an etcd whose transactions may come late or never, servers and agents that die, members
 * that lose sight of each other, and a group as MySQL keeps one. It judges that there is never more than one.
 */
import { parseView, type ClusterView } from '../view.ts';
import { keys, clusterPrefix } from '../../api/cluster-state.ts';
import type { Txn } from '../state.ts';
import { decideMember } from './decide.ts';
import type { Sight } from './sight.ts';
import type { MemberAction, MemberFacts } from './state.ts';

export const clusterUid = clusterPrefix({ namespace: 'test', name: 'g', uid: '0' });
const system = '6d61696e-7374-6179-8aaa-000000000001';
const etcdId = 'etcd';

interface Stored {
  readonly value: string;
  readonly modRevision: number;
  readonly lease: string;
}

interface Modelled {
  readonly instance: string;
  readonly incarnation: string;
  /** Of the agent's process. */
  life: number;
  agentUp: boolean;
  lease: string | undefined;
  view: ClusterView | undefined;
  spent: number;
  permit: number | undefined;
  vow: number;
  failedJoins: number;
  /** Undefined: no data. */
  log: Set<number> | undefined;
  serverUp: boolean;
  /** Group that its server was told to join last. */
  number: number;
  state: 'OFFLINE' | 'ONLINE' | 'ERROR';
  open: boolean;
  told: boolean;
}

/** One group of a number, as its members agree. */
interface Live {
  readonly number: number;
  members: string[];
  view: number;
  /** What its members have agreed on: in the memory of each that runs, and not on every disk yet. */
  readonly log: Set<number>;
}

export type Step =
  | { readonly do: 'tick'; readonly who: number; readonly etcd: 'answers' | 'lost' | 'late' | 'silent' | 'unseen' }
  | { readonly do: 'late' }
  | { readonly do: 'kill-server'; readonly who: number }
  | { readonly do: 'kill-agent'; readonly who: number }
  | { readonly do: 'start-agent'; readonly who: number }
  | { readonly do: 'expire'; readonly who: number }
  | { readonly do: 'write' }
  | { readonly do: 'cut'; readonly who: number }
  | { readonly do: 'heal' }
  | { readonly do: 'notice' };

export interface World {
  step(step: Step): void;
  /** No more faults: everybody runs, sees etcd and each other, until nothing changes. */
  settle(): void;
  readonly violations: readonly string[];
  readonly groups: readonly Live[];
  readonly members: readonly Modelled[];
}

/** `trustsReads`: the bug that a promise which was not seen in etcd is taken for one that never comes. */
export function modelledGroup(size: number, bugs: { readonly trustsReads?: boolean } = {}): World {
  const names = Array.from({ length: size }, (_, index) => `g-${index + 1}`);
  const store = new Map<string, Stored>();
  let revision = 1;
  const put = (key: string, value: string, lease = ''): void => {
    revision += 1;
    store.set(key, { value, modRevision: revision, lease });
  };
  put(
    keys.definition,
    JSON.stringify({
      generation: 1,
      engine: 'mysql',
      version: '9.7',
      instances: names,
      durability: { mode: 'Strict', acknowledgements: 1 },
      parameters: {},
      application: { database: 'app', owner: 'app' },
      group: { mode: 'SinglePrimary' },
    }),
  );
  const members = names.map((instance, index): Modelled => ({
    instance,
    incarnation: `0000000${index + 1}`,
    life: 1,
    agentUp: true,
    lease: `${instance}/1`,
    view: undefined,
    ...{ spent: 0, permit: undefined, vow: 0, failedJoins: 0 },
    log: undefined,
    ...{ serverUp: false, number: 0, state: 'OFFLINE', open: false, told: false },
  }));
  const groups: Live[] = [];
  const late: (() => void)[] = [];
  const violations: string[] = [];
  let cut: string | undefined;
  let written = 1;
  const acknowledged = new Set<number>();

  const member = (name: string): Modelled => {
    const found = members.find(({ instance }) => instance === name);
    if (!found) throw new Error(name);
    return found;
  };
  const groupOf = (one: Modelled): Live | undefined =>
    one.serverUp && one.state === 'ONLINE'
      ? groups.find((group) => group.number === one.number && group.members.includes(one.instance))
      : undefined;
  const runs = (group: Live, name: string): boolean => groupOf(member(name)) === group;
  /** Members that reach each other: all but the one that is cut off, or that one alone. */
  const side = (group: Live, of: string): readonly string[] =>
    group.members.filter((name) => runs(group, name) && (name === of || (name !== cut && of !== cut)));
  const hasQuorum = (group: Live, of: string): boolean => 2 * side(group, of).length > group.members.length;

  const read = (): ClusterView => parseView(store, { revision, clusterId: etcdId });

  function apply(txn: Txn, lease: string | undefined): boolean {
    const holds = txn.compare.every((compare) => {
      const entry = store.get(compare.key);
      if (compare.is === 'absent') return entry === undefined;
      return compare.is === 'value' ? entry?.value === compare.value : entry?.modRevision === compare.modRevision;
    });
    if (!holds) return false;
    revision += 1;
    for (const write of txn.writes)
      if ('delete' in write) store.delete(write.delete);
      else
        store.set(write.put, {
          value: typeof write.value === 'string' ? write.value : JSON.stringify(write.value),
          modRevision: revision,
          lease: write.leased === true ? (lease ?? '') : '',
        });
    return true;
  }

  const expire = (lease: string | undefined): void => {
    for (const [key, entry] of store) if (lease !== undefined && entry.lease === lease) store.delete(key);
  };

  const gtids = (log: ReadonlySet<number> | undefined): string =>
    log === undefined || log.size === 0
      ? ''
      : `aaaaaaaa-0000-4000-8000-000000000000:${[...log].toSorted((a, b) => a - b).join(':')}`;

  function sightOf(one: Modelled): Sight | undefined {
    if (!one.serverUp) return undefined;
    const group = groupOf(one);
    const seen = group ? side(group, one.instance) : [];
    return {
      state: one.state,
      number: one.number,
      view: group?.view ?? 0,
      members: (group?.members ?? []).map((name) => ({
        incarnation: member(name).incarnation,
        state: seen.includes(name) ? 'ONLINE' : 'UNREACHABLE',
        primary: name === group?.members[0],
      })),
      writable: group?.members[0] === one.instance,
      open: one.open,
      gtids: gtids(one.log),
      applied: true,
    };
  }

  const facts = (one: Modelled): MemberFacts => ({
    self: { instance: one.instance, incarnation: one.incarnation },
    lease: one.lease,
    wall: '2026-01-01T00:00:00.000Z',
    view: one.view,
    vow: one.vow,
    database:
      one.log === undefined
        ? { status: 'absent' }
        : one.serverUp
          ? {
              status: 'replica',
              systemIdentifier: system,
              following: undefined,
              sealed: undefined,
              diverged: undefined,
              highestTimeline: 1,
            }
          : {
              status: 'stopped',
              systemIdentifier: system,
              highestTimeline: 1,
              needsPrimary: false,
              initializedHere: true,
            },
    health: { status: 'well' },
    sight: sightOf(one),
    right: `${one.instance}/${one.life}`,
    spent: one.spent,
    permit: bugs.trustsReads ? one.view?.group?.value.number : one.permit,
    failedJoins: one.failedJoins,
  });

  function publish(one: Modelled): void {
    if (one.lease === undefined) return;
    const sight = sightOf(one);
    const group = groupOf(one);
    const taking = group !== undefined && hasQuorum(group, one.instance);
    put(
      keys.member(one.instance),
      JSON.stringify({
        instance: one.instance,
        incarnation: one.incarnation,
        state: taking && one.open ? 'streaming' : 'sealed',
        role: 'replica',
        ...{ address: one.instance, databasePort: 3306, agentPort: 8008, node: '', version: '9.7.4' },
        ...(sight && { group: { number: sight.number, taking, online: taking, view: sight.view } }),
        position: { epoch: one.number, gtids: gtids(one.log) },
      }),
      one.lease,
    );
  }

  function leave(one: Modelled): void {
    const group = groupOf(one);
    if (group) {
      group.members = group.members.filter((name) => name !== one.instance);
      group.view += 1;
    }
    one.state = 'OFFLINE';
    one.open = false;
  }

  function perform(one: Modelled, action: MemberAction, etcd: 'answers' | 'lost' | 'late' | 'silent' | 'unseen'): void {
    switch (action.type) {
      case 'txn': {
        if (action.purpose === 'promise') one.permit = undefined;
        const { lease } = one;
        const permitted = one.view?.group?.value.number;
        if (etcd === 'late') late.push(() => void apply(action.txn, lease));
        const applied = (etcd === 'answers' || etcd === 'unseen') && apply(action.txn, lease);
        if (etcd !== 'silent' && etcd !== 'unseen') one.view = read();
        if (action.purpose === 'permit' && applied && etcd === 'answers') one.permit = permitted;
        return;
      }
      case 'vow':
        one.vow = Math.max(one.vow, action.number);
        return;
      case 'initialize':
        one.log = new Set([1]);
        return;
      case 'clone': {
        const source = member(action.source);
        one.log = new Set(source.log);
        one.number = 0;
        one.serverUp = false;
        [one.failedJoins, one.permit] = [0, undefined];
        return;
      }
      case 'start':
        one.serverUp = true;
        one.state = 'OFFLINE';
        one.open = false;
        return;
      case 'stop':
      case 'kill':
        leave(one);
        one.serverUp = false;
        return;
      case 'open':
      case 'shut':
        one.open = action.type === 'open';
        return;
      case 'leave':
        leave(one);
        return;
      case 'join':
      case 'form': {
        if (etcd === 'silent') return;
        one.view = read();
        const { action: again } = decideMember(facts(one));
        if (again.type !== action.type || again.number !== action.number) return;
        one.number = again.number;
        if (again.type === 'form') {
          one.spent = again.number;
          form(one);
        } else if (!join(one, again.seeds)) {
          one.failedJoins += 1;
          one.permit = undefined;
        } else one.failedJoins = 0;
        return;
      }
      case 'hand-over':
      case 'wait':
    }
  }

  function form(one: Modelled): void {
    for (const other of members) {
      const group = groupOf(other);
      if (group)
        violations.push(`${one.instance} forms group ${one.number} while ${other.instance} is in ${group.number}`);
    }
    if (groups.some(({ number }) => number === one.number)) violations.push(`group ${one.number} is formed twice`);
    const lacking = [...acknowledged].filter((n) => one.log?.has(n) !== true);
    if (lacking.length > 0) violations.push(`${one.instance} forms group ${one.number} without ${lacking.join(', ')}`);
    groups.push({ number: one.number, members: [one.instance], view: 1, log: new Set(one.log) });
    one.state = 'ONLINE';
  }

  function join(one: Modelled, seeds: readonly string[]): boolean {
    const group = groups.find(
      ({ number, members: of }) => number === one.number && of.some((name) => seeds.includes(name)),
    );
    const seed = group?.members.find((name) => runs(group, name) && seeds.includes(name));
    if (!group || seed === undefined || !hasQuorum(group, seed) || cut === one.instance || cut === seed) return false;
    const ahead = [...(one.log ?? [])].some((n) => !group.log.has(n));
    if (ahead || group.members.includes(one.instance)) return false;
    one.log = new Set(group.log);
    group.members = [...group.members, one.instance];
    group.view += 1;
    one.state = 'ONLINE';
    return true;
  }

  /** Whoever is in touch with a majority excludes the others; who is not gives up. */
  function notice(): void {
    for (const group of groups)
      for (const name of group.members) {
        const one = member(name);
        if (!runs(group, name)) continue;
        if (!hasQuorum(group, name)) one.state = 'ERROR';
        else if (side(group, name).length < group.members.length) {
          group.members = [...side(group, name)];
          group.view += 1;
          for (const other of members)
            if (other.number === group.number && other.state === 'ONLINE' && !group.members.includes(other.instance))
              other.state = 'ERROR';
          break;
        }
      }
  }

  function write(): void {
    for (const group of groups) {
      const primary = group.members.find((name) => runs(group, name) && hasQuorum(group, name));
      if (primary === undefined || !member(primary).open) continue;
      written += 1;
      group.log.add(written);
      member(primary).log?.add(written);
      acknowledged.add(written);
      if (written % 2 === 0) for (const name of side(group, primary)) member(name).log?.add(written);
    }
  }

  /** What it has in memory gets to the disk, unless it dies first. */
  function catchUp(group: Live): void {
    for (const name of group.members) if (runs(group, name)) for (const n of group.log) member(name).log?.add(n);
  }

  function tick(one: Modelled, etcd: 'answers' | 'lost' | 'late' | 'silent' | 'unseen'): void {
    if (!one.agentUp) return;
    if (etcd !== 'silent') {
      one.lease ??= `${one.instance}/${one.life}/${revision}`;
      publish(one);
      if (etcd !== 'unseen') one.view = read();
    }
    perform(one, decideMember(facts(one)).action, etcd);
  }

  const world: World = {
    violations,
    groups,
    members,
    step(step) {
      const one = 'who' in step ? members[step.who % size] : undefined;
      switch (step.do) {
        case 'tick':
          if (one) tick(one, step.etcd);
          return;
        case 'late':
          late.shift()?.();
          return;
        case 'kill-server':
          if (one) [one.serverUp, one.open] = [false, false];
          return;
        case 'kill-agent':
          // With it goes its container, and the server.
          if (one) [one.agentUp, one.serverUp, one.open] = [false, false, false];
          return;
        case 'start-agent':
          if (!one || one.agentUp) return;
          one.life += 1;
          one.agentUp = true;
          one.lease = undefined;
          one.view = undefined;
          [one.spent, one.permit, one.failedJoins] = [0, undefined, 0];
          return;
        case 'expire':
          if (!one) return;
          expire(one.lease);
          one.lease = undefined;
          return;
        case 'write':
          write();
          return;
        case 'cut':
          cut = one?.instance;
          return;
        case 'heal':
          cut = undefined;
          return;
        case 'notice':
          notice();
          for (const group of groups)
            if (group.members.some((name) => runs(group, name) && hasQuorum(group, name))) catchUp(group);
      }
    },
    settle() {
      cut = undefined;
      for (const entry of late.splice(0)) entry();
      // The leases of whoever is no more.
      const alive = new Set(members.map(({ lease }) => lease));
      for (const { lease } of store.values()) if (lease !== '' && !alive.has(lease)) expire(lease);
      for (let round = 0; round < 60; round++) {
        notice();
        for (const group of groups) if (group.members.some((name) => runs(group, name))) catchUp(group);
        members.forEach((one, who) => {
          world.step({ do: 'start-agent', who });
          tick(one, 'answers');
        });
      }
    },
  };
  return world;
}
