/** The PostgresCluster resource: the one source of its CRD, its reference page and its types. */
import { z } from 'zod';
import { application } from './application.ts';
import { Bootstrap } from './bootstrap.ts';
import {
  clusterResource,
  commonRules,
  image,
  instances,
  lifeCycle,
  mayNotShrink,
  placement,
  keepsClass,
  storage,
} from './cluster-spec.ts';
import { ClusterStatusSchema } from './cluster-status.ts';
import type { DeepReadonly } from './deep-readonly.ts';
import { parameterRules } from './parameters.ts';
import { parseResource } from './parse-resource.ts';
import { Databases, declaredRules, Roles } from './roles-and-databases.ts';
import { described, matching, type Rule } from './rules.ts';
import { Tls } from './tls.ts';

const identifier = /^[a-z_][a-z0-9_]{0,62}$/;
const prefixes = ['pg_', 'mainstay_'];

const ParameterValue = described(z.string().max(1024), 'Value, as in postgresql.conf without the quotes.', [
  // A line break would let a value go on as another setting.
  matching(/^[^\p{Cc}]*$/u, 'has a line break or another control character: write it on one line'),
]);

const oneLine = matching(/^[^\p{Cc}]+$/u, 'has a line break or another control character: write one rule on one line');

const AccessRule = described(z.string().min(1).max(1024), 'One rule.', [oneLine]);

const Library = described(z.string().min(1).max(128), 'Name of a library.', [
  matching(/^[a-zA-Z0-9_.$/-]+$/, 'is no name of a library: write it as in pg_stat_statements'),
]);

const Spec = z.object({
  instances,
  version: described(
    z.enum(['17', '18']).default('18'),
    'Major version of PostgreSQL. A ClusterOperation of type Upgrade changes that of the data (status.version); this one follows by your hand.',
  ),
  image: image('PostgreSQL', 'mainstay.dev/postgres:18'),
  storage: described(storage('PostgreSQL'), 'Volume of each instance.', [keepsClass]),
  walStorage: described(
    storage('PostgreSQL').exactOptional(),
    'A volume of its own for the write-ahead log of each instance: on a faster disk, or so that neither log nor data can fill the other’s. ' +
      'Can’t be added or removed later.',
    [keepsClass],
  ),
  ...placement,
  postgresql: described(
    z
      .object({
        parameters: described(
          z.record(z.string(), ParameterValue).default({}),
          'Parameters of PostgreSQL, as in postgresql.conf; write numbers as strings. Some belong to Mainstay and are refused.',
          parameterRules,
          { maxProperties: 200 },
        ),
        sharedPreloadLibraries: described(
          z.array(Library).max(32).default([]),
          'Libraries loaded when PostgreSQL starts, as in "pg_cron"; the image must hold them. Those whose parameters are set (auto_explain, pg_prewarm, pg_stat_statements, pgaudit) are added by themselves.',
          [],
          { 'x-kubernetes-list-type': 'atomic' },
        ),
        pgHba: described(
          z.array(AccessRule).max(100).default([]),
          'Rules for pg_hba.conf, in this order, before the last one, which asks everybody for a password (scram-sha-256); those of the agents come before yours.',
          [],
          { 'x-kubernetes-list-type': 'atomic' },
        ),
        pgIdent: described(
          z.array(AccessRule).max(100).default([]),
          'Lines of pg_ident.conf: map, name outside, role.',
          [],
          { 'x-kubernetes-list-type': 'atomic' },
        ),
      })
      .prefault({}),
    'Settings of the database.',
  ),
  tls: described(Tls.prefault({}), 'Encryption and certificates. All is there without a word: this changes it.'),
  bootstrap: Bootstrap,
  application: application(
    { owner: 'Role', elsewhere: '; add others under spec.databases and spec.roles' },
    {
      database: { pattern: identifier, reserved: ['postgres', 'template0', 'template1'], prefixes },
      owner: { pattern: identifier, reserved: ['postgres', 'public', 'none'], prefixes },
    },
  ),
  roles: Roles,
  databases: Databases,
  ...lifeCycle('What PostgreSQL logs is chosen by its parameters, such as log_min_messages.'),
});

const walStorageStays: Rule<unknown> = {
  cel: 'has(self.walStorage) == has(oldSelf.walStorage)',
  fieldPath: '.walStorage',
  message: 'can’t be added or removed later: restore the old value, or make a new cluster with it and move the data',
};

export const PostgresClusterResource = clusterResource(
  'PostgresCluster',
  'A highly available PostgreSQL cluster: one primary, replicas that follow it, and agents that fail over by themselves.',
  described(Spec, 'What is wanted.', [...commonRules, walStorageStays, ...declaredRules]),
  described(ClusterStatusSchema.prefault({}), 'What is; written by the operator only.'),
  [mayNotShrink('walStorage', 'wal')],
);

/** A cluster with all defaults filled in. */
export type PostgresCluster = DeepReadonly<z.output<typeof PostgresClusterResource>>;

export const parsePostgresCluster = (value: unknown): PostgresCluster =>
  parseResource('PostgresCluster', PostgresClusterResource, value);
