import type { Member } from '../api/cluster-state.ts';
import type { HaState } from './state.ts';

/** Starts in a row that failed before data that cannot be started counts as lost, while there is a primary to copy from. */
const hopelessStarts = 5;

export const mustReplaceData = ({ database, failures }: HaState): boolean =>
  database.status === 'stopped' && (failures.get('start') ?? 0) >= hopelessStarts;

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
