/** The MySQLCluster resource: the one source of its CRD, its reference page and its types. */
import { z } from 'zod';
import { application } from './application.ts';
import {
  clusterResource,
  commonRules,
  image,
  instances,
  lifeCycle,
  placement,
  keepsClass,
  storage,
} from './cluster-spec.ts';
import { ClusterStatusSchema } from './cluster-status.ts';
import type { DeepReadonly } from './deep-readonly.ts';
import { mysqlParameterRules } from './mysql-parameters.ts';
import { parseResource } from './parse-resource.ts';
import { described, matching } from './rules.ts';
import { Tls } from './tls.ts';
import { Group, topology, topologyRules } from './topology.ts';
import { declaredMysqlRules, MySQLDatabases, Users } from './users-and-databases.ts';

const prefixes = ['mainstay'];

const VariableValue = described(z.string().max(1024), 'Value, as in my.cnf without quotes.', [
  // A line break would let a value go on as another setting.
  matching(/^[^\p{Cc}]*$/u, 'has a line break or another control character: write it on one line'),
]);

const Spec = z.object({
  instances,
  version: described(z.enum(['8.4', '9.7']).default('9.7'), 'Release series of MySQL: both get fixes for years (LTS).'),
  image: image('MySQL', 'mainstay.dev/mysql:9.7'),
  storage: described(storage('MySQL'), 'Volume of each instance.', [keepsClass]),
  topology,
  group: described(Group.prefault({}), 'Options of topology Group.'),
  ...placement,
  mysql: described(
    z
      .object({
        parameters: described(
          z.record(z.string(), VariableValue).default({}),
          'Variables of MySQL, as under [mysqld] in my.cnf; write numbers as strings. Some belong to Mainstay and are refused.',
          mysqlParameterRules,
          { maxProperties: 200 },
        ),
      })
      .prefault({}),
    'Settings of the database.',
  ),
  tls: described(Tls.prefault({}), 'Encryption and certificates. All is there without a word: this changes it.'),
  application: application(
    { owner: 'User', elsewhere: '; add others under spec.databases and spec.users' },
    {
      database: {
        pattern: /^[a-z_][a-z0-9_]{0,62}$/,
        reserved: ['mysql', 'sys', 'information_schema', 'performance_schema'],
        prefixes,
      },
      owner: { pattern: /^[a-z_][a-z0-9_]{0,31}$/, reserved: ['root', 'mysql'], prefixes },
    },
  ),
  users: Users,
  databases: MySQLDatabases,
  ...lifeCycle('What MySQL logs is chosen by its variables, such as log_error_verbosity.'),
});

export const MySQLClusterResource = clusterResource(
  'MySQLCluster',
  'A highly available MySQL cluster: one primary, replicas that follow it, and agents that fail over by themselves.',
  described(Spec, 'What is wanted.', [...commonRules, ...declaredMysqlRules, ...topologyRules]),
  described(ClusterStatusSchema.prefault({}), 'What is; written by the operator only.'),
);

/** A cluster with all defaults filled in. */
export type MySQLCluster = DeepReadonly<z.output<typeof MySQLClusterResource>>;

export const parseMySQLCluster = (value: unknown): MySQLCluster =>
  parseResource('MySQLCluster', MySQLClusterResource, value);
