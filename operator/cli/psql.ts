import type { Cluster } from './clusters.ts';
import type { Command, Input } from './command.ts';
import { openSession, sessionOptions } from './sql-session.ts';

export const psql: Command = {
  name: 'psql',
  summary: 'a SQL session with a PostgreSQL cluster: its primary, a replica or a named instance',
  details:
    'psql runs in the Pod of the instance, with the role of the application’s owner, or with --superuser as postgres.\nIt needs the right to create pods/exec.',
  operands: [{ name: 'CLUSTER' }],
  options: [...sessionOptions, { name: 'superuser', description: 'as postgres' }],
  rest: 'arguments of psql',
  examples: [
    'kubectl mainstay psql orders',
    "kubectl mainstay psql orders --replica -- -c 'SELECT count(*) FROM sales'",
    'kubectl mainstay psql orders --superuser < script.sql',
  ],

  run: (input, world) => openSession(input, world, 'PostgresCluster', psqlCommand),
};

const socketFolder = '/run/mainstay';

/** By the socket in the Pod, which asks for no password; whoever may exec there could be anybody, so the role is a safeguard only. */
export function psqlCommand({ spec }: Pick<Cluster, 'spec'>, { switches, values, rest }: Input): readonly string[] {
  const { database, owner } = spec.application;
  const role = switches.has('superuser') ? [] : ['env', `PGOPTIONS=-c role=${owner}`];
  return [...role, 'psql', '-h', socketFolder, '-U', 'postgres', '-d', values.get('database') ?? database, ...rest];
}
