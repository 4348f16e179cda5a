/** Makes etcd ask everybody for a login. */
import { z } from 'zod';
import { MainstayError } from '../platform/errors.ts';
import type { Deadline } from './dcs.ts';
import { connectEtcd, type EtcdOptions } from './etcd-connection.ts';
import { AnyReply } from './etcd-messages.ts';

export interface EtcdGuard {
  /** Safe to repeat, also after a death amid it. `credentials` of the connection are those of `root` with this password. */
  ensure(password: string, deadline: Deadline): Promise<'done' | 'was so'>;
  close(): Promise<void>;
}

const AuthStatus = z.object({ enabled: z.boolean().default(false) });

export function guardEtcd(options: EtcdOptions): EtcdGuard {
  const { query, close } = connectEtcd(options);
  return {
    ensure: async (password, deadline) => {
      if ((await query('/v3/auth/status', {}, AuthStatus, deadline)).enabled) return 'was so';
      const ask = async (path: string, body: object, unless?: string): Promise<boolean> => {
        try {
          await query(`/v3/auth/${path}`, body, AnyReply, deadline);
          return true;
        } catch (error) {
          if (unless !== undefined && error instanceof MainstayError && error.message.includes(unless)) return false;
          throw error;
        }
      };
      await ask('role/add', { name: 'root' }, 'role name already exists');
      // One that is there was made by an attempt that ended too early, perhaps with another password.
      if (!(await ask('user/add', { name: 'root', password }, 'user name already exists')))
        await ask('user/changepw', { name: 'root', password });
      await ask('user/grant', { user: 'root', role: 'root' });
      await ask('enable', {});
      return 'done';
    },
    close,
  };
}
