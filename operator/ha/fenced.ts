/** `fences/<instance>`: a person wants this database stopped and kept so. It is as good as down; as a primary it hands over first. */
import { act, wait, type Known } from './decision.ts';
import type { Decision, HaState } from './state.ts';

export const isFenced = ({ view, self }: HaState): boolean =>
  view?.fences.get(self.instance)?.value.incarnation === self.incarnation;

/** Of one that doesn't lead; undefined: what is there has to be dealt with first. */
export function stayStopped(state: Known): Decision | undefined {
  if (!isFenced(state)) return undefined;
  const because = `fenced: ${state.view.fences.get(state.self.instance)?.value.reason ?? ''}`;
  switch (state.database.status) {
    case 'unknown':
    case 'primary':
      return undefined;
    case 'absent':
    case 'broken':
    case 'stopped':
      return wait('fenced', because);
    case 'replica':
      return act(state, 'fenced', because, { type: 'stop' });
  }
}
