import type { Cluster } from './clusters.ts';
import type { Command, Input } from './command.ts';
import { openSession, sessionOptions } from './sql-session.ts';

export const mysql: Command = {
  name: 'mysql',
  summary: 'a SQL session with a MySQL cluster: its primary, a replica or a named instance',
  details:
    'mysql runs in the Pod of the instance, as root by the socket.\nIt needs the right to create pods/exec. Applications use the Secret <cluster>-app.',
  operands: [{ name: 'CLUSTER' }],
  options: sessionOptions,
  rest: 'arguments of mysql',
  examples: [
    'kubectl mainstay mysql orders',
    "kubectl mainstay mysql orders --replica -- -e 'SELECT count(*) FROM sales'",
    'kubectl mainstay mysql orders < script.sql',
  ],

  run: (input, world) => openSession(input, world, 'MySQLCluster', mysqlCommand),
};

const socket = '/run/mainstay/mysqld.sock';

export const mysqlCommand = ({ spec }: Pick<Cluster, 'spec'>, { values, rest }: Input): readonly string[] => [
  'mysql',
  `--socket=${socket}`,
  '--user=root',
  `--database=${values.get('database') ?? spec.application.database}`,
  ...rest,
];
