import type { Member } from '../api/cluster-state.ts';
import type { HaState } from './state.ts';

/** Starts that must have failed, and the time over which, before data that another primary could replace counts as lost. */
const hopeless = { starts: 5, milliseconds: 300_000 };

export const mustReplaceData = ({ database, startFailures, now }: HaState): boolean =>
  database.status === 'stopped' &&
  startFailures !== undefined &&
  startFailures.count >= hopeless.starts &&
  now - startFailures.since >= hopeless.milliseconds;

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
      return mustReplaceData(state) ? 'diverged' : 'stopped';
    case 'primary':
      return database.open ? 'running' : 'promoting';
    case 'replica':
      if (database.diverged) return 'diverged';
      return database.sealed ? 'sealed' : streaming ? 'streaming' : 'starting';
  }
}
