import type { Session } from './sql.ts';

/** Statement that notes the object as brought about; belongs into the transaction that does it, or behind it. */
export type Note = string;

/** All or nothing. */
export async function inTransaction(session: Session, statements: readonly string[]): Promise<void> {
  await session.query('BEGIN');
  try {
    for (const statement of statements) await session.query(statement);
    await session.query('COMMIT');
  } catch (error) {
    await session.query('ROLLBACK');
    throw error;
  }
}
