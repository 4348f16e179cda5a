/** The first epoch: one instance applies, initialises its data, and records the cluster in one transaction. */
import { keys, type SyncState } from '../api/cluster-state.ts';
import { act, leadership, transact, voterOf, wait, type Known } from './decision.ts';
import type { Decision } from './state.ts';
import { tagsOf } from './successor.ts';
import type { ClusterView } from './view.ts';

export function found(state: Known): Decision {
  const { view, database, self } = state;
  const mine = view.bootstrap?.value === self.instance && view.bootstrap.lease === state.lease;
  // A vow means that this instance has led or followed: etcd has forgotten a cluster, whose data may be elsewhere (F9).
  if (state.vow > 0)
    return wait(
      'blocked-foreign-data',
      'blocked: this instance belongs to a cluster that etcd knows nothing of; restore etcd, or ask to adopt this one',
    );
  if (view.definition?.founded)
    return wait('blocked-foreign-data', 'blocked: this cluster has had data, and etcd knows nothing of it');
  if (database.status !== 'absent' && database.status !== 'stopped')
    return database.status === 'unknown'
      ? wait('unready', 'looking at the data directory')
      : wait('blocked-foreign-data', 'blocked: unknown data on this volume');
  if (database.status === 'stopped' && !database.initializedHere)
    return wait('blocked-foreign-data', 'blocked: unknown data on this volume');
  // One that may not lead would be the only one who may, until others hold its data.
  const ableToLead = view.definition?.instances.some((instance) => !tagsOf(view, instance).noFailover);
  if (ableToLead && tagsOf(view, self.instance).noFailover)
    return wait('founding', 'tagged noFailover: waiting for another instance to found the cluster');
  if (!view.bootstrap)
    return transact(state, 'founding', 'applying to initialise the cluster', 'bootstrap', {
      compare: [
        { key: keys.bootstrap, is: 'absent' },
        { key: keys.initialize, is: 'absent' },
      ],
      writes: [{ put: keys.bootstrap, value: self.instance, leased: true }],
    });
  if (!mine) return wait('founding', `${view.bootstrap.value} initialises the cluster`);
  return database.status === 'absent'
    ? act(state, 'founding', 'initialising the database', { type: 'initialize' })
    : foundCluster(state, database.systemIdentifier, database.highestTimeline + 1);
}

function foundCluster(state: Known, systemIdentifier: string, timeline: number): Decision {
  const { view, self } = state;
  const sync: SyncState = {
    epoch: 1,
    primary: voterOf(state),
    members: [],
    acknowledgements: view.definition?.durability.mode === 'Strict' ? view.definition.durability.acknowledgements : 0,
  };
  return transact(state, 'founding', 'founding the cluster', 'initialize', {
    compare: [
      { key: keys.initialize, is: 'absent' },
      { key: keys.epoch, is: 'absent' },
      { key: keys.bootstrap, is: 'modRevision', modRevision: view.bootstrap?.modRevision ?? 0 },
    ],
    writes: [
      { put: keys.initialize, value: { systemIdentifier, etcdClusterId: view.etcdClusterId, at: state.wall } },
      { put: keys.epoch, value: 1 },
      { put: keys.leader, value: leadership(state, 1), leased: true },
      { put: keys.sync, value: sync },
      {
        put: keys.history(1),
        value: { epoch: 1, winner: self.instance, reason: 'Bootstrap', timeline, at: state.wall },
      },
      { delete: keys.bootstrap },
    ],
  });
}

/** The first primary of new data, on its way from the transaction that made them the cluster's to their first promotion. */
export function isFounder(view: ClusterView, highestTimeline: number): boolean {
  const entry = view.history.get(view.epoch);
  if (entry === undefined || (view.epoch !== 1 && entry.reason !== 'Upgraded')) return false;
  return entry.lineage === undefined && highestTimeline < (entry.timeline ?? 0);
}
