/** From nothing, or after a full outage, to a group: at most one is ever formed of a number, and none while another may be alive. */
import {
  keys,
  type FailoverRequest,
  type GroupRecord,
  type HistoryEntry,
  type SyncState,
} from '../../api/cluster-state.ts';
import type { Versioned } from '../view.ts';
import { transact, type Known } from './decision.ts';
import { electorate, judgeForming, longest, nextNumber, promiseOf, takingPart } from './promises.ts';
import type { MemberDecision } from './state.ts';

/** The first group, of data that were just made here: nobody else has any. */
export function foundGroup(facts: Known, systemIdentifier: string): MemberDecision {
  const { view, wall } = facts;
  return transact(facts, 'founding the cluster', 'found', {
    compare: [
      { key: keys.initialize, is: 'absent' },
      { key: keys.epoch, is: 'absent' },
      { key: keys.group, is: 'absent' },
      { key: keys.bootstrap, is: 'modRevision', modRevision: view.bootstrap?.modRevision ?? 0 },
    ],
    writes: [
      { put: keys.initialize, value: { systemIdentifier, etcdClusterId: view.etcdClusterId, at: wall } },
      ...forming(facts, 1, { reason: 'Bootstrap' }),
      { delete: keys.bootstrap },
    ],
  });
}

/** Undefined: not this instance's to decide now. */
export function formIfAllowed(facts: Known): MemberDecision | undefined {
  const { view, self } = facts;
  const forced = forceIfAsked(facts);
  if (forced) return forced;
  const judged = judgeForming(view);
  if (judged.verdict !== 'may' || judged.instance !== self.instance) return undefined;
  return claim(facts, electorate(view), { reason: 'Restarted' }, undefined);
}

/** Why nobody forms a group, for people. */
export function whyNoGroup(view: Known['view']): string {
  const judged = judgeForming(view);
  switch (judged.verdict) {
    case 'may':
      return `${judged.instance} is about to form the group anew: its log contains all others.`;
    case 'diverged':
      return `Blocked: ${judged.between.join(' and ')} each hold transactions that the other lacks. A failover can be forced to the one to go on with.`;
    case 'wait':
      return (
        `Blocked: acknowledged writes may be only where nobody can look. Needed: ${judged.missing.join(', ')}. ` +
        'If they are lost for good, a failover can be forced, which loses what only they had.'
      );
  }
}

/** A person has decided that the group shall go on from this instance without those that are missing. */
function forceIfAsked(facts: Known): MemberDecision | undefined {
  const { view, self, wall } = facts;
  const request = view.failover;
  if (request?.value.to !== self.instance || promiseOf(view, self.instance) === undefined) return undefined;
  const refuse = (why: string): MemberDecision =>
    transact(facts, `refusing a forced failover: ${why}`, 'answer', {
      compare: [{ key: keys.failover, is: 'modRevision', modRevision: request.modRevision }],
      writes: [{ delete: keys.failover }, answer(facts, request.value.id, 'refused', why)],
    });
  if (request.value.deadline <= wall) return refuse('its deadline is over');
  const alive = takingPart(view);
  if (alive.length > 0) return refuse(`${alive.join(', ')} are in a group that serves`);
  const voters = electorate(view);
  const given = voters.filter((instance) => promiseOf(view, instance) !== undefined);
  const missing = voters.filter((instance) => !given.includes(instance));
  // So many could have a majority of the last group among themselves, and serve on where nobody sees it.
  if (!request.value.fenced && 2 * missing.length >= voters.length)
    return refuse(`${missing.join(', ')} could serve on by themselves: say that they are off`);
  const best = longest(view, given);
  const holdsAll = best.verdict === 'may' && best.instance === self.instance;
  if (!request.value.acceptDataLoss && (missing.length > 0 || !holdsAll))
    return refuse('writes could be lost: accept that, or bring back the missing instances');
  return claim(
    facts,
    given,
    { reason: 'Forced', forced: { request: request.value.id, reason: request.value.reason, missing } },
    request,
  );
}

function claim(
  facts: Known,
  voters: readonly string[],
  entry: Pick<HistoryEntry, 'reason' | 'forced'>,
  request: Versioned<FailoverRequest> | undefined,
): MemberDecision {
  const { view, self } = facts;
  const promises = voters.map((instance) => ({
    key: keys.promise(instance),
    is: 'modRevision' as const,
    modRevision: view.promises.get(instance)?.modRevision ?? 0,
  }));
  const number = Math.max(nextNumber(view), view.epoch + 1);
  return transact(facts, `forming the group anew as number ${number}`, 'form', {
    compare: [
      view.group
        ? { key: keys.group, is: 'modRevision', modRevision: view.group.modRevision }
        : { key: keys.group, is: 'absent' },
      { key: keys.epoch, is: 'value', value: String(view.epoch) },
      ...promises,
      ...(request ? [{ key: keys.failover, is: 'modRevision' as const, modRevision: request.modRevision }] : []),
    ],
    writes: [
      ...forming(facts, number, entry),
      ...(request
        ? [{ delete: keys.failover }, answer(facts, request.value.id, 'done', `${self.instance} forms the group anew`)]
        : []),
    ],
  });
}

function forming(facts: Known, number: number, entry: Pick<HistoryEntry, 'reason' | 'forced'>) {
  const { self, wall, right, lease = '' } = facts;
  const record: GroupRecord = { ...self, number, right, at: wall };
  const sync: SyncState = { epoch: number, primary: self, members: [], acknowledgements: 0 };
  return [
    { put: keys.group, value: record },
    { put: keys.epoch, value: number },
    { put: keys.leader, value: { ...self, epoch: number, lease }, leased: true },
    { put: keys.sync, value: sync },
    { put: keys.history(number), value: { ...entry, epoch: number, winner: self.instance, at: wall } },
  ];
}

export const answer = ({ self, wall }: Known, id: string, outcome: 'done' | 'refused', reason: string) => ({
  put: keys.answer,
  value: { id, instance: self.instance, outcome, reason, at: wall },
});
