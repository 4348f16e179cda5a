import type { InstanceName, Member } from '../api/cluster-state.ts';
import { mustReinitialize } from './reinitialize.ts';
import type { HaState } from './state.ts';
import { tagsOf } from './successor.ts';
import { sameVoter } from './takeover.ts';
import type { ClusterView } from './view.ts';

/** Starts that must have failed, and the time over which, before data that another primary could replace counts as lost. */
const hopeless = { starts: 5, milliseconds: 300_000 };

export const mustReplaceData = ({ database, startFailures, now }: HaState): boolean =>
  database.status === 'stopped' &&
  startFailures !== undefined &&
  startFailures.count >= hopeless.starts &&
  now - startFailures.since >= hopeless.milliseconds;

/**
 * A replica with damaged files takes a fresh copy while others can do without it: enough that stream, none of them known to be
 * damaged, and a primary that is well. It goes by what it has told of its damage, not by what it knows: of two that find theirs
 * at once, one at least has then seen the other's. What it has announced it does: nobody counts on it any more.
 */
export function mustRepair(state: HaState): boolean {
  const { view, self, database } = state;
  const leader = view?.leader?.value.instance;
  const mine = view?.members.get(self.instance);
  if (!view?.definition || leader === undefined || leader === self.instance) return false;
  if (database.status !== 'replica' || !mine?.corruption?.copyHelps || !sameVoter(mine, self)) return false;
  if (state.retired?.epoch === view.epoch) return true;
  const others = [...view.members.values()].filter(
    ({ instance }) => instance !== self.instance && isSound(view, instance),
  );
  const replicas = others.filter((member) => member.state === 'streaming' && !tagsOf(view, member.instance).noSync);
  return isSound(view, leader) && replicas.length >= view.definition.durability.acknowledgements;
}

/** As far as it has told. */
export function isSound(view: ClusterView, instance: InstanceName): boolean {
  const member = view.members.get(instance);
  return member !== undefined && !member.corruption && member.failing === undefined;
}

/** The primary leaves it out of the sync set then. With nobody to clone from, its data may be needed yet. */
const leavesForReinitialization = (state: HaState): boolean =>
  mustReinitialize(state) &&
  state.view?.leader !== undefined &&
  state.view.leader.value.instance !== state.self.instance;

/** Nobody counts on its data any more, as far as it has told. */
export const tellsOfReplacement = (view: ClusterView, instance: InstanceName): boolean =>
  ['diverged', 'rewinding', 'cloning'].includes(view.members.get(instance)?.state ?? '');

/** What an instance tells of itself in `members/*`. */
export function memberState(state: HaState, streaming: boolean): Member['state'] {
  const { database, inFlight } = state;
  if (inFlight.database === 'initialize') return 'initializing';
  if (inFlight.database === 'clone') return 'cloning';
  if (inFlight.database === 'rewind') return 'rewinding';
  if (inFlight.database === 'start') return 'starting';
  if (inFlight.database === 'promote') return 'promoting';
  switch (database.status) {
    case 'unknown':
    case 'absent':
      return 'waiting';
    case 'broken':
      return 'diverged';
    case 'stopped':
      return database.diverged || mustReplaceData(state) || leavesForReinitialization(state) ? 'diverged' : 'stopped';
    case 'primary':
      return database.open ? 'running' : 'promoting';
    case 'replica':
      if (database.diverged || mustRepair(state)) return 'diverged';
      // Sealed is what an election needs to know of it, unless it has announced that nobody shall count on it any more.
      if ((!database.sealed || state.retired?.epoch === state.view?.epoch) && leavesForReinitialization(state))
        return 'diverged';
      return database.sealed ? 'sealed' : streaming ? 'streaming' : 'starting';
  }
}
