/** Databases and what is declared inside them: how they are, how they differ, and what brings them there. */
import type { DeclaredDatabase } from '../../api/postgres-declaration.ts';
import { identifier, literal, type Session } from './sql.ts';
import { inTransaction, type Note } from './transaction.ts';

export interface PresentDatabase {
  readonly owner: string;
  readonly connectionLimit: number;
}

type Inside = <T>(database: string, use: (session: Session) => Promise<T>) => Promise<T>;

export async function databasesIn(session: Session): Promise<ReadonlyMap<string, PresentDatabase>> {
  const rows = await session.query(
    'SELECT datname AS name, pg_get_userbyid(datdba) AS owner, datconnlimit AS connections FROM pg_database',
  );
  return new Map(
    rows.map((row) => [
      String(row['name']),
      { owner: String(row['owner']), connectionLimit: Number(row['connections']) },
    ]),
  );
}

export async function bringDatabase(
  session: Session,
  inside: Inside,
  asked: DeclaredDatabase,
  present: PresentDatabase | undefined,
  before: string | undefined,
  note: Note,
): Promise<void> {
  const name = identifier(asked.name);
  if (!present) await session.query(creation(asked));
  const had = before === undefined ? undefined : (JSON.parse(before) as DeclaredDatabase);
  await inTransaction(session, outsideStatements(asked, present, name));
  if (hasInside(asked) || (had && hasInside(had)))
    await inside(asked.name, async (own) => inTransaction(own, insideStatements(asked, had, await contents(own))));
  await session.query(note);
}

function creation({ name, owner, encoding, localeProvider, locale, icuLocale }: DeclaredDatabase): string {
  const provider = localeProvider ?? (icuLocale === undefined ? undefined : 'icu');
  const options = [
    owner === undefined ? '' : `OWNER ${identifier(owner)}`,
    encoding === undefined ? '' : `ENCODING ${literal(encoding)}`,
    provider === undefined ? '' : `LOCALE_PROVIDER ${provider}`,
    locale === undefined
      ? ''
      : provider === 'builtin'
        ? `BUILTIN_LOCALE ${literal(locale)}`
        : `LOCALE ${literal(locale)}`,
    icuLocale === undefined ? '' : `ICU_LOCALE ${literal(icuLocale)}`,
  ].filter((option) => option !== '');
  const differs = [encoding, localeProvider, locale, icuLocale].some((value) => value !== undefined);
  // template1 has its own encoding and locale; only template0 may be copied into others.
  return `CREATE DATABASE ${identifier(name)} ${options.join(' ')}${differs ? ' TEMPLATE template0' : ''}`;
}

function outsideStatements(
  { owner, connectionLimit }: DeclaredDatabase,
  present: PresentDatabase | undefined,
  name: string,
): readonly string[] {
  return [
    ...(owner === undefined || !present || owner === present.owner
      ? []
      : [`ALTER DATABASE ${name} OWNER TO ${identifier(owner)}`]),
    ...(connectionLimit === undefined || connectionLimit === (present?.connectionLimit ?? -1)
      ? []
      : [`ALTER DATABASE ${name} CONNECTION LIMIT ${connectionLimit}`]),
  ];
}

const hasInside = ({ extensions, schemas, readers = [], writers = [] }: DeclaredDatabase): boolean =>
  extensions.length + schemas.length + readers.length + writers.length > 0;

interface Contents {
  readonly owner: string;
  readonly extensions: ReadonlyMap<string, { readonly version: string; readonly schema: string }>;
  /** Their owners. */
  readonly schemas: ReadonlyMap<string, string>;
  readonly roles: ReadonlySet<string>;
}

async function contents(session: Session): Promise<Contents> {
  const [database] = await session.query(
    'SELECT pg_get_userbyid(datdba) AS owner FROM pg_database WHERE datname = current_database()',
  );
  const extensions = await session.query(
    'SELECT extname AS name, extversion AS version, nspname AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace',
  );
  const schemas = await session.query('SELECT nspname AS name, pg_get_userbyid(nspowner) AS owner FROM pg_namespace');
  const roles = await session.query('SELECT rolname AS name FROM pg_roles');
  return {
    owner: String(database?.['owner']),
    roles: new Set(roles.map((row) => String(row['name']))),
    extensions: new Map(
      extensions.map((row) => [
        String(row['name']),
        { version: String(row['version']), schema: String(row['schema']) },
      ]),
    ),
    schemas: new Map(schemas.map((row) => [String(row['name']), String(row['owner'])])),
  };
}

function insideStatements(
  asked: DeclaredDatabase,
  before: DeclaredDatabase | undefined,
  present: Contents,
): readonly string[] {
  return [
    ...asked.schemas.flatMap(({ name, ensure, owner }) => {
      const is = present.schemas.get(name);
      if (ensure === 'absent') return is === undefined ? [] : [`DROP SCHEMA ${identifier(name)}`];
      if (is === undefined)
        return [`CREATE SCHEMA ${identifier(name)} AUTHORIZATION ${identifier(owner ?? present.owner)}`];
      return owner === undefined || owner === is
        ? []
        : [`ALTER SCHEMA ${identifier(name)} OWNER TO ${identifier(owner)}`];
    }),
    ...asked.extensions.flatMap((extension) => extensionStatements(extension, present)),
    ...grants(asked, before, present),
  ];
}

function extensionStatements(
  { name, ensure, version, schema }: DeclaredDatabase['extensions'][number],
  present: Contents,
): readonly string[] {
  const is = present.extensions.get(name);
  const quoted = identifier(name);
  if (ensure === 'absent') return is ? [`DROP EXTENSION ${quoted}`] : [];
  if (!is) {
    const where = schema === undefined ? '' : ` SCHEMA ${identifier(schema)}`;
    const which = version === undefined ? '' : ` VERSION ${literal(version)}`;
    return [
      // Where none is named, it goes to the first schema of the path, unless it has one of its own.
      'SET LOCAL search_path = public',
      `CREATE EXTENSION ${quoted}${where}${which} CASCADE`,
      'SET LOCAL search_path = pg_catalog, pg_temp',
    ];
  }
  return [
    ...(version === undefined || version === is.version
      ? []
      : [`ALTER EXTENSION ${quoted} UPDATE TO ${literal(version)}`]),
    ...(schema === undefined || schema === is.schema
      ? []
      : [`ALTER EXTENSION ${quoted} SET SCHEMA ${identifier(schema)}`]),
  ];
}

/** Schemas that readers and writers get at: public, where there is one, and those declared. */
const openSchemas = ({ schemas }: DeclaredDatabase, present: Contents): readonly string[] => [
  ...(present.schemas.has('public') && !schemas.some(({ name }) => name === 'public') ? ['public'] : []),
  ...schemas.filter(({ ensure }) => ensure === 'present').map(({ name }) => name),
];

const rights = {
  readers: { tables: 'SELECT', sequences: 'SELECT' },
  writers: { tables: 'SELECT, INSERT, UPDATE, DELETE', sequences: 'SELECT, USAGE' },
} as const;

function grants(asked: DeclaredDatabase, before: DeclaredDatabase | undefined, present: Contents): readonly string[] {
  const database = identifier(asked.name);
  const schemas = openSchemas(asked, present).map((schema) => {
    const declared = asked.schemas.find(({ name }) => name === schema);
    const owner = declared?.owner ?? present.schemas.get(schema) ?? present.owner;
    const owners = new Set([present.owner, owner].filter((name) => !name.startsWith('pg_')));
    return { schema: identifier(schema), owners: [...owners].map(identifier) };
  });
  const statements = (
    role: string,
    { tables, sequences }: { readonly tables: string; readonly sequences: string },
    [verb, preposition]: readonly ['GRANT', 'TO'] | readonly ['REVOKE', 'FROM'],
  ): readonly string[] => {
    const whom = `${preposition} ${identifier(role)}`;
    return [
      `${verb} CONNECT ON DATABASE ${database} ${whom}`,
      ...schemas.flatMap(({ schema, owners }) => [
        `${verb} USAGE ON SCHEMA ${schema} ${whom}`,
        `${verb} ${tables} ON ALL TABLES IN SCHEMA ${schema} ${whom}`,
        `${verb} ${sequences} ON ALL SEQUENCES IN SCHEMA ${schema} ${whom}`,
        ...owners.flatMap((owner) => [
          `ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} IN SCHEMA ${schema} ${verb} ${tables} ON TABLES ${whom}`,
          `ALTER DEFAULT PRIVILEGES FOR ROLE ${owner} IN SCHEMA ${schema} ${verb} ${sequences} ON SEQUENCES ${whom}`,
        ]),
      ]),
    ];
  };
  const now = new Set([...(asked.readers ?? []), ...(asked.writers ?? [])]);
  const former = new Set([...(before?.readers ?? []), ...(before?.writers ?? [])]);
  // Who only reads from now on must lose the rest.
  const lost = [...former].filter(
    (role) =>
      present.roles.has(role) &&
      (!now.has(role) || (before?.writers?.includes(role) && !asked.writers?.includes(role))),
  );
  return [
    ...lost.flatMap((role) => statements(role, rights.writers, ['REVOKE', 'FROM'])),
    ...(asked.readers ?? []).flatMap((role) => statements(role, rights.readers, ['GRANT', 'TO'])),
    ...(asked.writers ?? []).flatMap((role) => statements(role, rights.writers, ['GRANT', 'TO'])),
  ];
}

export async function databaseDrift(
  inside: Inside,
  asked: DeclaredDatabase,
  present: PresentDatabase | undefined,
): Promise<readonly string[]> {
  if (!present) return ['has been dropped'];
  const { owner, connectionLimit } = asked;
  const outside = [
    ...(owner === undefined || owner === present.owner
      ? []
      : [`belongs to ${present.owner} but ${owner} was asked for`]),
    ...(connectionLimit === undefined || connectionLimit === present.connectionLimit
      ? []
      : [`has connection limit ${present.connectionLimit} but ${connectionLimit} was asked for`]),
  ];
  if (!hasInside(asked)) return outside;
  return [...outside, ...(await inside(asked.name, (session) => insideDrift(session, asked)))];
}

async function insideDrift(session: Session, asked: DeclaredDatabase): Promise<readonly string[]> {
  const present = await contents(session);
  const schemas = asked.schemas.flatMap(({ name, ensure, owner }) => {
    const is = present.schemas.get(name);
    if (ensure === 'absent') return is === undefined ? [] : [`schema ${name} is there again`];
    if (is === undefined) return [`schema ${name} has been dropped`];
    return owner === undefined || owner === is ? [] : [`schema ${name} belongs to ${is} but ${owner} was asked for`];
  });
  const extensions = asked.extensions.flatMap(({ name, ensure, version, schema }) => {
    const is = present.extensions.get(name);
    if (ensure === 'absent') return is ? [`extension ${name} is there again`] : [];
    if (!is) return [`extension ${name} has been dropped`];
    return [
      ...(version === undefined || version === is.version
        ? []
        : [`extension ${name} is ${is.version} but ${version} was asked for`]),
      ...(schema === undefined || schema === is.schema
        ? []
        : [`extension ${name} is in schema ${is.schema} but ${schema} was asked for`]),
    ];
  });
  const open = openSchemas(asked, present).filter((name) => present.schemas.has(name));
  const readers = [...new Set([...(asked.readers ?? []), ...(asked.writers ?? [])])];
  return [
    ...schemas,
    ...extensions,
    ...(await shutOut(session, readers, open, 'SELECT', 'can’t read')),
    ...(await shutOut(session, asked.writers ?? [], open, 'INSERT', 'can’t write')),
  ];
}

/** Tables made by somebody else than the owners give nobody anything by themselves. */
async function shutOut(
  session: Session,
  roles: readonly string[],
  schemas: readonly string[],
  privilege: 'SELECT' | 'INSERT',
  what: string,
): Promise<readonly string[]> {
  if (roles.length === 0) return [];
  const rows = await session.query(
    `SELECT r.rolname AS role, count(*) AS tables, min(c.oid::regclass::text || ' of ' || pg_get_userbyid(c.relowner)) AS example
       FROM pg_roles r, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE r.rolname = ANY ($1) AND n.nspname = ANY ($2) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND ($3 = 'SELECT' OR c.relkind IN ('r', 'p')) AND NOT has_table_privilege(r.oid, c.oid, $3)
      GROUP BY r.rolname ORDER BY r.rolname`,
    [roles, schemas, privilege],
  );
  return rows.map(
    (row) => `${String(row['role'])} ${what} ${String(row['tables'])} of its tables, such as ${String(row['example'])}`,
  );
}

/** Refused while anybody is connected: nobody's session is ended to delete data. */
export async function dropDatabase(session: Session, name: string): Promise<void> {
  await session.query(`DROP DATABASE ${identifier(name)}`);
}
