/** Which faults overlap when, all of it from one seed, and what may be expected meanwhile. Pure. */
import type { EngineName } from '../../operator/api/cluster-state.ts';
import type { Random } from '../../operator/simulation/random.ts';
import { faultKinds, faultNames, slots, type FaultName, type Place, type Slot } from './fault-kinds.ts';

export interface Fault {
  readonly name: FaultName;
  readonly place: Place;
  /** Since the beginning of the round’s faults. */
  readonly beginsMs: number;
  /** As it begins, if it is over in a moment. */
  readonly endsMs: number;
  /** For faults that have variants: where they draw theirs from. */
  readonly seed: number;
}

export interface Round {
  /** Before it: nothing is wrong, and nobody may be replaced. */
  readonly calmMs: number;
  /** By their beginnings. */
  readonly faults: readonly Fault[];
}

export interface Promised {
  /** Who leads stays, whatever happens beside it. */
  readonly sameLeader: boolean;
  /** Somebody acknowledges while the faults last; else once they are over. */
  readonly service: boolean;
}

const calmMs = [5_000, 12_000] as const;
/** How long the next fault waits for the last one at most: within a failover, mostly. */
const laterMs = 6_000;
/** Of three nodes, the client lives on the one that is left. */
const maximumNodes = 2;

export function* drawnSchedule(random: Random, engine: EngineName, among = faultNames): Generator<Round, never> {
  const possible = among.filter((name) => faultKinds[name].only === undefined || faultKinds[name].only === engine);
  for (;;) yield drawnRound(random.fork(), possible);
}

function drawnRound(random: Random, possible: readonly FaultName[]): Round {
  const wanted = random.pick([1, 2, 2, 2, 3, 3] as const);
  const faults: Fault[] = [];
  let beginsMs = 0;
  // The others must be possible beside those that were drawn before.
  while (faults.length < wanted) {
    const name = random.pick(possible.filter((one) => placesFor(one, faults).length > 0));
    if (name === undefined) break;
    const fault = drawnFault(name, placesFor(name, faults), beginsMs, random);
    faults.push(fault);
    const isLong = fault.endsMs > fault.beginsMs;
    beginsMs += random.between(0, isLong ? Math.min(laterMs, fault.endsMs - fault.beginsMs) : laterMs / 2);
  }
  return { calmMs: random.between(...calmMs), faults };
}

function drawnFault(name: FaultName, places: readonly Place[], beginsMs: number, random: Random): Fault {
  const { lasts: [from, to] = [0, 0] } = faultKinds[name];
  // Whatever hits the primary tells most.
  const place = places.includes('primary') && random.chance(0.5) ? 'primary' : random.pick(places);
  if (place === undefined) throw new Error(`${name} has no place`);
  return {
    ...{ name, place, beginsMs },
    endsMs: beginsMs + random.between(from * 1_000, to * 1_000),
    seed: Math.floor(random.between(0, 2 ** 31)),
  };
}

/** Where it may happen beside these: nothing is hit twice, and no data is destroyed while other data is. */
function placesFor(name: FaultName, before: readonly Fault[]): readonly Place[] {
  const { hits, needsApi, destroys } = faultKinds[name];
  const kindsBefore = before.map((fault) => faultKinds[fault.name]);
  if (needsApi === true && before.some(({ place }) => place === 'API server')) return [];
  if (hits === 'API server' && kindsBefore.some((kind) => kind.needsApi)) return [];
  if (destroys === true && kindsBefore.some((kind) => kind.destroys)) return [];
  if (hits === 'node' && kindsBefore.filter((kind) => kind.hits === 'node').length >= maximumNodes) return [];
  const free = (place: Place): boolean => before.every((fault) => fault.place !== place);
  switch (hits) {
    case 'instance':
    case 'node':
      return slots.filter(free);
    case 'replica':
      return slots.filter((slot) => slot !== 'primary' && free(slot));
    case 'whoever leads':
      // Alone it would be the primary, which has its own kind.
      return before.length > 0 && free('request') ? ['request'] : [];
    default:
      return free(hits) ? [hits] : [];
  }
}

export function promised(faults: readonly Fault[]): Promised {
  const kinds = faults.map((fault) => ({ ...faultKinds[fault.name], place: fault.place }));
  const hurt = kinds.filter((kind) => kind.spares !== true && isSlot(kind.place));
  const chased = kinds.some(({ hits }) => hits === 'whoever leads');
  const asked = kinds.some(({ hits }) => hits === 'request');
  const members = kinds.reduce((sum, { etcdMembers }) => sum + (etcdMembers === 'all' ? 3 : (etcdMembers ?? 0)), 0);
  const apiIsAway = kinds.some(({ hits }) => hits === 'API server');
  const hurtInstances = hurt.length + (chased ? 1 : 0);
  const arbitrated = members <= 1 && !apiIsAway;
  return {
    // With etcd away it may stay, but a replica that can't pledge either would end that.
    sameLeader:
      !chased && !asked && (members <= 1 || hurt.length === 0) && hurt.every(({ place }) => place !== 'primary'),
    service: hurtInstances === 0 ? !asked || arbitrated : hurtInstances === 1 && arbitrated,
  };
}

export function isSlot(place: Place): place is Slot {
  return slots.some((slot) => slot === place);
}

export type Step = { readonly atMs: number; readonly does: 'begin' | 'end'; readonly fault: Fault };

/** What is done when; what is over in a moment has no end. */
export function stepsOf({ faults }: Pick<Round, 'faults'>): readonly Step[] {
  return faults
    .flatMap((fault): readonly Step[] => [
      { atMs: fault.beginsMs, does: 'begin', fault },
      ...(fault.endsMs > fault.beginsMs ? [{ atMs: fault.endsMs, does: 'end', fault } as const] : []),
    ])
    .toSorted((a, b) => a.atMs - b.atMs);
}

/** For people and for the key of what is counted: “database killed (primary)”. */
export function wordsOf({ name, place }: Pick<Fault, 'name' | 'place'>): string {
  return isSlot(place) ? `${name} (${place.replace(/ \d$/, '')})` : name;
}
