/**
 * A major upgrade, by the primary: looked at while it serves, carried out while it is stopped and keeps its lease, and made
 * the cluster's by one transaction. Until that is applied, the old version's data are whole on every instance, and whoever
 * leads next leads them; from then on only the new data count, and everybody else's are replaced by copies of them.
 */
import { keys, type HistoryEntry, type SyncState } from '../api/cluster-state.ts';
import { act, answered, leadership, transact, voterOf, wait, type Known, type Primary } from './decision.ts';
import { isFenced } from './fenced.ts';
import { holdsLeadership } from './proof.ts';
import type { DatabaseState, Decision, HaState } from './state.ts';
import { sameVoter, takeoverQuorum } from './takeover.ts';
import type { ClusterView } from './view.ts';

type Stopped = DatabaseState & { readonly status: 'stopped' };

/** This instance may be stopped for an upgrade: it leads, and is asked to. */
export function mayUpgrade(state: HaState): boolean {
  return (
    holdsLeadership(state) &&
    !state.ending &&
    !isFenced(state) &&
    state.view?.upgrade?.value.from === state.self.instance
  );
}

/** While it serves: refuses what can't be, checks the rest, then stops. Undefined: nothing to do for it now. */
export function prepareUpgrade(state: Known, database: Primary): Decision | undefined {
  const request = state.view.upgrade?.value;
  if (state.inFlight.database === 'stop') return wait('upgrading', 'stopping for the upgrade');
  // Whatever else is under way comes first, most of all changes of the sync set.
  if (!request || !state.replicas || state.inFlight.database !== undefined) return undefined;
  const refusal = reasonAgainst(state);
  if (refusal !== undefined) return refuse(state, refusal);
  if (!isReplaceable(state)) return undefined;
  const check = database.upgradeCheck;
  if (check?.request !== request.id)
    return act(state, 'serving', `checking whether an upgrade to ${request.to} is possible`, {
      type: 'check-upgrade',
      request,
    });
  switch (check.outcome) {
    case 'running':
      return undefined;
    case 'refused':
      return refuse(state, check.reason ?? 'the check failed');
    case 'passed':
      return act(state, 'upgrading', `stopping for the upgrade to ${request.to}`, { type: 'stop' });
  }
}

/** While it is stopped and leads. Undefined: there is nothing to upgrade, and leadership is to be given up. */
export function upgradeStopped(state: Known, database: Stopped): Decision | undefined {
  const { view } = state;
  const taking = takeUpgraded(state, database);
  if (taking) return taking;
  const request = view.upgrade?.value;
  if (!request || !mayUpgrade(state)) return undefined;
  const { upgraded, upgradeRefusal } = database;
  if (upgraded?.request === request.id) return changeOver(state, upgraded, database);
  if (upgradeRefusal?.request === request.id) return refuse(state, upgradeRefusal.reason);
  if (database.clean !== true) return refuse(state, 'the database did not stop cleanly');
  return act(state, 'upgrading', `upgrading to ${request.to}`, { type: 'upgrade', request });
}

/** The cluster has changed over to data that lie here, beside those of the former version. */
export function takeUpgraded(state: Known, { upgraded }: Stopped): Decision | undefined {
  if (!upgraded || upgraded.systemIdentifier !== state.view.initialize?.systemIdentifier) return undefined;
  return act(state, 'upgrading', `taking the data of version ${upgraded.version}`, { type: 'take-upgraded' });
}

/** Data of a version that the cluster has left behind. */
export const isOutgrown = ({ initialize }: ClusterView, systemIdentifier: string): boolean =>
  initialize?.outgrown?.includes(systemIdentifier) === true;

function reasonAgainst(state: Known): string | undefined {
  const { view, self, wall } = state;
  const request = view.upgrade?.value;
  if (!request) return undefined;
  if (request.from !== self.instance) return `${request.from} is not the primary, ${self.instance} is`;
  if (request.deadline > wall) return undefined;
  return isReplaceable(state) ? 'its deadline is over' : 'too few members of the sync set have streamed in time';
}

/** Should this instance be lost amid the upgrade, the others must be able to go on with the old version. A moment without is waited for. */
function isReplaceable({ view, replicas, health }: Known): boolean {
  const sync = view.sync?.value;
  if (!sync || health.status !== 'well') return false;
  const fit = (replicas ?? []).filter((r) => r.streaming && sync.members.some((member) => sameVoter(member, r.voter)));
  return sync.acknowledgements === 0 || fit.length >= takeoverQuorum(sync);
}

function refuse(state: Known, reason: string): Decision {
  const request = state.view.upgrade;
  if (!request) return wait('serving', 'the request is gone');
  return transact(state, 'serving', `refusing an upgrade: ${reason}`, 'refuse-upgrade', {
    compare: [{ key: keys.upgrade, is: 'modRevision', modRevision: request.modRevision }],
    writes: [{ delete: keys.upgrade }, answered(state, request.value.id, 'refused', reason)],
  });
}

/** Another data directory becomes the cluster's: nobody else's log is part of its history, and no timeline number is used twice. */
function changeOver(state: Known, upgraded: NonNullable<Stopped['upgraded']>, database: Stopped): Decision {
  const { view, self } = state;
  const request = view.upgrade;
  if (!request || !view.leader || !view.sync || !view.initialize || !view.definition)
    return wait('upgrading', 'waiting for the cluster’s records');
  const epoch = view.epoch + 1;
  const known = [...view.history.values()].map((entry) => entry.timeline ?? 0);
  const entry: HistoryEntry = {
    epoch,
    winner: self.instance,
    reason: 'Upgraded',
    timeline: 1 + Math.max(database.highestTimeline, ...known),
    at: state.wall,
  };
  const { mode, acknowledgements } = view.definition.durability;
  const sync: SyncState = {
    epoch,
    primary: voterOf(state),
    members: [],
    acknowledgements: mode === 'Strict' ? acknowledgements : 0,
  };
  return transact(state, 'upgrading', `changing over to version ${upgraded.version} in epoch ${epoch}`, 'upgrade', {
    compare: [
      { key: keys.rewound, is: 'absent' },
      { key: keys.epoch, is: 'value', value: String(view.epoch) },
      { key: keys.leader, is: 'modRevision', modRevision: view.leader.modRevision },
      { key: keys.sync, is: 'modRevision', modRevision: view.sync.modRevision },
      { key: keys.upgrade, is: 'modRevision', modRevision: request.modRevision },
    ],
    writes: [
      { put: keys.leader, value: leadership(state, epoch), leased: true },
      { put: keys.epoch, value: epoch },
      {
        put: keys.initialize,
        value: {
          ...view.initialize,
          systemIdentifier: upgraded.systemIdentifier,
          version: upgraded.version,
          outgrown: [...(view.initialize.outgrown ?? []), view.initialize.systemIdentifier],
        },
      },
      { put: keys.sync, value: sync },
      { put: keys.history(epoch), value: entry },
      // Of logs that can follow nobody any more.
      ...[...view.promises.keys()].map((instance) => ({ delete: keys.promise(instance) })),
      { delete: keys.upgrade },
      answered(state, request.value.id, 'done', `version ${upgraded.version} from epoch ${epoch} on`),
    ],
  });
}
