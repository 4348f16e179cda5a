/** One real MySQL under the engine, in a container of its own, driven by a test. */
import type { ChildProcess } from 'node:child_process';
import type { ContainerProcess } from './container.ts';
import { drive, type Driven, type DrivenOptions } from './driven.ts';
import { serverGroup, type GroupOptions, type ServerGroup } from './group.ts';

export interface DrivenMysql extends Driven {
  /** Of the server. */
  server(): readonly ContainerProcess[];
  /** As root; `as`: another user, over TCP with its password, as an application would. */
  sql(
    text: string,
    timeoutMs?: number,
    as?: { readonly user: string; readonly password: string },
  ): { readonly ok: boolean; readonly output: string };
  /** A session of its own, until its end or the container's. */
  session(...statements: readonly string[]): ChildProcess;
}

export async function driveMysql(root: string, options: DrivenOptions = {}): Promise<DrivenMysql> {
  const driven = await drive('mysql', root, options);
  const client = (user: string): readonly string[] => ['--no-defaults', '-S', '/run/mainstay/mysqld.sock', '-u', user];
  return {
    ...driven,
    server: () => driven.container.processes().filter(({ command: text }) => text.startsWith('/usr/sbin/mysqld')),
    sql: (text, timeoutMs = 60_000, as) =>
      driven.execute(
        'mysql',
        [
          ...(as ? ['--no-defaults', '-h', '127.0.0.1', '-u', as.user, `-p${as.password}`] : client('root')),
          ...['-N', '-B', '-e', text],
        ],
        timeoutMs,
      ),
    session: (...statements) =>
      driven.start('mysql', [...client('root'), '-N', '-B', '--unbuffered', '-e', statements.join('; ')]),
  };
}

export type MysqlGroup = ServerGroup<DrivenMysql>;

/** Names end with a number: it is their server_id. */
export const mysqlGroup = (root: string, names: readonly string[], options: GroupOptions = {}): Promise<MysqlGroup> =>
  serverGroup({ drive: (own) => driveMysql(root, own), port: 3306, version: '9.7.4' }, names, options);
