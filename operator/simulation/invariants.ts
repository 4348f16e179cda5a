/** The judge: told of what really happens, whatever anybody believes (DESIGN §5, I1–I3; findings F19). */
import type { InstanceName } from '../api/cluster-state.ts';
import type { SyncSet } from '../ha/sync-set.ts';
import { sameVoter } from '../ha/takeover.ts';
import type { ClusterView } from '../ha/view.ts';
import type { LogRecord, Server, Volume } from './database.ts';

export interface Judge {
  readonly violation: () => string | undefined;
  /** Acknowledged writes, in order. */
  readonly acknowledgements: readonly { readonly id: number; readonly at: number }[];
  readonly acknowledged: (instance: InstanceName, id: number, index: number) => void;
  /** Clients were let in: what they can read now may not be lost either (F12). */
  readonly opened: (instance: InstanceName) => void;
  readonly committed: (view: ClusterView) => void;
  /** A process of the database has read another sync set. */
  readonly ruleChanged: (instance: InstanceName) => void;
  /** It has promised, or followed the primary of, this epoch: from now on it receives from no older one. */
  readonly bound: (instance: InstanceName, incarnation: string, epoch: number) => void;
  /** Records arrive from the primary of `epoch`. */
  readonly received: (instance: InstanceName, epoch: number) => void;
  readonly destroys: (instance: InstanceName, incarnation: string) => void;
  readonly leaderExpired: (instance: InstanceName, lease: string) => void;
}

export interface Judged {
  readonly volume: Volume;
  readonly server: () => Server | undefined;
  /** Its machine ran all the time lately. */
  readonly awake: () => boolean;
}

interface Claim {
  readonly epoch: number;
  readonly instance: InstanceName;
  readonly timeline: number;
  /** Its log as of the claim. */
  readonly log: readonly LogRecord[];
}

interface Write {
  readonly id: number;
  readonly index: number;
  readonly epoch: number;
}

export function createJudge(
  now: () => number,
  judged: (instance: InstanceName) => Judged | undefined,
  trace: (who: string, what: string) => void,
): Judge {
  const acknowledgements: { id: number; at: number }[] = [];
  const writes: Write[] = [];
  const known = new Set<number>();
  const claims: Claim[] = [];
  const vows = new Map<string, number>();
  let view: ClusterView | undefined;
  let violation: string | undefined;

  function violated(text: string): void {
    if (violation !== undefined) return;
    violation = `${text} (at ${(now() / 1000).toFixed(3)} s)`;
    trace('judge', `VIOLATION: ${violation}`);
  }

  /** The newest epoch in which this primary's timeline was claimed: a living primary may claim again (rule 13). */
  function epochOf(instance: InstanceName): number {
    const server = judged(instance)?.server();
    return claims.findLast((c) => c.instance === instance && c.timeline === server?.timeline)?.epoch ?? 0;
  }

  function keep(write: Write, how: string): void {
    known.add(write.id);
    writes.push(write);
    for (const claim of claims)
      if (claim.epoch > write.epoch && claim.log[write.index]?.id !== write.id)
        violated(
          `write ${write.id}, ${how} in epoch ${write.epoch}, is not in the log of ${claim.instance}, which claimed ${claim.epoch} before`,
        );
  }

  function claimed(next: ClusterView): void {
    const instance = next.leader?.value.instance ?? '';
    const volume = judged(instance)?.volume;
    const log = [...(volume?.data?.log ?? [])];
    trace(
      'judge',
      `epoch ${next.epoch} claimed by ${instance}, log of ${log.length}, sync ${describe(next.sync?.value)}`,
    );
    // A claim that lands after its sender's volume was lost has no log any more; the next one is judged.
    if (volume?.incarnation !== next.leader?.value.incarnation) return;
    claims.push({ epoch: next.epoch, instance, timeline: next.history.get(next.epoch)?.timeline ?? 0, log });
    const lost = writes.find(({ id, index }) => log[index]?.id !== id);
    if (lost)
      violated(
        `${instance} claims ${next.epoch} without write ${lost.id}, acknowledged in epoch ${lost.epoch} at ${lost.index}`,
      );
  }

  /** Whatever acknowledges in the database must contain, in each way it can be met, k members of what etcd holds. */
  function checkCover(): void {
    const recorded = view?.sync?.value;
    // With k = 0, or fewer members than k, only the recorded primary may claim.
    if (!recorded || !view || recorded.acknowledgements === 0 || recorded.members.length < recorded.acknowledgements)
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
    if (!recorded || epoch !== view?.epoch || recorded.members.length < recorded.acknowledgements) return;
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
      const write = { id, index, epoch: epochOf(instance) };
      keep(write, 'acknowledged');
      checkHeld(write);
    },
    opened: (instance) => {
      const epoch = epochOf(instance);
      trace('judge', `${instance} is open in epoch ${epoch}`);
      const log = judged(instance)?.volume.data?.log ?? [];
      for (const [index, { id }] of log.entries()) if (id > 0 && !known.has(id)) keep({ id, index, epoch }, 'shown');
    },
    committed: (next) => {
      const before = view;
      view = next;
      const epoch = before?.epoch ?? 0;
      if (next.epoch !== epoch) {
        if (next.epoch !== epoch + 1) violated(`etcd goes from epoch ${epoch} to ${next.epoch}`);
        claimed(next);
      } else if (
        next.leader &&
        claims.at(-1)?.epoch === epoch &&
        claims.at(-1)?.instance !== next.leader.value.instance
      )
        violated(`${next.leader.value.instance} is a second claimant of epoch ${next.epoch}`);
      if (next.sync !== before?.sync) {
        if (next.epoch === epoch) trace('judge', `sync is now ${describe(next.sync?.value)}`);
        checkCover();
      }
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
      const recorded = view?.sync?.value;
      if (recorded && [recorded.primary, ...recorded.members].some((m) => sameVoter(m, { instance, incarnation })))
        violated(`${instance} replaces its data while it is in ${describe(recorded)}`);
    },
    leaderExpired: (instance, lease) => {
      const server = judged(instance)?.server();
      trace('judge', `leadership of ${instance} expires with ${lease}`);
      if (server?.role === 'primary' && server.open && judged(instance)?.awake())
        violated(`${instance} still serves although its lease has ended`);
    },
  };
}

export const describe = (sync: (SyncSet & { readonly primary?: { instance: string } }) | undefined): string =>
  sync
    ? `${sync.primary ? `${sync.primary.instance} + ` : ''}${sync.acknowledgements} of {${sync.members.map((m) => `${m.instance}/${m.incarnation}`).join(', ')}}`
    : 'none';
