/** A replica's way to the primary of the newest epoch, and back into its history (DESIGN §5, rule 11). */
import { keys, type Leader, type Member } from '../api/cluster-state.ts';
import { mayCopyNow } from './copies.ts';
import { act, transact, voterOf, vow, wait, type Known } from './decision.ts';
import { isSound, memberState, mustRepair, mustReplaceData, tellsOfReplacement } from './member-state.ts';
import type { Decision } from './state.ts';
import { answerReinitialization, mustReinitialize } from './reinitialize.ts';
import { restartIfAsked, restartTaken } from './restart.ts';
import { standsBack, tagsOf } from './successor.ts';
import { sameVoter } from './takeover.ts';
import { isOutgrown } from './upgrade.ts';

export function followLeader(state: Known, leader: Leader): Decision {
  const { view, database, self } = state;
  if (state.ending) return wait('ending', 'ending');
  const primary = view.members.get(leader.instance);
  switch (database.status) {
    case 'unknown':
      return wait('unready', 'looking at the data directory');
    case 'primary':
      return wait('fencing', 'waiting to be fenced');
    case 'broken':
      // Whatever it is, no instance of this cluster has left it.
      if (state.vow === 0) return wait('blocked-foreign-data', 'blocked: unknown data on this volume');
      return replaceData(state, primary, { type: 'clone' });
    case 'absent':
      return replaceData(state, primary, { type: 'clone' });
    case 'stopped':
      if (standsBack(state))
        return wait('standing-back', `${leader.instance} is becoming primary: leaving it the machine`);
      if (database.systemIdentifier !== view.initialize?.systemIdentifier)
        return (state.vow === 0 && database.initializedHere) || isOutgrown(view, database.systemIdentifier)
          ? replaceData(state, primary, { type: 'clone' })
          : wait('blocked-foreign-data', 'blocked: the data on this volume belongs to another cluster');
      if (mustReplaceData(state) || mustReinitialize(state)) return replaceData(state, primary, { type: 'clone' });
      if (database.diverged?.epoch === view.epoch)
        return state.vow < view.epoch
          ? vow(state, view.epoch)
          : replaceData(state, primary, { type: database.diverged.remedy });
      if (!database.needsPrimary)
        return restartTaken(state) ?? act(state, 'starting', 'starting the database', { type: 'start' });
      if (primary?.role !== 'primary')
        return wait('awaiting-primary', 'rewound, and waiting for a primary to start from');
      if (state.vow < view.epoch) return vow(state, view.epoch);
      return act(state, 'starting', `starting from ${primary.instance}`, {
        type: 'start',
        from: { epoch: view.epoch, primary },
      });
    case 'replica':
      break;
  }
  if (state.vow < view.epoch) return vow(state, view.epoch);
  if (isOutgrown(view, database.systemIdentifier)) return replaceData(state, primary, { type: 'clone' });
  if (database.diverged?.epoch === view.epoch) return replaceData(state, primary, { type: database.diverged.remedy });
  if (mustReinitialize(state)) return replaceData(state, primary, { type: 'clone' });
  if (mustRepair(state))
    return isSound(view, leader.instance)
      ? replaceData(state, primary, { type: 'clone' })
      : wait('awaiting-primary', 'damaged, and waiting for a primary that is sound to copy from');
  if (!primary) return wait('awaiting-primary', `waiting for ${leader.instance} to announce its address`);
  const { following } = database;
  if (
    following?.epoch === view.epoch &&
    following.instance === leader.instance &&
    following.address === primary.address
  )
    return restartIfAsked(state) ?? answerReinitialization(state) ?? wait('following', `following ${leader.instance}`);
  if (self.instance === leader.instance) return wait('following', 'leading');
  const history = view.history.get(view.epoch);
  if (database.unjudged?.epoch === view.epoch && !history?.lineage)
    return wait('awaiting-primary', `waiting for ${leader.instance} to tell its history`);
  return act(state, 'turning', `following ${leader.instance} in epoch ${view.epoch}`, {
    type: 'follow',
    epoch: view.epoch,
    primary,
    history,
  });
}

/** A write that etcd has taken in is applied within 5 s and twice its election timeout, or never (its ReqTimeout). */
const lateWrite = 8000;

/** Rewind and clone destroy the log that is there: never while an acknowledgement may rest on it (rule 11). */
function replaceData(state: Known, primary: Member | undefined, how: { readonly type: 'rewind' | 'clone' }): Decision {
  const { view } = state;
  const sync = view.sync?.value;
  const counted = sync && [sync.primary, ...sync.members].some((member) => sameVoter(member, voterOf(state)));
  if (counted !== false) return wait('leaving-sync-set', 'waiting to leave the sync set before the data is replaced');
  // One that is not open yet may be waiting for this very copy.
  if (primary?.role !== 'primary') return wait('awaiting-primary', 'waiting for a primary to copy from');
  const { database, retired } = state;
  const mine = view.members.get(state.self.instance);
  // Its key may have gone since, and come back as a streaming member's.
  const told =
    retired?.epoch === view.epoch && retired.settled && tellsOfReplacement(view, state.self.instance)
      ? retired
      : undefined;
  // What could go on streaming may have said that it does in a write that is still under way, and be counted for that.
  const streams = database.status === 'replica' && !database.diverged && memberState(state, true) === 'diverged';
  if (streams && told && state.now - told.since < lateWrite)
    return wait('retiring', 'waiting until nothing older can be said of it in etcd');
  const isFinal = told !== undefined && (!streams || told.at - told.since >= lateWrite);
  // A primary that saw this instance stream a moment ago may be about to count it. Rewriting `sync` makes that write fail,
  // and the state told with it keeps the next one from being made.
  if (database.status !== 'absent' && !isFinal) {
    if (!mine || !view.sync) return wait('retiring', 'waiting to be listed before the data is replaced');
    return transact(state, 'retiring', 'telling that the data will be replaced', 'retire', {
      compare: [
        { key: keys.epoch, is: 'value', value: String(view.epoch) },
        { key: keys.sync, is: 'modRevision', modRevision: view.sync.modRevision },
      ],
      writes: [
        { put: keys.sync, value: view.sync.value },
        { put: keys.member(mine.instance), value: { ...mine, ...voterOf(state), state: 'diverged' }, leased: true },
      ],
    });
  }
  // Data under a rewind look like data that need a clone.
  if (state.inFlight.database === 'rewind') return wait('rewinding', `rewinding to ${primary.instance}`);
  const phase = how.type === 'clone' ? 'cloning' : 'rewinding';
  if (!mayCopyNow(state, how.type)) return wait(phase, 'pausing before its data are replaced once more');
  if (how.type === 'clone') {
    const others = cloneSources(state);
    // One of the two may be what the last attempt failed of.
    const attempts = state.copies.filter(({ effect }) => effect === 'clone').length;
    const source = (attempts % 2 === 0 ? others[0] : undefined) ?? primary;
    const mayDiscardOld = others.length > 0;
    return act(state, phase, `cloning from ${source.instance}`, { type: 'clone', source, mayDiscardOld });
  }
  return act(state, phase, `rewinding to ${primary.instance}`, { type: 'rewind', epoch: view.epoch, primary });
}

/** Replicas of this epoch's primary, to spare it the work; first those that no write waits for. */
function cloneSources({ view, self }: Known): readonly Member[] {
  const counts = ({ instance }: Member): number =>
    Number(view.sync?.value.members.some((member) => member.instance === instance));
  return [...view.members.values()]
    .filter(
      ({ instance, state, position }) =>
        instance !== self.instance &&
        state === 'streaming' &&
        position?.epoch === view.epoch &&
        tagsOf(view, instance).replayDelay === undefined &&
        isSound(view, instance),
    )
    .toSorted((a, b) => counts(a) - counts(b) || a.instance.localeCompare(b.instance, 'en'));
}
