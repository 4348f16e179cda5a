/**
 * Events run on the primary alone: MySQL disables them where they arrive by replication, and enables none by itself. Who becomes
 * primary takes over those of its predecessors; what a person has disabled stays so.
 */
import { identifier, literal, textOf, type Session } from './sql.ts';

/** Resolves with their names. Each is a commit that waits for acknowledgements. */
export async function takeOverEvents(session: Session): Promise<readonly string[]> {
  // An event that was disabled on replicas by hand, here, has this server's number.
  const rows = await session.query(
    `SELECT event_schema AS part_of, event_name AS name, definer AS maker, sql_mode AS mode, time_zone AS zone,
            character_set_client AS charset, collation_connection AS collation
       FROM information_schema.events WHERE status LIKE '%SIDE_DISABLED' AND originator <> @@global.server_id`,
  );
  const done: string[] = [];
  for (const row of rows) {
    const [user, host] = splitAccount(textOf(row, 'maker'));
    const event = `${identifier(textOf(row, 'part_of'))}.${identifier(textOf(row, 'name'))}`;
    // What isn't said would become this session's.
    await session.query(
      `SET SESSION sql_mode = ${literal(textOf(row, 'mode'))}, time_zone = ${literal(textOf(row, 'zone'))},
       character_set_client = ${literal(textOf(row, 'charset'))}, collation_connection = ${literal(textOf(row, 'collation'))}`,
    );
    await session.query(`ALTER DEFINER = ${literal(user)}@${literal(host)} EVENT ${event} ENABLE`);
    done.push(event);
  }
  return done;
}

/** "app@%"; a user's name may hold an @. */
function splitAccount(definer: string): readonly [string, string] {
  const at = definer.lastIndexOf('@');
  return [definer.slice(0, at), definer.slice(at + 1)];
}
