/**
 * etcd is not the one that the cluster began with, or has gone back in time: restored, or replaced. Its promises, epochs and
 * sync sets may be older than what was acknowledged, so nobody elects or changes anything (F9), until a person asks to adopt
 * it. Then every instance seals its log and says where it ends, and one transaction begins anew above all that anybody
 * remembers: whoever has the longest log is the recorded primary, and the only one who may claim first.
 */
import {
  keys,
  type AdoptionRecord,
  type HistoryEntry,
  type InstanceName,
  type SyncState,
} from '../api/cluster-state.ts';
import { act, answered, transact, voterOf, wait, type Known } from './decision.ts';
import { compareLengths, comparePositions } from './position.ts';
import type { Decision } from './state.ts';
import { epochOfEnd } from './view.ts';

/** With instances missing, numbers that only they know of must not be used again. */
const epochJump = 1000;
const timelineJump = 100;

/** This etcd cannot be trusted, or a person has asked for its adoption, which all take part in. */
export function mustAdopt(state: Known): boolean {
  return isReplaced(state) || isRewound(state) || isAskedFor(state);
}

const isReplaced = ({ view }: Known): boolean =>
  view.initialize !== undefined && view.initialize.etcdClusterId !== view.etcdClusterId;
const isRewound = ({ view, seen, vow }: Known): boolean =>
  view.initialize !== undefined && (seen.rewound || vow > view.epoch + 1);
const isAskedFor = ({ view }: Known): boolean => view.adopt?.value.etcdClusterId === view.etcdClusterId;

export function adopt(state: Known): Decision {
  const { view, database } = state;
  const request = view.adopt?.value;
  if (!isAskedFor(state) || !request) {
    if (isRewound(state) && !view.rewound) return warn(state);
    return isReplaced(state)
      ? wait(
          'blocked-etcd-replaced',
          `blocked: etcd is ${view.etcdClusterId}, not the one this cluster began with; elections stay frozen until it is adopted`,
        )
      : wait(
          'blocked-etcd-rewound',
          `blocked: etcd has gone back in time to epoch ${view.epoch}; elections stay frozen until it is adopted`,
        );
  }
  switch (database.status) {
    case 'unknown':
      return wait('unready', 'looking at the data directory');
    case 'absent':
    case 'broken':
      return wait('dataless', 'no data to offer for an adoption');
    case 'primary':
      return act(state, 'adopting', 'stopping to adopt another etcd', { type: 'stop' });
    case 'stopped':
      return database.needsPrimary || database.diverged
        ? wait('dataless', 'it cannot start as it is; waiting for a primary')
        : act(state, 'starting', 'starting the database', { type: 'start' });
    case 'replica':
      break;
  }
  const { sealed, timeline, highestTimeline } = database;
  if (!sealed || timeline === undefined || sealed.epoch !== epochOfEnd(view.history, timeline))
    return act(state, 'adopting', 'sealing to adopt another etcd', { type: 'seal', adopting: true });
  const own: AdoptionRecord = {
    request: request.id,
    ...voterOf(state),
    vow: state.vow,
    position: sealed,
    timeline,
    highestTimeline,
    adoptions: state.seen.adoptions,
    systemIdentifier: database.systemIdentifier,
  };
  if (!isSame(view.adoptions.get(own.instance), own))
    return transact(state, 'adopting', 'offering its log for the adoption', 'offer-adoption', {
      compare: [{ key: keys.adopt, is: 'modRevision', modRevision: view.adopt.modRevision }],
      writes: [{ put: keys.adoption(own.instance), value: own }],
    });
  return decideAdoption(state, database.systemIdentifier);
}

/** Those who were away meanwhile cannot see it, and would count the promises that have come back. */
function warn(state: Known): Decision {
  const { seen, self, wall } = state;
  return transact(state, 'blocked-etcd-rewound', 'blocked: telling that etcd has gone back in time', 'warn-of-rewind', {
    compare: [{ key: keys.rewound, is: 'absent' }],
    writes: [{ put: keys.rewound, value: { instance: self.instance, revision: seen.revision, at: wall } }],
  });
}

function decideAdoption(state: Known, ownIdentifier: string): Decision {
  const { view, self } = state;
  const request = view.adopt?.value;
  const { definition } = view;
  if (!request || !definition) return wait('adopting', 'waiting for the request');
  const systemIdentifier = view.initialize?.systemIdentifier ?? ownIdentifier;
  const offers = [...view.adoptions.values()].filter(
    (offer) => offer.request === request.id && offer.systemIdentifier === systemIdentifier,
  );
  const missing = everybody(state).filter((instance) => !offers.some((offer) => offer.instance === instance));
  const unexcused = missing.filter((instance) => !request.without.includes(instance));
  if (unexcused.length > 0) return wait('adopting', `adopting: waiting for ${unexcused.join(', ')}`);
  const names = offers.map(({ instance }) => instance).toSorted();
  if (names[0] !== self.instance) return wait('adopting', `adopting: ${names[0] ?? 'nobody'} decides`);

  const diverged = (a: AdoptionRecord): readonly AdoptionRecord[] =>
    offers.filter((b) => comparePositions(a.position, b.position) === 'incomparable');
  const able = offers.filter((offer) => !request.without.includes(offer.instance) || diverged(offer).length === 0);
  const best = able.toSorted((a, b) => compareLengths(b.position, a.position))[0];
  if (!best) return wait('adopting', 'adopting: nobody has data');
  const rival = diverged(best).find(({ instance }) => !request.without.includes(instance));
  if (rival)
    return wait(
      'adopting',
      `adopting: ${best.instance} and ${rival.instance} each hold transactions that the other lacks; ask anew, without one of them`,
    );
  const epochs = newEpochs(state, offers, best, missing.length > 0);
  const epoch = epochs.at(-1)?.epoch ?? view.epoch + 1;
  const entry = (of: { readonly epoch: number; readonly timeline: number }): HistoryEntry => ({
    ...of,
    winner: best.instance,
    reason: 'Adopted',
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
      view.initialize
        ? { key: keys.epoch, is: 'value', value: String(view.epoch) }
        : { key: keys.initialize, is: 'absent' },
    ],
    writes: [
      { put: keys.epoch, value: epoch },
      {
        put: keys.initialize,
        value: {
          at: state.wall,
          ...view.initialize,
          systemIdentifier,
          etcdClusterId: view.etcdClusterId,
          adoptions: 1 + Math.max(view.initialize?.adoptions ?? 0, ...offers.map(({ adoptions }) => adoptions)),
        },
      },
      { put: keys.sync, value: sync },
      ...epochs.map((of) => ({ put: keys.history(of.epoch), value: entry(of) })),
      ...[...view.promises.keys()].map((instance) => ({ delete: keys.promise(instance) })),
      ...[...view.adoptions.keys()].map((instance) => ({ delete: keys.adoption(instance) })),
      ...(view.leader ? [{ delete: keys.leader }] : []),
      ...(view.release ? [{ delete: keys.release }] : []),
      { delete: keys.rewound },
      { delete: keys.adopt },
      answered(state, request.id, 'done', `etcd ${view.etcdClusterId} adopted in epoch ${epoch}`),
    ],
  });
}

/** Whoever may hold acknowledged writes, as far as this etcd can tell: its definition may be older than the cluster. */
function everybody({ view }: Known): readonly InstanceName[] {
  const sync = view.sync?.value;
  const counted = sync ? [sync.primary, ...sync.members].map(({ instance }) => instance) : [];
  return [...new Set([...(view.definition?.instances ?? []), ...view.members.keys(), ...counted])];
}

/** One epoch for each timeline that this etcd has forgotten, in their order; the last is the best log's. */
function newEpochs(
  { view }: Known,
  offers: readonly AdoptionRecord[],
  best: AdoptionRecord,
  someMissing: boolean,
): readonly { readonly epoch: number; readonly timeline: number }[] {
  const known = [...view.history.values()].map((entry) => entry.timeline ?? 0);
  const forgotten = [...new Set(offers.map(({ timeline }) => timeline))]
    .filter((timeline) => !known.includes(timeline) && timeline !== best.timeline)
    .toSorted((a, b) => a - b);
  const highest = Math.max(...known, ...offers.map((offer) => offer.highestTimeline));
  const timelines = [...forgotten, ...(someMissing ? [highest + timelineJump] : []), best.timeline];
  const next = Math.max(view.epoch, ...offers.map(({ vow }) => vow)) + 1;
  const first = someMissing ? Math.ceil(next / epochJump) * epochJump : next;
  return timelines.map((timeline, index) => ({ epoch: first + index, timeline }));
}

function isSame(a: AdoptionRecord | undefined, b: AdoptionRecord): boolean {
  return (
    a !== undefined &&
    a.request === b.request &&
    a.incarnation === b.incarnation &&
    a.vow === b.vow &&
    a.timeline === b.timeline &&
    comparePositions(a.position, b.position) === 0
  );
}
