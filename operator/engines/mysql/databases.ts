/** Databases: how they are, how they differ from what was asked for, and what brings them there. */
import type { DeclaredDatabase } from '../../api/mysql-declaration.ts';
import { MainstayError } from '../../platform/errors.ts';
import { identifier, textOf, type Session } from './sql.ts';

export interface PresentDatabase {
  readonly characterSet: string;
  readonly collation: string;
}

export async function databasesIn(session: Session): Promise<ReadonlyMap<string, PresentDatabase>> {
  const rows = await session.query(
    `SELECT schema_name AS name, default_character_set_name AS characters, default_collation_name AS collation
       FROM information_schema.schemata`,
  );
  return new Map(
    rows.map((row) => [
      textOf(row, 'name'),
      { characterSet: textOf(row, 'characters'), collation: textOf(row, 'collation') },
    ]),
  );
}

export async function bringDatabase(
  session: Session,
  { name, characterSet, collation }: DeclaredDatabase,
  present: PresentDatabase | undefined,
): Promise<void> {
  const wanted = [
    ...(characterSet === undefined || characterSet === present?.characterSet ? [] : [`CHARACTER SET ${characterSet}`]),
    ...(collation === undefined || collation === present?.collation ? [] : [`COLLATE ${collation}`]),
  ].join(' ');
  if (!present) await session.query(`CREATE DATABASE ${identifier(name)} ${wanted}`);
  else if (wanted !== '') await session.query(`ALTER DATABASE ${identifier(name)} ${wanted}`);
}

export function databaseDrift(
  { characterSet, collation }: DeclaredDatabase,
  present: PresentDatabase | undefined,
): readonly string[] {
  if (!present) return ['has been dropped'];
  return [
    ...(characterSet === undefined || characterSet === present.characterSet
      ? []
      : [`has character set ${present.characterSet} but ${characterSet} was asked for`]),
    ...(collation === undefined || collation === present.collation
      ? []
      : [`has collation ${present.collation} but ${collation} was asked for`]),
  ];
}

export async function dropDatabase(session: Session, name: string): Promise<void> {
  const [row] = await session.query(
    'SELECT COUNT(*) AS sessions FROM performance_schema.threads WHERE processlist_db = ? AND processlist_id IS NOT NULL',
    [name],
  );
  const sessions = Number(row?.['sessions']);
  if (sessions > 0)
    throw new MainstayError(
      'ConfigurationInvalid',
      `Sessions use it (${sessions}): end them; it is then dropped by itself`,
    );
  await session.query(`DROP DATABASE ${identifier(name)}`);
}
