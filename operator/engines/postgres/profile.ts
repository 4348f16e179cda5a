import type { BootstrapDefinition } from '../../api/cluster-state.ts';
import { dataVersion } from '../../api/database-cluster.ts';
import type { DeclaredPassword } from '../../api/declared-password.ts';
import { majorVersions, type MajorVersion } from '../../api/parameter-catalogue.ts';
import { bytesOf, parameterProblems } from '../../api/parameter-check.ts';
import { hbaProblem, identProblem } from '../../api/pg-hba.ts';
import type { PostgresCluster } from '../../api/postgres-cluster.ts';
import { PostgresDeclaration } from '../../api/postgres-declaration.ts';
import { quantityValue } from '../../api/quantity.ts';
import { isPlainText, isVerifier, scramVerifier } from '../../platform/scram.ts';
import type { Access, EngineProfile, InitFile, PasswordPlace, Settings } from '../profile.ts';
import { declarationFor } from './declaration.ts';
import { systemRoles } from './names.ts';
import { parameterDefaults } from './parameter-defaults.ts';

const port = 5432;

export const postgresProfile: EngineProfile = {
  engine: 'postgres',
  kind: 'PostgresCluster',
  product: 'PostgreSQL',
  port,
  user: 999,
  fields: { settings: 'spec.postgresql', roles: 'spec.roles', databases: 'spec.databases' },
  systemRoles,

  addresses: ({ host, everyHost, user, password, database }: Access) => {
    const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
    return {
      dbname: database,
      // libpq tries every address of the headless Service in turn, so that the primary is found even before -rw follows it.
      uri:
        `postgresql://${login}@${host}:${port},${everyHost}:${port}/${encodeURIComponent(database)}` +
        '?target_session_attrs=read-write&connect_timeout=2',
      'jdbc-uri':
        `jdbc:postgresql://${host}:${port}/${encodeURIComponent(database)}` +
        `?user=${encodeURIComponent(user)}&password=${encodeURIComponent(password)}&targetServerType=primary`,
    };
  },

  settings: ({ spec: { postgresql } }: PostgresCluster): Settings => {
    const { parameters, sharedPreloadLibraries: listed, pgHba: hba, pgIdent: ident } = postgresql;
    const implied = ownPreload.filter((library) =>
      Object.keys(parameters).some((name) => name.startsWith(`${library}.`)),
    );
    const libraries = [...new Set([...listed, ...implied])];
    const isEmpty = libraries.length === 0 && hba.length === 0 && ident.length === 0;
    return { parameters, ...(!isEmpty && { postgres: { libraries, hba, ident } }) };
  },

  settingsProblems: (cluster: PostgresCluster) => {
    const { postgresql } = cluster.spec;
    const lines = (field: string, all: readonly string[], problemOf: (line: string) => string | undefined) =>
      all.flatMap((line, index) => {
        const problem = problemOf(line);
        return problem === undefined ? [] : [`spec.postgresql.${field}[${index}] "${line.slice(0, 120)}" ${problem}`];
      });
    return [
      ...parameterProblems(majorVersion(cluster), postgresql.parameters).map(
        (problem) => `spec.postgresql.parameters: ${problem}`,
      ),
      ...bufferProblems(cluster),
      ...lines('pgHba', postgresql.pgHba, hbaProblem),
      ...lines('pgIdent', postgresql.pgIdent, identProblem),
    ];
  },

  definition: ({ spec }: PostgresCluster, { parameters }) => {
    const defaults = parameterDefaults({ ...spec, postgresql: { ...spec.postgresql, parameters } });
    return { ...(Object.keys(defaults).length > 0 && { defaults }), bootstrap: bootstrapFor(spec) };
  },

  electsItself: () => false,
  initFiles: ({ spec }: PostgresCluster): readonly InitFile[] => spec.bootstrap.postInitSql,
  logVolume: ({ spec }: PostgresCluster) => spec.walStorage,

  passwordPlaces: ({ spec }: PostgresCluster): readonly PasswordPlace[] =>
    spec.roles.flatMap(({ name, ensure, passwordSecret: own }) =>
      own === undefined || ensure === 'absent' ? [] : [{ role: name, secret: own.name, key: own.key }],
    ),
  declaredCount: ({ spec }: PostgresCluster) => ({ roles: spec.roles.length, databases: spec.databases.length }),
  declaration: (cluster: PostgresCluster, passwords, again) => declarationFor(cluster, passwords, again),
  declaredPasswords: (text) => {
    const { data } = PostgresDeclaration.safeParse(parsed(text));
    const roles = (data?.roles ?? []).flatMap(({ name, password }): [string, DeclaredPassword][] =>
      password ? [[name, password]] : [],
    );
    const { system } = data ?? {};
    return new Map([
      ...roles,
      ...(system
        ? ([
            [systemRoles.replication, system.replication],
            [systemRoles.rewind, system.rewind],
          ] as const)
        : []),
    ]);
  },
  verifier: scramVerifier,
  isVerifier,
  passwordProblem: (password) => {
    if (/^md5[0-9a-f]{32}$/.test(password))
      return 'holds an md5 digest: write the password itself, or a SCRAM verifier';
    return isPlainText(password)
      ? undefined
      : 'has letters outside of ASCII, which not every driver sends alike: choose another password';
  },
};

/** Whose parameters mean nothing unless they are loaded at the start. */
const ownPreload = ['auto_explain', 'pg_prewarm', 'pg_stat_statements', 'pgaudit'];

/** One that this operator doesn't know is a newer operator's. */
const majorVersion = (cluster: PostgresCluster): MajorVersion =>
  majorVersions.find((version) => version === dataVersion(cluster)) ?? cluster.spec.version;

/** Part of the container's memory that may be shared buffers: with more the kernel kills the database, again and again. */
const mostOfMemory = 0.75;

function bufferProblems(cluster: PostgresCluster): readonly string[] {
  const { resources, postgresql } = cluster.spec;
  const value = postgresql.parameters['shared_buffers'];
  const limit = resources?.limits?.memory;
  if (value === undefined || limit === undefined) return [];
  const bytes = bytesOf(majorVersion(cluster), 'shared_buffers', value) ?? 0;
  return bytes <= (quantityValue(limit) ?? Infinity) * mostOfMemory
    ? []
    : [
        `spec.postgresql.parameters: shared_buffers: is ${value}, but must be at most three quarters of spec.resources.limits.memory (${limit}): lower it or raise the limit`,
      ];
}

function bootstrapFor({ bootstrap }: PostgresCluster['spec']): BootstrapDefinition {
  const { encoding = 'UTF8', localeProvider = 'builtin', locale = 'C.UTF-8', icuLocale } = bootstrap;
  return {
    encoding,
    localeProvider,
    locale,
    ...(icuLocale !== undefined && { icuLocale }),
    dataChecksums: bootstrap.dataChecksums,
    walSegmentMegabytes: (quantityValue(bootstrap.walSegmentSize) ?? 0) / 2 ** 20,
    postInitSql: bootstrap.postInitSql.map(({ database, configMap, secret }, index) => ({
      database,
      file: String(index),
      source:
        secret === undefined
          ? `ConfigMap ${configMap?.name ?? ''}, key ${configMap?.key ?? ''}`
          : `Secret ${secret.name}, key ${secret.key}`,
      secret: secret !== undefined,
    })),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
