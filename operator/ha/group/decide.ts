/** What the agent of a member does next. Who is primary is the group's own affair. */
import { keys, type InstanceName, type PromiseRecord, type SyncState, type Voter } from '../../api/cluster-state.ts';
import { contains, parseGtidSet } from '../gtid-set.ts';
import { tagsOf } from '../successor.ts';
import type { DatabaseState } from '../state.ts';
import type { ClusterView } from '../view.ts';
import { act, transact, wait, type Known } from './decision.ts';
import { answer, formIfAllowed, foundGroup, whyNoGroup } from './form.ts';
import { nextNumber, takingPart } from './promises.ts';
import { hasMajority, isIn, onlineIn, takesPart, type SeenMember, type Sight } from './sight.ts';
import type { MemberDecision, MemberFacts } from './state.ts';

/** Then what the group has thrown away of its log is taken to be the reason. */
const hopelessJoins = 5;

export function decideMember(facts: MemberFacts): MemberDecision {
  const { view, database, health, sight } = facts;
  if (!view?.definition) return shutOr(sight, wait('waiting for the cluster’s definition'));
  const known: Known = { ...facts, view };
  const left = leaveIfAsked(known);
  if (left) return left;
  // What runs in a group is the group's to judge; a server that hangs keeps all of it waiting.
  if (health.status === 'failing' && (sight === undefined || othersCanGoOn(sight)))
    return act(`ending a database that fails: ${health.detail}`, { type: 'kill' });
  switch (database.status) {
    case 'unknown':
      return wait('looking at the data directory');
    case 'absent':
    case 'broken':
      return withoutData(known);
    case 'stopped':
      return stopped(known, database);
    case 'replica':
      return sight ? running(known, sight, database.systemIdentifier) : wait('waiting for the server’s answer');
    case 'primary':
      return act('ending a server that is no member of a group', { type: 'kill' });
  }
}

/** Nobody lets clients in whose place in the group isn't known. */
const shutOr = (sight: Sight | undefined, otherwise: MemberDecision): MemberDecision =>
  sight?.open === true && !takesPart(sight)
    ? act('keeping clients out: not in touch with a majority of the group', { type: 'shut' })
    : otherwise;

/** They would still be a majority. */
const othersCanGoOn = ({ members }: Sight): boolean =>
  2 * (members.filter(({ state }) => state === 'ONLINE').length - 1) > members.length;

// ---- asked for by people or the operator -----------------------------------------------------------------------------------

/** Leaves the group, and stops, if that is asked of it. */
function leaveIfAsked(facts: Known): MemberDecision | undefined {
  const { view, self, sight, database, wall } = facts;
  const fence = view.fences.get(self.instance)?.value;
  const out = (because: string): MemberDecision =>
    sight && sight.state !== 'OFFLINE' ? act(because, { type: 'leave' }) : act(because, { type: 'stop' });
  if (fence?.incarnation === self.incarnation)
    return database.status === 'replica' ? out(`fenced: ${fence.reason}`) : wait(`fenced: ${fence.reason}`);
  if (view.definition?.instances.includes(self.instance) === false)
    return sight && sight.state !== 'OFFLINE'
      ? act('leaving: the cluster is to be without this instance', { type: 'leave' })
      : wait('the cluster is to be without this instance');

  const restart = view.restarts.get(self.instance);
  if (restart) {
    const { id, reason, deadline } = restart.value;
    const done = (outcome: 'done' | 'refused', why: string): MemberDecision =>
      transact(facts, `answering a restart: ${why}`, 'answer', {
        compare: [{ key: keys.restart(self.instance), is: 'modRevision', modRevision: restart.modRevision }],
        writes: [{ delete: keys.restart(self.instance) }, answer(facts, id, outcome, why)],
      });
    if (database.status === 'stopped') return done('done', `${self.instance} has stopped, and starts again`);
    if (deadline <= wall) return done('refused', 'its deadline is over');
    if (database.status === 'replica') return out(`stopping for a restart (${reason})`);
  }

  const again = view.reinitializations.get(self.instance);
  if (!again) return undefined;
  const key = keys.reinitialize(self.instance);
  const done = (outcome: 'done' | 'refused', why: string): MemberDecision =>
    transact(facts, `answering a reinitialization: ${why}`, 'answer', {
      compare: [{ key, is: 'modRevision', modRevision: again.modRevision }],
      writes: [{ delete: key }, answer(facts, again.value.id, outcome, why)],
    });
  if (again.value.incarnation !== self.incarnation)
    return sight && takesPart(sight) ? done('done', `${self.instance} has new data, and takes part`) : undefined;
  if (again.value.deadline <= wall) return done('refused', 'its deadline is over');
  if (isLeader(facts)) return done('refused', `${self.instance} is primary: ask for a switchover first`);
  const source = donor(view, self.instance);
  if (source === undefined) return done('refused', 'there is no other member to clone from');
  if (sight && sight.state !== 'OFFLINE') return act('leaving the group for a new clone', { type: 'leave' });
  // It tells of it first, so that the group's record is without it.
  if (counts(view, self)) return wait('waiting until nobody counts on its data');
  return act(`cloning ${source} as asked`, { type: 'clone', source });
}

const counts = ({ sync }: ClusterView, { instance, incarnation }: Voter): boolean =>
  sync !== undefined &&
  [sync.value.primary, ...sync.value.members].some(
    (voter) => voter.instance === instance && voter.incarnation === incarnation,
  );

// ---- data -----------------------------------------------------------------------------------------------------------------

function withoutData(facts: Known): MemberDecision {
  const { view, self, database, vow } = facts;
  if (!view.initialize) {
    if (database.status !== 'absent') return wait('blocked: unknown data on this volume');
    return initialize(facts, vow);
  }
  const source = donor(view, self.instance);
  if (source !== undefined) return act(`cloning ${source}`, { type: 'clone', source });
  // What it held is nowhere else for certain: its word that it holds nothing would pass for the end of its log.
  if (counts(view, self))
    return wait('blocked: its data are gone, and may have been the only copy of acknowledged writes');
  // Only who knows that all others are out of the group may form it anew, those without data among them.
  return promise(facts, '') ?? wait(whyNoGroup(view));
}

function initialize(facts: Known, vow: number): MemberDecision {
  const { view, self, lease } = facts;
  if (vow > 0 || view.definition?.founded)
    return wait('blocked: this cluster has had data, and etcd knows nothing of it');
  const { bootstrap } = view;
  if (bootstrap?.value === self.instance && bootstrap.lease === lease)
    return act('initialising the database', { type: 'initialize' });
  if (bootstrap) return wait(`${bootstrap.value} initialises the cluster`);
  return transact(facts, 'applying to initialise the cluster', 'bootstrap', {
    compare: [
      { key: keys.bootstrap, is: 'absent' },
      { key: keys.initialize, is: 'absent' },
    ],
    writes: [{ put: keys.bootstrap, value: self.instance, leased: true }],
  });
}

/** A secondary where there is one: a clone takes time and disk of its source. */
function donor(view: ClusterView, self: InstanceName): InstanceName | undefined {
  const leader = view.leader?.value.instance;
  const fit = takingPart(view).filter(
    (instance) => instance !== self && view.members.get(instance)?.group?.online === true,
  );
  return fit.find((instance) => instance !== leader) ?? fit[0];
}

function stopped(facts: Known, database: DatabaseState & { readonly status: 'stopped' }): MemberDecision {
  const { view, self, vow } = facts;
  const { initialize: cluster } = view;
  if (!cluster) {
    if (vow > 0 || view.definition?.founded || !database.initializedHere)
      return wait('blocked: this instance has data of which etcd knows nothing');
    const { bootstrap } = view;
    return bootstrap?.value === self.instance && bootstrap.lease === facts.lease
      ? act('starting the database', { type: 'start' })
      : initialize(facts, vow);
  }
  if (cluster.systemIdentifier !== database.systemIdentifier) {
    // Made here by one that was not the first, and never used.
    const source = database.initializedHere && vow === 0 ? donor(view, self.instance) : undefined;
    return source === undefined
      ? wait('blocked: the data on this volume are another cluster’s')
      : act(`cloning ${source}`, { type: 'clone', source });
  }
  return act('starting the database', { type: 'start' });
}

// ---- a running server -----------------------------------------------------------------------------------------------------

function running(facts: Known, sight: Sight, systemIdentifier: string): MemberDecision {
  const { view, self, vow } = facts;
  const { group } = view;
  if (!view.initialize)
    return view.bootstrap?.value === self.instance && view.bootstrap.lease === facts.lease && vow === 0
      ? foundGroup(facts, systemIdentifier)
      : shutOr(sight, wait('etcd knows nothing of this cluster'));
  if (view.initialize.etcdClusterId !== view.etcdClusterId || (group?.value.number ?? 0) < vow)
    return shutOr(
      sight,
      wait(
        'etcd is not as this instance knows it (restored, or replaced): the group goes on, nobody forms or joins one',
      ),
    );
  if (isIn(sight) && sight.number < (group?.value.number ?? 0))
    return act('leaving a group that is over', { type: 'leave' });
  if (!isIn(sight))
    return sight.state === 'OFFLINE'
      ? outside(facts, sight)
      : act('leaving the group, which has excluded it', { type: 'leave' });
  if (!hasMajority(sight))
    return shutOr(sight, wait(`not in touch with a majority of the group: ${absent(facts, sight)}`));
  if (sight.state === 'RECOVERING') return shutOrWait(sight, 'catching up with the group');
  return online(facts, sight);
}

const shutOrWait = (sight: Sight, because: string): MemberDecision =>
  sight.open ? act(because, { type: 'shut' }) : wait(because);

function absent({ view }: Known, sight: Sight): string {
  const gone = sight.members.filter(({ state }) => state !== 'ONLINE' && state !== 'RECOVERING');
  return `${gone.map((member) => nameOf(view, member) ?? member.incarnation).join(', ')} can’t be reached`;
}

export function nameOf(view: ClusterView, { incarnation }: SeenMember): InstanceName | undefined {
  const is = (voter: Voter): boolean => voter.incarnation.slice(0, 8) === incarnation;
  const recorded = view.sync ? [view.sync.value.primary, ...view.sync.value.members] : [];
  return ([...view.members.values()].find(is) ?? recorded.find(is))?.instance;
}

function outside(facts: Known, sight: Sight): MemberDecision {
  if (sight.open) return act('keeping clients out: not a member of the group', { type: 'shut' });
  if (!sight.applied) return act('applying what it had received from the group', { type: 'leave' });
  const { view, self, right, spent, permit, vow } = facts;
  const group = view.group?.value;
  if (group && group.right === right && group.number > spent) {
    if (vow < group.number) return act(`noting group ${group.number}`, { type: 'vow', number: group.number });
    return act(`forming group ${group.number}`, { type: 'form', number: group.number });
  }
  if (isLeader(facts))
    return transact(facts, 'giving up leadership: not a member of the group any more', 'release', {
      compare: [{ key: keys.leader, is: 'modRevision', modRevision: view.leader?.modRevision ?? 0 }],
      writes: [{ delete: keys.leader }],
    });
  const seeds = takingPart(view).filter((instance) => instance !== self.instance);
  if (group && seeds.length > 0) {
    const cure = afterFailedJoins(facts, sight, seeds);
    if (cure) return cure;
    if (permit !== group.number) return permission(facts, group.number);
    if (vow < group.number) return act(`noting group ${group.number}`, { type: 'vow', number: group.number });
    return act(`joining the group by ${seeds.join(', ')}`, { type: 'join', number: group.number, seeds });
  }
  return promise(facts, sight.gtids) ?? formIfAllowed(facts) ?? wait(whyNoGroup(view));
}

/** A log that is part of the group's, and too old for it to catch up: a copy loses nothing. Anything else is a person's decision. */
function afterFailedJoins(facts: Known, sight: Sight, seeds: readonly InstanceName[]): MemberDecision | undefined {
  const { view, failedJoins } = facts;
  const own = parseGtidSet(sight.gtids);
  const others = seeds.flatMap((instance) => {
    const position = view.members.get(instance)?.position;
    return position && 'gtids' in position ? [parseGtidSet(position.gtids)] : [];
  });
  const isPart = others.some((gtids) => contains(gtids, own));
  if (failedJoins < hopelessJoins) return undefined;
  const source = donor(view, facts.self.instance);
  if (isPart && source !== undefined && !counts(view, facts.self))
    return act(`cloning ${source}: the group has thrown away what this log lacks`, { type: 'clone', source });
  return isPart
    ? undefined
    : wait(
        'diverged: its log has transactions that the group’s lacks. Look at them, then ask for a ClusterOperation of type Reinitialize',
      );
}

/** By which no promise of the past can be applied any more. */
function permission(facts: Known, number: number): MemberDecision {
  const { view, self } = facts;
  const own = view.promises.get(self.instance);
  const record: PromiseRecord = { ...self, epoch: number, position: { epoch: number, gtids: '' } };
  return transact(facts, `taking back its promise, to join group ${number}`, 'permit', {
    compare: [
      { key: keys.group, is: 'modRevision', modRevision: view.group?.modRevision ?? 0 },
      own
        ? { key: keys.promise(self.instance), is: 'modRevision', modRevision: own.modRevision }
        : { key: keys.promise(self.instance), is: 'absent' },
    ],
    writes: [{ put: keys.promise(self.instance), value: record }],
  });
}

/** Undefined: it has been given. */
function promise(facts: Known, gtids: string): MemberDecision | undefined {
  const { view, self } = facts;
  const own = view.promises.get(self.instance);
  const number = nextNumber(view);
  if (own?.value.epoch === number && own.value.incarnation === self.incarnation && gtidsOf(own.value) === gtids)
    return undefined;
  const record: PromiseRecord = { ...self, epoch: number, position: { epoch: number - 1, gtids } };
  return transact(facts, `promising to be in no group before ${number}`, 'promise', {
    compare: [
      view.group
        ? { key: keys.group, is: 'modRevision', modRevision: view.group.modRevision }
        : { key: keys.group, is: 'absent' },
      own
        ? { key: keys.promise(self.instance), is: 'modRevision', modRevision: own.modRevision }
        : { key: keys.promise(self.instance), is: 'absent' },
    ],
    writes: [{ put: keys.promise(self.instance), value: record }],
  });
}

const gtidsOf = ({ position }: PromiseRecord): string => ('gtids' in position ? position.gtids : '');

// ---- a member ---------------------------------------------------------------------------------------------------------------

function online(facts: Known, sight: Sight): MemberDecision {
  if (isAlone(facts, sight))
    return shutOrWait(sight, 'keeping clients out: it is the only member, and a write would be nowhere else');
  if (!sight.open) return act('letting clients in', { type: 'open' });
  return lead(facts, sight) ?? serveRequests(facts, sight) ?? record(facts, sight) ?? wait(describe(facts, sight));
}

/** What it acknowledges would be on no other machine. One that serves alone goes on while the first of the others still come. */
function isAlone({ view, self }: Known, { members, number, open }: Sight): boolean {
  if (members.length > 1 || (view.definition?.instances.length ?? 1) === 1) return false;
  const hadOthers = [...view.promises.values()].some(
    ({ value }) => value.instance !== self.instance && value.epoch === number,
  );
  return hadOthers || !open;
}

const isMine = (facts: Known, member: SeenMember): boolean => facts.self.incarnation.slice(0, 8) === member.incarnation;

const isPrimary = (facts: Known, sight: Sight): boolean =>
  sight.writable && sight.members.some((member) => member.primary && isMine(facts, member));

export const isLeader = ({ view, self, lease }: Known): boolean =>
  view.leader?.value.instance === self.instance && view.leader.value.lease === lease;

/** Follows the group: in etcd stands who is its primary, and in a group of many primaries who speaks for it. */
function lead(facts: Known, sight: Sight): MemberDecision | undefined {
  const { view, self } = facts;
  if (isLeader(facts) || !isPrimary(facts, sight)) return undefined;
  // Somebody who has seen a later membership knows better.
  const isOutdated = [...view.members.values()].some(
    ({ instance, group }) =>
      instance !== self.instance && group?.taking === true && group.number === sight.number && group.view > sight.view,
  );
  if (isOutdated) return wait('the group’s membership is changing');
  const request = view.switchover;
  const asked = request?.value.to === self.instance;
  if (isMulti(view) && !asked && speaker(facts, sight) !== self.instance) return undefined;
  const epoch = view.epoch + 1;
  const former = view.leader?.value.instance;
  const handedOver = request !== undefined && request.value.from === former && former !== self.instance;
  const reason = handedOver ? 'Switchover' : 'ElectedByGroup';
  return transact(facts, `following the group, whose primary it is, in epoch ${epoch}`, 'lead', {
    compare: [
      { key: keys.epoch, is: 'value', value: String(view.epoch) },
      { key: keys.group, is: 'modRevision', modRevision: view.group?.modRevision ?? 0 },
      view.leader
        ? { key: keys.leader, is: 'modRevision', modRevision: view.leader.modRevision }
        : { key: keys.leader, is: 'absent' },
      ...(handedOver ? [{ key: keys.switchover, is: 'modRevision' as const, modRevision: request.modRevision }] : []),
    ],
    writes: [
      { put: keys.epoch, value: epoch },
      { put: keys.leader, value: { ...self, epoch, lease: facts.lease ?? '' }, leased: true },
      { put: keys.sync, value: recorded(facts, sight, epoch) },
      { put: keys.history(epoch), value: { epoch, winner: self.instance, reason, at: facts.wall } },
      ...(handedOver
        ? [{ delete: keys.switchover }, answer(facts, request.value.id, 'done', `${self.instance} is primary`)]
        : []),
    ],
  });
}

const isMulti = ({ definition }: ClusterView): boolean => definition?.group?.mode === 'MultiPrimary';

/** Who speaks for a group of many primaries: who does, as long as it is there, else the first by name. */
function speaker({ view }: Known, sight: Sight): InstanceName | undefined {
  const there = onlineIn(sight).flatMap((member) => nameOf(view, member) ?? []);
  const leader = view.leader?.value.instance;
  return leader !== undefined && there.includes(leader) ? leader : there.toSorted()[0];
}

/** In the words of semi-synchronous replication: whose memory has each write before it is acknowledged, besides the primary's. */
function recorded({ view, self }: Known, sight: Sight, epoch: number): SyncState {
  const others = onlineIn(sight).flatMap((member): Voter[] => {
    const instance = nameOf(view, member);
    const life = instance === undefined ? undefined : lifeOf(view, instance, member);
    return instance === undefined || life === undefined || instance === self.instance
      ? []
      : [{ instance, incarnation: life }];
  });
  return {
    epoch,
    primary: self,
    members: others.toSorted((a, b) => a.instance.localeCompare(b.instance, 'en')),
    acknowledgements: Math.floor(sight.members.length / 2),
  };
}

function lifeOf(view: ClusterView, instance: InstanceName, seen: SeenMember): string | undefined {
  const live = view.members.get(instance)?.incarnation;
  if (live?.slice(0, 8) === seen.incarnation) return live;
  const sync = view.sync?.value;
  return (
    sync &&
    [sync.primary, ...sync.members].find((voter) => voter.incarnation.slice(0, 8) === seen.incarnation)?.incarnation
  );
}

function record(facts: Known, sight: Sight): MemberDecision | undefined {
  const { view } = facts;
  if (!isLeader(facts) || !view.sync) return undefined;
  const wanted = recorded(facts, sight, view.epoch);
  if (JSON.stringify(wanted) === JSON.stringify(view.sync.value)) return undefined;
  return transact(
    facts,
    `recording who takes part: ${wanted.members.map(({ instance }) => instance).join(', ') || 'nobody else'}`,
    'record',
    {
      compare: [
        { key: keys.epoch, is: 'value', value: String(view.epoch) },
        { key: keys.sync, is: 'modRevision', modRevision: view.sync.modRevision },
        { key: keys.leader, is: 'modRevision', modRevision: view.leader?.modRevision ?? 0 },
      ],
      writes: [{ put: keys.sync, value: wanted }],
    },
  );
}

/** Of whoever speaks for the group. */
function serveRequests(facts: Known, sight: Sight): MemberDecision | undefined {
  const { view, self, wall } = facts;
  if (!isLeader(facts)) return undefined;
  const refuse = (
    key: string,
    request: { readonly value: { readonly id: string }; readonly modRevision: number },
    why: string,
  ) =>
    transact(facts, `refusing a request: ${why}`, 'answer', {
      compare: [{ key, is: 'modRevision', modRevision: request.modRevision }],
      writes: [{ delete: key }, answer(facts, request.value.id, 'refused', why)],
    });
  if (view.failover) return refuse(keys.failover, view.failover, `${self.instance} is primary: ask for a switchover`);
  if (view.upgrade) return refuse(keys.upgrade, view.upgrade, 'a group is not upgraded in place');
  const { switchover } = view;
  if (!switchover) return undefined;
  if (switchover.value.deadline <= wall) return refuse(keys.switchover, switchover, 'its deadline is over');
  if (switchover.value.from !== self.instance)
    return refuse(keys.switchover, switchover, `${switchover.value.from} is not primary`);
  const to = switchover.value.to ?? successor(facts, sight);
  const candidate = onlineIn(sight).find((member) => to !== undefined && nameOf(view, member) === to);
  const life = candidate && to !== undefined ? lifeOf(view, to, candidate) : undefined;
  if (to === undefined || life === undefined || to === self.instance)
    return refuse(keys.switchover, switchover, `${to ?? 'nobody else'} is not an up-to-date member of the group`);
  // There the candidate takes over what is spoken in etcd; it is a primary already.
  if (isMulti(view)) return wait(`handing over to ${to}`);
  return act(`handing over to ${to}`, { type: 'hand-over', to: { instance: to, incarnation: life } });
}

function successor({ view, self }: Known, sight: Sight): InstanceName | undefined {
  return onlineIn(sight)
    .flatMap((member) => nameOf(view, member) ?? [])
    .filter((instance) => instance !== self.instance)
    .toSorted((a, b) => tagsOf(view, b).priority - tagsOf(view, a).priority || a.localeCompare(b, 'en'))[0];
}

function describe(facts: Known, sight: Sight): string {
  const count = onlineIn(sight).length;
  const of = `of a group of ${sight.members.length}, ${count} up to date`;
  return isPrimary(facts, sight) ? `primary ${of}` : `secondary ${of}`;
}
