/**
 * etcd is not the one that the cluster began with: restored, or replaced. Its promises, epochs and sync sets may be older than
 * what was acknowledged, so nobody elects or changes anything (F9), until a person asks to adopt it. Then every instance
 * seals its log and says where it ends, and one transaction begins anew above all that anybody remembers: whoever has the
 * longest log is the recorded primary, and the only one who may claim first.
 */
import { keys, type AdoptionRecord, type HistoryEntry, type SyncState } from '../api/cluster-state.ts';
import { act, answered, transact, voterOf, wait, type Known } from './decision.ts';
import { comparePositions } from './position.ts';
import type { Decision } from './state.ts';

export function adopt(state: Known): Decision {
  const { view, database } = state;
  const request = view.adopt?.value;
  if (request?.etcdClusterId !== view.etcdClusterId)
    return wait(
      'blocked-etcd-replaced',
      `blocked: etcd is ${view.etcdClusterId}, not the one this cluster began with; elections stay frozen until it is adopted`,
    );
  switch (database.status) {
    case 'unknown':
      return wait('unready', 'looking at the data directory');
    case 'absent':
    case 'broken':
      return wait('dataless', 'no data to offer for an adoption');
    case 'primary':
      return act(state, 'adopting', 'stopping to adopt another etcd', { type: 'stop' });
    case 'stopped':
      return database.needsPrimary
        ? wait('dataless', 'rewound, and waiting for a primary to start from')
        : act(state, 'starting', 'starting the database', { type: 'start' });
    case 'replica':
      break;
  }
  const { sealed, timeline } = database;
  if (!sealed || timeline === undefined)
    return act(state, 'adopting', 'sealing to adopt another etcd', { type: 'seal', adopting: true });
  const own: AdoptionRecord = {
    request: request.id,
    ...voterOf(state),
    vow: state.vow,
    position: sealed,
    timeline,
    systemIdentifier: database.systemIdentifier,
  };
  const offered = view.adoptions.get(own.instance);
  if (!offered || JSON.stringify(sorted(offered)) !== JSON.stringify(sorted(own)))
    return transact(state, 'adopting', 'offering its log for the adoption', 'offer-adoption', {
      compare: [{ key: keys.adopt, is: 'modRevision', modRevision: view.adopt?.modRevision ?? 0 }],
      writes: [{ put: keys.adoption(own.instance), value: own }],
    });
  return decideAdoption(state);
}

function decideAdoption(state: Known): Decision {
  const { view, self } = state;
  const request = view.adopt?.value;
  const { definition, initialize } = view;
  if (!request || !definition || !initialize) return wait('adopting', 'waiting for the request');
  const offers = [...view.adoptions.values()].filter(
    (offer) => offer.request === request.id && offer.systemIdentifier === initialize.systemIdentifier,
  );
  const missing = definition.instances.filter((instance) => !offers.some((offer) => offer.instance === instance));
  const unexcused = missing.filter((instance) => !request.without.includes(instance));
  if (unexcused.length > 0) return wait('adopting', `adopting: waiting for ${unexcused.join(', ')}`);
  const names = offers.map(({ instance }) => instance).toSorted();
  if (names[0] !== self.instance) return wait('adopting', `adopting: ${names[0] ?? 'nobody'} decides`);

  const best = offers.toSorted((a, b) => comparePositions(b.position, a.position))[0];
  if (!best) return wait('adopting', 'adopting: nobody has data');
  const known = new Set([...view.history.values()].map((entry) => entry.timeline));
  const forgotten = [...new Set(offers.map(({ timeline }) => timeline))]
    .filter((timeline) => !known.has(timeline) && timeline !== best.timeline)
    .toSorted((a, b) => a - b);
  const first = Math.max(view.epoch, ...offers.map(({ vow }) => vow)) + 1;
  const epoch = first + forgotten.length;
  const entry = (of: number, timeline: number): HistoryEntry => ({
    epoch: of,
    winner: best.instance,
    reason: 'Adopted',
    timeline,
    at: state.wall,
    ...(missing.length > 0 ? { forced: { request: request.id, reason: request.reason, missing } } : {}),
  });
  const sync: SyncState = {
    epoch,
    primary: { instance: best.instance, incarnation: best.incarnation },
    // Nobody counts yet: what the others lack of this log may have been acknowledged.
    members: [],
    acknowledgements: Math.max(1, definition.durability.acknowledgements),
  };
  return transact(state, 'adopting', `adopting this etcd in epoch ${epoch}`, 'adopt', {
    compare: [
      { key: keys.adopt, is: 'modRevision', modRevision: view.adopt.modRevision },
      { key: keys.epoch, is: 'value', value: String(view.epoch) },
    ],
    writes: [
      { put: keys.epoch, value: epoch },
      { put: keys.initialize, value: { ...initialize, etcdClusterId: view.etcdClusterId } },
      { put: keys.sync, value: sync },
      ...forgotten.map((timeline, index) => ({
        put: keys.history(first + index),
        value: entry(first + index, timeline),
      })),
      { put: keys.history(epoch), value: entry(epoch, best.timeline) },
      ...[...view.promises.keys()].map((instance) => ({ delete: keys.promise(instance) })),
      ...[...view.adoptions.keys()].map((instance) => ({ delete: keys.adoption(instance) })),
      ...(view.leader ? [{ delete: keys.leader }] : []),
      ...(view.release ? [{ delete: keys.release }] : []),
      { delete: keys.adopt },
      answered(state, request.id, 'done', `etcd ${view.etcdClusterId} adopted in epoch ${epoch}`),
    ],
  });
}

const sorted = (record: AdoptionRecord): readonly unknown[] => [
  record.request,
  record.instance,
  record.incarnation,
  record.vow,
  record.position.epoch,
  record.position.lsn,
  record.timeline,
];
