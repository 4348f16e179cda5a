/**
 * What one instance does next, from all that it knows (DESIGN §5). Level-triggered: the same state gives the same
 * decision, whatever event led there; at most one effect of each channel (database, etcd, own disk) is under way.
 */
import { adopt, mustAdopt } from './adopt.ts';
import { now, wait } from './decision.ts';
import { elect } from './elect.ts';
import { stayStopped } from './fenced.ts';
import { followLeader } from './follow.ts';
import { found } from './found.ts';
import { lead } from './lead.ts';
import { serveUntil, servesEpoch } from './proof.ts';
import type { Decision, HaState } from './state.ts';
import { primaryLost } from './suspicion.ts';
import { mayUpgrade } from './upgrade.ts';

export function decide(state: HaState): Decision {
  const fence = mustFence(state);
  if (fence)
    return state.inFlight.database === 'kill'
      ? wait('fencing', fence)
      : now('fencing', fence, { type: 'kill', reason: fence });

  const { view } = state;
  if (!view?.definition) return wait('unready', 'waiting for the cluster definition in etcd');
  const known = { ...state, view };
  if (mustAdopt(known)) return adopt(known);
  if (!view.initialize) return found(known);

  // A rewound database catches up only from the primary it was started for; whoever leads now has what it lacks.
  if (state.inFlight.database === 'start' && state.startingFrom !== undefined && state.startingFrom < view.epoch) {
    const reason = `the primary of epoch ${state.startingFrom}, which it was starting from, is gone`;
    return now('starting', reason, { type: 'kill', reason });
  }

  if (state.inFlight.database === 'upgrade' && !mayUpgrade(state)) {
    const reason = 'the upgrade is called off';
    return now('upgrading', reason, { type: 'kill', reason });
  }

  const leader = view.leader?.value;
  if (leader?.instance === state.self.instance && state.database.status !== 'unknown') return lead(known, leader);
  // A vow under way binds already: nothing may be begun that it would forbid.
  if (state.inFlight.disk) return wait('vowing', 'writing a vow');
  const fenced = stayStopped(known);
  if (fenced) return fenced;
  if (!leader || state.vow > view.epoch || primaryLost(known)) return elect(known);
  return followLeader(known, leader);
}

/** Why a primary database must die at once, if it must (rules 1, 2 and 9). */
function mustFence(state: HaState): string | undefined {
  const { database, view } = state;
  if (database.status !== 'primary' && state.inFlight.database !== 'promote') return undefined;
  const until = serveUntil(state);
  if (until === undefined || state.now >= until) return 'the lease can no longer be proven';
  if (database.status !== 'primary')
    return view?.leader?.value.instance === state.self.instance ? undefined : 'deposed while becoming primary';
  if (view && view.epoch > database.epoch && !servesEpoch(view, state, database))
    return `deposed: epoch ${view.epoch} has begun`;
  return undefined;
}
