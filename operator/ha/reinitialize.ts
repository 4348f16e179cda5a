/** A new clone in place of the data that is there, asked for by `requests/reinitialize/<instance>`. */
import { keys } from '../api/cluster-state.ts';
import { answered, transact, type Known } from './decision.ts';
import type { Decision, HaState } from './state.ts';

/** Its data are those that shall be replaced. What is under way goes on past the deadline. */
export function mustReinitialize({ view, self, wall, retired }: HaState): boolean {
  const request = view?.reinitializations.get(self.instance)?.value;
  if (request?.incarnation !== self.incarnation) return false;
  return request.deadline > wall || retired?.epoch === view?.epoch;
}

/** What became of a request: carried out, since the data are others now, or not begun in time. */
export function answerReinitialization(state: Known): Decision | undefined {
  const request = state.view.reinitializations.get(state.self.instance)?.value;
  if (!request || mustReinitialize(state)) return undefined;
  return request.incarnation === state.self.incarnation
    ? answer(state, 'refused', 'its deadline is over')
    : answer(state, 'done', `${state.self.instance} has new data, and follows`);
}

/** A primary's data are what others are cloned from. */
export const refuseReinitialization = (state: Known): Decision | undefined =>
  answer(state, 'refused', `${state.self.instance} is primary: ask for a switchover first`);

function answer(state: Known, outcome: 'done' | 'refused', reason: string): Decision | undefined {
  const { view, self } = state;
  const request = view.reinitializations.get(self.instance);
  if (!request) return undefined;
  const phase =
    outcome === 'done' ? 'following' : view.leader?.value.instance === self.instance ? 'serving' : 'following';
  return transact(state, phase, `answering a reinitialization: ${reason}`, 'answer-reinitialize', {
    compare: [{ key: keys.reinitialize(self.instance), is: 'modRevision', modRevision: request.modRevision }],
    writes: [{ delete: keys.reinitialize(self.instance) }, answered(state, request.value.id, outcome, reason)],
  });
}
