/**
 * Who gets in, by `init_connect`: it can be changed while commits wait and locks are held, is not in any log, not cloned, and
 * is shut again by every restart, none of which can be said of account locks (mysql-lab.md §1). Sessions that are there already
 * aren't touched, and accounts with CONNECTION_ADMIN pass: the agent's alone.
 */
import type { Voter } from '../../api/cluster-state.ts';
import { syncAccount } from './names.ts';

export interface Gate {
  /** Whose acknowledgements count; others of them don't get in with their accounts for that. */
  readonly members: readonly Pick<Voter, 'instance'>[];
  /** Clients get in. Instances that only receive always do. */
  readonly clients: boolean;
}

export const shut: Gate = { members: [], clients: false };

const account = "substring_index(current_user(), '@', 1)";
/** An error ends the login. */
const refuse = '(select 1 union select 2)';

/** `own`: what the user has asked to be done at each login. */
export function initConnect({ members, clients }: Gate, own = ''): string {
  const allowed = ['', ...members.map(({ instance }) => syncAccount(instance))].map((name) => `'${name}'`).join(', ');
  const isShutOut = `${account} like 'mainstay\\_sync\\_%' and ${account} not in (${allowed})`;
  const isClient = `${account} not like 'mainstay%'`;
  const check = `do if(${isShutOut}${clients ? '' : ` or ${isClient}`}, ${refuse}, 1)`;
  return own.trim() === '' ? check : `${check}; ${own.trim()}`;
}
