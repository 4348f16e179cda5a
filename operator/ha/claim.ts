/** The one transaction by which an instance becomes the primary of the next epoch (DESIGN §5, rules 1, 5, 13). */
import { keys, type HistoryEntry, type PromiseRecord } from '../api/cluster-state.ts';
import { answered, leadership, transact, voterOf, wait, type Known, type Primary } from './decision.ts';
import type { Decision, Txn } from './state.ts';
import { sameVoter } from './takeover.ts';
import type { ClusterView } from './view.ts';

export function claim(
  state: Known,
  position: PromiseRecord['position'],
  highestTimeline: number,
  forced?: HistoryEntry['forced'],
): Decision {
  const { view, self } = state;
  if (!view.sync) return wait('claiming', 'blocked: no sync set in etcd');
  const sync = view.sync.value;
  const epoch = view.epoch + 1;
  const me = voterOf(state);
  const everyone = sync.members.some((m) => sameVoter(m, sync.primary))
    ? sync.members
    : [...sync.members, sync.primary];
  const timeline = 1 + Math.max(highestTimeline, ...[...view.history.values()].map((entry) => entry.timeline ?? 0));
  const unforced =
    view.release?.epoch === view.epoch ? view.release.reason : view.leader ? 'PrimaryUnreachable' : 'LeaseExpired';
  const entry: HistoryEntry = {
    epoch,
    winner: self.instance,
    reason: forced ? 'Forced' : unforced,
    timeline,
    position,
    ...(forced ? { forced } : {}),
    at: state.wall,
  };
  const request = view.failover?.value.to === self.instance ? view.failover : undefined;
  return transact(state, forced ? 'forcing' : 'claiming', `claiming epoch ${epoch}`, 'claim', {
    compare: [
      ...claimComparisons(view),
      {
        key: keys.promise(self.instance),
        is: 'modRevision',
        modRevision: view.promises.get(self.instance)?.modRevision ?? 0,
      },
      ...(forced && request
        ? [{ key: keys.failover, is: 'modRevision' as const, modRevision: request.modRevision }]
        : []),
    ],
    writes: [
      { put: keys.leader, value: leadership(state, epoch), leased: true },
      { put: keys.epoch, value: epoch },
      {
        put: keys.sync,
        value: {
          epoch,
          primary: me,
          members: everyone.filter((m) => m.instance !== me.instance),
          acknowledgements: sync.acknowledgements,
        },
      },
      { put: keys.history(epoch), value: entry },
      ...(view.release ? [{ delete: keys.release }] : []),
      ...(request
        ? [{ delete: keys.failover }, answered(state, request.value.id, 'done', `leads epoch ${epoch}`)]
        : []),
    ],
  });
}

/** Nothing that the claim was decided from has changed: epoch, sync set, leader (F2). */
function claimComparisons(view: ClusterView): Txn['compare'] {
  return [
    // Somebody else may have noticed what this instance cannot.
    { key: keys.rewound, is: 'absent' },
    { key: keys.epoch, is: 'value', value: String(view.epoch) },
    { key: keys.sync, is: 'modRevision', modRevision: view.sync?.modRevision ?? 0 },
    view.leader
      ? { key: keys.leader, is: 'modRevision', modRevision: view.leader.modRevision }
      : { key: keys.leader, is: 'absent' },
  ];
}

/** A living primary goes on in the next epoch, on its timeline (ADR 3). */
export function reclaim(state: Known, database: Primary): Decision {
  const { view, self } = state;
  if (!view.sync || !state.lease) return wait('reclaiming', 'waiting for a lease to claim the next epoch with');
  const epoch = view.epoch + 1;
  const entry: HistoryEntry = {
    epoch,
    winner: self.instance,
    reason: 'PrimaryAlive',
    timeline: database.timeline,
    lineage: database.lineage,
    marker: database.marker,
    at: state.wall,
  };
  return transact(state, 'reclaiming', `claiming epoch ${epoch} as the living primary`, 'reclaim', {
    compare: claimComparisons(view),
    writes: [
      { put: keys.leader, value: leadership(state, epoch), leased: true },
      { put: keys.epoch, value: epoch },
      { put: keys.sync, value: { ...view.sync.value, epoch, primary: voterOf(state) } },
      { put: keys.history(epoch), value: entry },
    ],
  });
}
