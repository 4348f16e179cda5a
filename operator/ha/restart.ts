/** A restart of the database in place, asked for by `requests/restart/<instance>`: at most once for each request, however it ends. */
import { keys } from '../api/cluster-state.ts';
import { act, answered, transact, type Known } from './decision.ts';
import type { Decision } from './state.ts';

/** Stops the running database, or refuses; undefined if nobody asks for that. */
export function restartIfAsked(state: Known): Decision | undefined {
  const request = state.view.restarts.get(state.self.instance);
  if (!request || !etcdAnswers(state)) return undefined;
  return request.value.deadline <= state.wall
    ? answer(state, 'refused', 'its deadline is over')
    : act(state, 'restarting', `stopping for a restart (${request.value.reason})`, { type: 'stop', inPlace: true });
}

/** The replica's database has ended, and will start at once. While etcd is silent that is what matters, and the answer waits. */
export const restartTaken = (state: Known): Decision | undefined =>
  state.view.restarts.has(state.self.instance) && etcdAnswers(state)
    ? answer(state, 'done', `${state.self.instance} has stopped, and starts again`)
    : undefined;

function answer(state: Known, outcome: 'done' | 'refused', reason: string): Decision | undefined {
  const { view, self } = state;
  const request = view.restarts.get(self.instance);
  if (!request) return undefined;
  return transact(state, 'restarting', `answering a restart: ${reason}`, 'answer-restart', {
    compare: [{ key: keys.restart(self.instance), is: 'modRevision', modRevision: request.modRevision }],
    writes: [{ delete: keys.restart(self.instance) }, answered(state, request.value.id, outcome, reason)],
  });
}

const etcdAnswers = ({ dcsHeardAt, now, settings }: Known): boolean =>
  dcsHeardAt !== undefined && now - dcsHeardAt <= settings.dcsSilence;
