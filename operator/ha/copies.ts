/** When data may be rewound or copied anew (DESIGN §5, rule 11): copies load others, and may not help. */
import type { Known } from './decision.ts';
import type { Copy, HaState, Milliseconds } from './state.ts';
import { tagsOf } from './successor.ts';
import { sameVoter } from './takeover.ts';

/** One more soon after the last is made only after a pause, which doubles each time. */
const window: Milliseconds = 30 * 60_000;
const pause = { first: 5000, longest: 5 * 60_000 };

export const copiesAfter = (state: HaState, effect: Copy['effect'], ok: boolean): readonly Copy[] => [
  ...state.copies.filter(({ at }) => state.now - at < window),
  { effect, ok, at: state.now, awaited: areWritesWaiting(state) },
];

export function mayCopyNow(state: Known, effect: Copy['effect']): boolean {
  // What a rewind could not mend is cloned at once.
  const index = state.copies.findLastIndex((copy) => copy.ok || copy.effect === effect);
  const last = state.copies[index];
  if (!last) return true;
  // The first two that succeed may be a rewind and its replacement.
  const excess = index + (last.ok ? -1 : 1);
  if (excess <= 0) return true;
  // What was tried in an emergency says nothing of what helps after it.
  const counted = excess - state.copies.slice(0, index + 1).filter(({ awaited }) => awaited).length;
  const doublings = areWritesWaiting(state) ? 0 : Math.max(0, Math.min(counted - 1, 10));
  return state.now - last.at >= Math.min(pause.longest, pause.first * 2 ** doublings);
}

/** Fewer stream than an acknowledgement needs: this copy may be all that clients wait for, and loads nobody else. */
function areWritesWaiting({ view, self }: HaState): boolean {
  const sync = view?.sync?.value;
  if (!sync || tagsOf(view, self.instance).noSync) return false;
  const streaming = sync.members.filter((voter) => {
    const member = view.members.get(voter.instance);
    return member?.state === 'streaming' && sameVoter(member, voter);
  });
  return streaming.length < sync.acknowledgements;
}
