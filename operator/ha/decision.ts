/** How decisions are made up: at most one effect of each channel (database, etcd, own disk) at a time, pauses kept. */
import { keys, type Answer, type Leader, type Voter } from '../api/cluster-state.ts';
import type { Phase } from './phases.ts';
import type { DatabaseEffect, DatabaseState, Decision, Effect, HaState, Pausable, Txn, TxnPurpose } from './state.ts';
import type { ClusterView } from './view.ts';

/** A state with a view of etcd. */
export type Known = HaState & { readonly view: ClusterView };
export type Primary = DatabaseState & { readonly status: 'primary' };

export const wait = (phase: Phase, because: string): Decision => ({ phase, effects: [], because });
export const now = (phase: Phase, because: string, effect: Effect): Decision => ({ phase, effects: [effect], because });

const held = (state: HaState, what: Pausable): boolean => state.now < (state.backOff.get(what) ?? 0);

export function act(state: HaState, phase: Phase, because: string, effect: DatabaseEffect): Decision {
  return state.inFlight.database !== undefined || held(state, effect.type)
    ? wait(phase, because)
    : now(phase, because, effect);
}

export function transact(state: HaState, phase: Phase, because: string, purpose: TxnPurpose, txn: Txn): Decision {
  const leased = txn.writes.some((write) => 'leased' in write && write.leased);
  if (state.inFlight.dcs !== undefined || held(state, purpose) || (leased && !state.lease)) return wait(phase, because);
  return now(phase, because, { type: 'txn', purpose, txn });
}

export function vow(state: HaState, epoch: number): Decision {
  const because = `vowing never to receive from an epoch before ${epoch}`;
  // One that is just turning to a former primary would begin to receive from it after the vow.
  const turning = state.inFlight.database === 'follow' || state.inFlight.database === 'start';
  return state.inFlight.disk || turning || held(state, 'write-vow')
    ? wait('vowing', because)
    : now('vowing', because, { type: 'write-vow', epoch });
}

export function revoke(state: HaState, lease: string): Decision {
  const because = 'revoking the lease of this instance’s former life';
  return state.inFlight.dcs !== undefined || held(state, 'revoke-lease')
    ? wait('taking-back', because)
    : now('taking-back', because, { type: 'revoke-lease', lease });
}

export const voterOf = (state: HaState): Voter => ({
  instance: state.self.instance,
  incarnation: state.self.incarnation,
});

export const leadership = (state: HaState, epoch: number): Leader => ({
  ...voterOf(state),
  epoch,
  lease: state.lease ?? '',
});

/** What became of a request, for whoever asked. */
export function answered(
  state: Known,
  id: string,
  outcome: Answer['outcome'],
  reason: string,
): { readonly put: string; readonly value: Answer } {
  return { put: keys.answer, value: { id, instance: state.self.instance, outcome, reason, at: state.wall } };
}
