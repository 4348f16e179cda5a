/** The judge: told of what really happens, whatever anybody believes (DESIGN §5, I1–I3; findings F19). */
import type { Definition, InstanceName } from '../api/cluster-state.ts';
import type { SyncSet } from '../ha/sync-set.ts';
import { sameVoter, takeoverQuorum } from '../ha/takeover.ts';
import type { ClusterView } from '../ha/view.ts';
import type { LogRecord, Server, Volume } from './database.ts';

export interface Judge {
  readonly violation: () => string | undefined;
  /** Acknowledged writes, in order. */
  readonly acknowledgements: readonly { readonly id: number; readonly at: number }[];
  readonly acknowledged: (instance: InstanceName, id: number, index: number) => void;
  /** Clients were let in: what they can read now may not be lost either (F12). */
  readonly opened: (instance: InstanceName) => void;
  readonly committed: (view: ClusterView, informed: boolean) => void;
  readonly knowsOfRestore: (instance: InstanceName) => boolean;
  /** etcd was restored from a snapshot. */
  readonly restored: (view: ClusterView, sameId: boolean) => void;
  /** What happens now is beyond what the protocol promises: no verdict. */
  readonly gaveUp: () => boolean;
  /** It was, and has not been adopted since. */
  readonly untrusted: () => boolean;
  /** A process of the database has read another sync set. */
  readonly ruleChanged: (instance: InstanceName) => void;
  /** It has promised, or followed the primary of, this epoch: from now on it receives from no older one. */
  readonly bound: (instance: InstanceName, incarnation: string, epoch: number) => void;
  /** It gives its word to the primary of `epoch`, for so many milliseconds from now. */
  readonly pledged: (instance: InstanceName, incarnation: string, epoch: number, milliseconds: number) => void;
  /** Records arrive from the primary of `epoch`. */
  readonly received: (instance: InstanceName, epoch: number) => void;
  readonly destroys: (instance: InstanceName, incarnation: string) => void;
  /** It begins anew without its volume: nobody will read that any more. */
  readonly abandons: (instance: InstanceName) => void;
  readonly leaderExpired: (instance: InstanceName, lease: string) => void;
  /** No faults from now on. */
  readonly healed: () => void;
  /** Clients must have been served lately: nothing but an outage of etcd is wrong. */
  readonly expectService: (within: number) => void;
  readonly disapproves: (what: string) => void;
}

export interface Judged {
  readonly volume: Volume;
  readonly server: () => Server | undefined;
  /** Since when the database's processes have run without a pause; Infinity while they don't. */
  readonly awakeSince: () => number;
}

/** What the judge may ask the world. */
export interface World {
  readonly now: () => number;
  readonly after: (milliseconds: number, then: () => void) => void;
  readonly judged: (instance: InstanceName) => Judged | undefined;
  readonly instances: () => readonly InstanceName[];
  readonly trace: (who: string, what: string) => void;
  /** Since when this instance could have renewed its lease and heard of everything. */
  readonly reachesEtcdSince: (instance: InstanceName) => number;
  /** It has read the restored etcd, and seen that it is. */
  readonly knowsOfRestore: (instance: InstanceName) => boolean;
  /** It ends, or stops for a successor. */
  readonly isHandingOver: (instance: InstanceName) => boolean;
  /** Nothing but switchovers happens in this world. */
  readonly onlySwitchovers: () => boolean;
  /** Nothing happens in this world that a primary should not outlast. */
  readonly onlyNuisances: () => boolean;
}

/** Milliseconds, with what clock drift and the kill itself may add. */
const leaseTime = 5000;
const slack = 750;
/** A claim by the living primary answers a false alarm; more than so many of them in so long a time are a storm. */
const storm = { claims: 8, within: 20_000 };
const timeToAnswer = 1500;

interface Claim {
  readonly epoch: number;
  readonly instance: InstanceName;
  readonly timeline: number;
  /** Its log as of the claim. */
  readonly log: readonly LogRecord[];
  /** Async: nobody but the former primary needed to have what it acknowledged. */
  readonly mayLose: boolean;
}

interface Write {
  readonly id: number;
  readonly index: number;
  readonly epoch: number;
  /** How many claims there had been up to its own. */
  readonly order: number;
  readonly instance: InstanceName;
}

export function createJudge(world: World): Judge {
  const { now, judged, trace } = world;
  const awake = (instance: InstanceName, milliseconds: number): boolean =>
    now() - (judged(instance)?.awakeSince() ?? Infinity) > milliseconds;
  const acknowledgements: { id: number; at: number }[] = [];
  let writes: readonly Write[] = [];
  const answeredAlarms: number[] = [];
  const known = new Set<number>();
  const claims: Claim[] = [];
  const vows = new Map<string, number>();
  /** Words given, by who gave it: to whom, and until when. */
  const words = new Map<string, { readonly epoch: number; readonly until: number }>();
  let view: ClusterView | undefined;
  let violation: string | undefined;
  /** etcd was restored, having been adopted so often. */
  let untrusted: { readonly adoptions: number; readonly sameId: boolean } | undefined;
  let gaveUp = false;

  function violated(text: string): void {
    if (violation !== undefined || gaveUp) return;
    violation = `${text} (at ${(now() / 1000).toFixed(3)} s)`;
    trace('judge', `VIOLATION: ${violation}`);
  }

  /** The newest epoch in which this primary's timeline was claimed: a living primary may claim again (rule 13). */
  function orderOf(instance: InstanceName): number {
    const timeline = judged(instance)?.server()?.timeline;
    for (let order = claims.length; order > 0; order--) {
      const claim = claims[order - 1];
      if (claim?.instance === instance && claim.timeline === timeline) return order;
    }
    return 0;
  }
  const epochOf = (instance: InstanceName): number => claims[orderOf(instance) - 1]?.epoch ?? 0;

  function keep(write: Write, how: string): void {
    known.add(write.id);
    const lacking = claims.slice(write.order).filter((claim) => claim.log[write.index]?.id !== write.id);
    // Async answers for one primary at a time as long as its machine isn't frozen (F15).
    if (lacking.some(({ mayLose }) => mayLose) && !awake(write.instance, leaseTime)) return;
    (writes as Write[]).push(write);
    for (const claim of lacking)
      violated(
        `write ${write.id}, ${how} in epoch ${write.epoch}, is not in the log of ${claim.instance}, which claimed ${claim.epoch} before`,
      );
  }

  function claimed(next: ClusterView, before: ClusterView | undefined): void {
    const { instance, incarnation } = next.sync?.value.primary ?? { instance: '', incarnation: '' };
    const volume = judged(instance)?.volume;
    const upgraded = volume?.upgraded?.data;
    const isUpgraded = upgraded !== undefined && upgraded.systemIdentifier === next.initialize?.systemIdentifier;
    const log = [...((isUpgraded ? upgraded : volume?.data)?.log ?? [])];
    trace(
      'judge',
      `epoch ${next.epoch} claimed by ${instance}, log of ${log.length}, sync ${describe(next.sync?.value)}`,
    );
    // A claim that lands after its sender's volume was lost has no log any more; the next one is judged.
    if (volume?.incarnation !== incarnation) return;
    const entry = next.history.get(next.epoch);
    checkTags(instance, next, before);
    const nobodyNeeded = asked?.durability.mode === 'Async' && asked.acknowledgements === 0;
    const accepted = before?.failover?.value.acceptDataLoss === true;
    if (entry?.forced && entry.reason !== 'Adopted' && !accepted)
      violated(`${instance} claims ${next.epoch} by force, which nobody has accepted`);
    const mayLose = nobodyNeeded || entry?.forced !== undefined;
    claims.push({ epoch: next.epoch, instance, timeline: entry?.timeline ?? 0, log, mayLose });
    const isLost = ({ id, index }: Write): boolean => log[index]?.id !== id;
    const lost = writes.find(isLost);
    if (lost && mayLose) writes = writes.filter((write) => !isLost(write));
    else if (lost)
      violated(
        `${instance} claims ${next.epoch} without write ${lost.id}, acknowledged in epoch ${lost.epoch} at ${lost.index}`,
      );
    if (entry?.reason === 'Adopted') return;
    if (entry?.reason === 'PrimaryAlive') {
      if (before?.leader) answeredAlarm(); // else its key had vanished
    } else if (before) {
      checkNeed(instance, before);
      checkSuccessor(instance, before);
    }
    checkStaleReads(instance, next.epoch);
    if (next.epoch > 1 && world.onlyNuisances()) violated(`${instance} claims ${next.epoch}, a false failover`);
  }

  /** One that is tagged noFailover leads only if it did already, or a person wants it. */
  function checkTags(instance: InstanceName, next: ClusterView, before: ClusterView | undefined): void {
    const entry = next.history.get(next.epoch);
    const wasPrimary = before?.sync?.value.primary.instance === instance;
    const asked = before?.failover?.value.to === instance || entry?.reason === 'Adopted';
    if (next.definition?.tags?.[instance]?.noFailover && before?.initialize && !wasPrimary && !asked)
      violated(`${instance} claims ${next.epoch}, though tagged noFailover`);
  }

  const highestVow = (): number => Math.max(...world.instances().map((name) => judged(name)?.volume.vow ?? 0));

  /** What the database had to ask for, as the cluster's own etcd said last. */
  let asked: { readonly durability: Definition['durability']; readonly acknowledgements: number } | undefined;

  /** Only what was sent before the restore was known may land in it; whoever sent it finds out by reading (F9). */
  function checkForeign(next: ClusterView, sender: InstanceName, informed: boolean): void {
    const isClaim = next.epoch !== view?.epoch;
    if (informed || (isClaim && next.rewound))
      violated(`${sender} changes epoch ${next.epoch} or its sync set in a restored etcd`);
    // Until somebody has noticed and said so, etcd looks like itself.
    else if (untrusted?.sameId) gaveUp = true;
  }

  /** Whoever promises has not given its word to the primary, or that is over, or that primary has ended (rule 9). */
  function checkWords({ promises, sync }: ClusterView): void {
    for (const { value } of promises.values()) {
      const word = words.get(`${value.instance} ${value.incarnation}`);
      if (word?.epoch !== value.epoch - 1 || now() >= word.until) continue;
      const primary = sync?.value.primary.instance ?? '';
      if (judged(primary)?.server()?.role === 'primary' && epochOf(primary) === word.epoch)
        violated(`${value.instance} promises ${value.epoch} against its word to ${primary}`);
    }
  }

  /** k members have given their word to this primary, and it holds. */
  function isCovered(instance: InstanceName): boolean {
    const sync = view?.sync?.value;
    if (!sync || sync.acknowledgements === 0) return false;
    const bound = sync.members.filter((member) => {
      const word = words.get(`${member.instance} ${member.incarnation}`);
      return word?.epoch === epochOf(instance) && now() < word.until;
    });
    return bound.length >= sync.acknowledgements;
  }

  /** A replica with a bad link must not raise epochs again and again (F16). */
  function answeredAlarm(): void {
    answeredAlarms.push(now());
    const recent = answeredAlarms.filter((at) => now() - at < storm.within).length;
    if (recent > storm.claims) violated(`a storm: ${recent} false alarms in ${storm.within / 1000} s`);
  }

  /** With one promise as a quorum, a primary that lives and reaches etcd is asked first (F20). */
  function checkNeed(instance: InstanceName, { leader, sync }: ClusterView): void {
    const primary = sync?.value.primary.instance;
    if (!leader || !sync || primary === undefined || primary === instance || takeoverQuorum(sync.value) !== 1) return;
    const server = judged(primary)?.server();
    if (world.isHandingOver(primary)) return;
    const able = server?.role === 'primary' && server.open && awake(primary, timeToAnswer);
    if (able && now() - world.reachesEtcdSince(primary) > timeToAnswer)
      violated(`${instance} takes over from ${primary}, which lives and would have answered`);
  }

  /** In peace, a switchover goes to whom it was meant for (F17). */
  function checkSuccessor(instance: InstanceName, { release }: ClusterView): void {
    if (release?.candidate !== undefined && release.candidate !== instance && world.onlySwitchovers())
      violated(`${instance} has taken the place that was meant for ${release.candidate}`);
  }

  /** Whoever is still open in an older epoch is gone before its lease could have ended (rule 2, F14). */
  function checkStaleReads(claimant: InstanceName, epoch: number): void {
    world.after(leaseTime + slack, () => {
      for (const instance of world.instances()) {
        const server = judged(instance)?.server();
        const old = epochOf(instance);
        if (instance !== claimant && server?.open && old < epoch && awake(instance, leaseTime + slack))
          violated(`${instance} is still open in epoch ${old}, ${leaseTime + slack} ms after the claim of ${epoch}`);
      }
    });
  }

  /** Whatever acknowledges in the database must contain, in each way it can be met, k members of what etcd holds. */
  function checkCover(): void {
    const recorded = view?.sync?.value;
    // With k = 0, or fewer members than k, only the recorded primary may claim.
    if (
      !recorded ||
      !view ||
      untrusted !== undefined ||
      recorded.acknowledgements === 0 ||
      recorded.members.length < recorded.acknowledgements
    )
      return;
    const server = judged(recorded.primary.instance)?.server();
    if (server?.role !== 'primary' || epochOf(recorded.primary.instance) !== view.epoch) return;
    for (const rule of server.rules()) {
      const strangers = rule.members.filter((m) => !recorded.members.some((s) => sameVoter(s, m))).length;
      if (rule.members.length >= rule.acknowledgements && rule.acknowledgements - strangers < recorded.acknowledgements)
        violated(`the database acknowledges by ${describe(rule)}, etcd holds ${describe(recorded)}`);
    }
  }

  function checkHeld({ id, index, epoch }: Write): void {
    const recorded = view?.sync?.value;
    if (
      !recorded ||
      !view ||
      untrusted !== undefined ||
      epoch !== view.epoch ||
      recorded.members.length < recorded.acknowledgements
    )
      return;
    const holders = recorded.members.filter((member) => {
      const volume = judged(member.instance)?.volume;
      return volume?.incarnation !== member.incarnation || volume.data?.log[index]?.id === id;
    });
    if (holders.length < recorded.acknowledgements)
      violated(`write ${id} is acknowledged, held by ${holders.length} of ${describe(recorded)}`);
  }

  return {
    violation: () => violation,
    acknowledgements,
    acknowledged: (instance, id, index) => {
      acknowledgements.push({ id, at: now() });
      const write = { id, index, instance, epoch: epochOf(instance), order: orderOf(instance) };
      keep(write, 'acknowledged');
      checkHeld(write);
    },
    opened: (instance) => {
      const epoch = epochOf(instance);
      trace('judge', `${instance} is open in epoch ${epoch}`);
      const order = orderOf(instance);
      const log = judged(instance)?.volume.data?.log ?? [];
      for (const [index, { id }] of log.entries())
        if (id > 0 && !known.has(id)) keep({ id, index, instance, epoch, order }, 'shown');
    },
    knowsOfRestore: world.knowsOfRestore,
    committed: (next, informed) => {
      const before = view;
      view = next;
      const epoch = before?.epoch ?? 0;
      const isAdoption = untrusted !== undefined && (next.initialize?.adoptions ?? 0) > untrusted.adoptions;
      if (isAdoption) untrusted = undefined;
      if (next.epoch !== epoch) {
        if (isAdoption ? next.epoch <= highestVow() : next.epoch !== epoch + 1)
          violated(`etcd goes from epoch ${epoch} to ${next.epoch}`);
        if (!untrusted) claimed(next, before);
        else checkForeign(next, next.leader?.value.instance ?? '', informed);
      } else if (
        next.leader &&
        claims.at(-1)?.epoch === epoch &&
        claims.at(-1)?.instance !== next.leader.value.instance
      )
        violated(`${next.leader.value.instance} is a second claimant of epoch ${next.epoch}`);
      if (next.sync !== before?.sync) {
        if (untrusted) checkForeign(next, next.sync?.value.primary.instance ?? '', informed);
        if (next.epoch === epoch) trace('judge', `sync is now ${describe(next.sync?.value)}`);
        checkCover();
      }
      if (next.definition && next.sync && !untrusted)
        asked = { durability: next.definition.durability, acknowledgements: next.sync.value.acknowledgements };
      if (next.promises !== before?.promises) checkWords(next);
    },
    untrusted: () => untrusted !== undefined,
    gaveUp: () => gaveUp,
    restored: (next, sameId) => {
      untrusted = { adoptions: view?.initialize?.adoptions ?? 0, sameId };
      view = next;
    },
    ruleChanged: (instance) => {
      if (view?.sync?.value.primary.instance === instance) checkCover();
    },
    bound: (instance, incarnation, epoch) => {
      const voter = `${instance} ${incarnation}`;
      vows.set(voter, Math.max(vows.get(voter) ?? 0, epoch));
    },
    received: (instance, epoch) => {
      const vow = vows.get(`${instance} ${judged(instance)?.volume.incarnation}`) ?? 0;
      if (epoch < vow) violated(`${instance} receives from the primary of epoch ${epoch}, after its word for ${vow}`);
    },
    destroys: (instance, incarnation) => {
      trace('judge', `${instance} replaces its data`);
      // A restored one is not what counts.
      const recorded = untrusted ? undefined : view?.sync?.value;
      if (recorded && [recorded.primary, ...recorded.members].some((m) => sameVoter(m, { instance, incarnation })))
        violated(`${instance} replaces its data while it is in ${describe(recorded)}`);
    },
    abandons: (instance) => {
      const logs = world
        .instances()
        .filter((other) => other !== instance)
        .flatMap((other) => {
          const { data, upgraded } = judged(other)?.volume ?? {};
          return [data?.log ?? [], upgraded?.data.log ?? []];
        });
      const last = writes.find(({ id, index }) => !logs.some((log) => log[index]?.id === id));
      if (last && !untrusted)
        violated(`${instance} begins anew without its volume, which alone holds write ${last.id}`);
    },
    leaderExpired: (instance, lease) => {
      const server = judged(instance)?.server();
      trace('judge', `leadership of ${instance} expires with ${lease}`);
      if (server?.role === 'primary' && server.open && awake(instance, 500) && !isCovered(instance))
        violated(`${instance} still serves although its lease has ended`);
    },
    healed: () => answeredAlarms.splice(0),
    pledged: (instance, incarnation, epoch, milliseconds) =>
      words.set(`${instance} ${incarnation}`, { epoch, until: now() + milliseconds }),
    disapproves: violated,
    expectService: (within) => {
      if (now() - (acknowledgements.at(-1)?.at ?? 0) > within)
        violated(`nothing was acknowledged for ${within} ms, although a majority is well`);
    },
  };
}

export const describe = (sync: (SyncSet & { readonly primary?: { instance: string } }) | undefined): string =>
  sync
    ? `${sync.primary ? `${sync.primary.instance} + ` : ''}${sync.acknowledgements} of {${sync.members.map((m) => `${m.instance}/${m.incarnation}`).join(', ')}}`
    : 'none';
