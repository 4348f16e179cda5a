/** Users of etcd, each confined to one prefix. Needs a login with the role root. */
import { MainstayError } from '../platform/errors.ts';
import type { Deadline } from './dcs.ts';
import { connectEtcd, type EtcdOptions } from './etcd-connection.ts';
import { AnyReply, rangeOf } from './etcd-messages.ts';

export interface ConfinedUser {
  /** Its role is called the same. */
  readonly name: string;
  readonly password: string;
  /** Where it may read and write; nowhere else. */
  readonly prefix: string;
}

export interface EtcdUsers {
  /** Safe to repeat. One that exists keeps its password unless `resetPassword`. */
  ensure(user: ConfinedUser, how: { readonly resetPassword: boolean }, deadline: Deadline): Promise<void>;
  /** No error if there is none. */
  remove(name: string, deadline: Deadline): Promise<void>;
  close(): Promise<void>;
}

export function etcdUsers(options: EtcdOptions): EtcdUsers {
  const { query, close } = connectEtcd(options);

  /** `unless`: a refusal in these words is as good as done. */
  async function ask(path: string, body: object, deadline: Deadline, unless?: string): Promise<'done' | 'was so'> {
    try {
      await query(`/v3/auth/${path}`, body, AnyReply, deadline);
      return 'done';
    } catch (error) {
      if (!(error instanceof MainstayError)) throw error;
      if (unless !== undefined && error.message.includes(unless)) return 'was so';
      if (!error.message.includes('permission denied')) throw error;
      throw new MainstayError(
        'ConfigurationInvalid',
        'The operator’s login to etcd may not manage users: give it the role root, or set etcd.userPerCluster to false (all clusters then share that login).',
        { cause: error },
      );
    }
  }

  return {
    ensure: async ({ name, password, prefix }, { resetPassword }, deadline) => {
      const perm = { permType: 'READWRITE', ...rangeOf(prefix) };
      await ask('role/add', { name }, deadline, 'role name already exists');
      await ask('role/grant', { name, perm }, deadline);
      const added = await ask('user/add', { name, password }, deadline, 'user name already exists');
      if (added === 'was so' && resetPassword) await ask('user/changepw', { name, password }, deadline);
      await ask('user/grant', { user: name, role: name }, deadline);
    },
    remove: async (name, deadline) => {
      await ask('user/delete', { name }, deadline, 'user name not found');
      await ask('role/delete', { role: name }, deadline, 'role name not found');
    },
    close,
  };
}
