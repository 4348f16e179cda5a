/** One real PostgreSQL under the engine, in a container of its own, driven by a test. */
import type { ChildProcess } from 'node:child_process';
import type { PostgresDeclaration } from '../../operator/api/postgres-declaration.ts';
import type { Finding } from '../../operator/api/cluster-state.ts';
import type { ContainerProcess } from './container.ts';
import { drive, type Driven, type DrivenOptions } from './driven.ts';
import { serverGroup, type GroupOptions, type ServerGroup } from './group.ts';
import { testedVersion } from './root.ts';

export interface DrivenPostgres extends Driven {
  declare(declaration: PostgresDeclaration, lacking?: readonly string[]): Promise<readonly Finding[]>;
  /** From nothing to a primary that serves. */
  serve(): Promise<void>;
  /** Of the server, the postmaster first. */
  server(): readonly ContainerProcess[];
  /** As superuser; `as`: another role, over TCP with its password, as an application would. */
  psql(
    sql: string,
    timeoutMs?: number,
    as?: { readonly role: string; readonly password: string; readonly database: string },
  ): { readonly ok: boolean; readonly output: string };
  /** A session of its own, until its end or the container's. */
  session(...statements: readonly string[]): ChildProcess;
}

const isPostmaster = ({ command }: ContainerProcess): boolean => command.includes('/bin/postgres -D');

export async function drivePostgres(root: string, options: DrivenOptions = {}): Promise<DrivenPostgres> {
  const driven = await drive('postgres', root, options);
  return {
    ...driven,
    server: () =>
      driven.container
        .processes()
        .filter(({ command: text }) => /^(postgres: |\S*\/bin\/postgres -D)/.test(text))
        .toSorted((a, b) => Number(isPostmaster(b)) - Number(isPostmaster(a))),
    serve: async () => {
      for (const effect of [
        { type: 'initialize' },
        { type: 'start' },
        { type: 'seal' },
        { type: 'promote', epoch: 1, timeline: 2, sync: { members: [], acknowledgements: 0 } },
        { type: 'open' },
      ] as const)
        await driven.run(effect);
    },
    psql: (sql, timeoutMs = 60_000, as) =>
      driven.execute(
        'psql',
        [
          ...['-h', as ? '127.0.0.1' : '/run/mainstay', '-U', as?.role ?? 'postgres'],
          ...['-XAtq', '-c', sql, as?.database ?? 'postgres'],
        ],
        timeoutMs,
        { PGPASSWORD: as?.password ?? '' },
      ),
    session: (...statements) =>
      driven.start('psql', [
        ...['-h', '/run/mainstay', '-U', 'postgres', '-XAtq', 'postgres'],
        ...statements.flatMap((statement) => ['-c', statement]),
      ]),
  };
}

export type PostgresGroup = ServerGroup<DrivenPostgres>;

export const postgresGroup = (
  root: string,
  names: readonly string[],
  options: GroupOptions = {},
): Promise<PostgresGroup> =>
  serverGroup({ drive: (own) => drivePostgres(root, own), port: 5432, version: testedVersion }, names, options);
