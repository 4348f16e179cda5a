/** A replica's channel: whom it receives from, with which account, and not any more. */
import type { InstanceName } from '../../api/cluster-state.ts';
import { contains, subtract, formatGtidSet } from '../../ha/gtid-set.ts';
import { MainstayError } from '../../platform/errors.ts';
import { heldBy, isApplied, type Held } from './log-end.ts';
import { asyncAccount, syncAccount } from './names.ts';
import { errorNumber, literal, textOf, type Session } from './sql.ts';
import type { LinkTls } from './tls.ts';

export interface Source {
  readonly host: string;
  readonly port: number;
  readonly password: string;
  readonly tls: LinkTls;
}

/** Its acknowledgements count at the primary, or it only receives. */
export type Part = 'sync' | 'async';

/** Seconds for a repointed replica to have applied everything first, which is the safest; it is kept without, too. */
const drainFirst = 1;

const notConfigured = 1200;

/** Returns at once but where it is just connecting to nobody: then it takes two seconds (mysql-lab.md §3). */
export async function stopReceiving(session: Session): Promise<void> {
  await session.query('STOP REPLICA IO_THREAD').catch((error: unknown) => {
    if (errorNumber(error) !== notConfigured) throw error;
  });
}

export type Turned = 'receiving' | 'applier-failed' | 'log-lost';

/** To another source, or the first one; all that was received before is kept. */
export async function receiveFrom(session: Session, source: Source, self: InstanceName, part: Part): Promise<Turned> {
  await stopReceiving(session);
  const [channel] = await session.query(
    `SELECT host, port, ssl_ca_file, ssl_certificate, ssl_key FROM performance_schema.replication_connection_configuration
      WHERE channel_name = ''`,
  );
  const { authorities, certificate, key } = source.tls;
  const address =
    `SOURCE_HOST = ${literal(source.host)}, SOURCE_PORT = ${source.port}, SOURCE_SSL_CA = ${literal(authorities)}, ` +
    `SOURCE_SSL_CERT = ${literal(certificate)}, SOURCE_SSL_KEY = ${literal(key)}`;
  const isSame = (columns: Readonly<Record<string, string>>): boolean =>
    Object.entries(columns).every(([name, value]) => textOf(channel, name) === value);
  if (!channel || channel['host'] === '') {
    await session.query(
      `CHANGE REPLICATION SOURCE TO ${address}, SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 0,
       SOURCE_HEARTBEAT_PERIOD = 1, SOURCE_SSL = 1, GET_SOURCE_PUBLIC_KEY = 1`,
    );
    await session.query('START REPLICA SQL_THREAD');
  } else if (!(await applies(session))) return 'applier-failed';
  else if (
    !isSame({
      ...{ host: source.host, port: String(source.port) },
      ...{ ssl_ca_file: authorities, ssl_certificate: certificate, ssl_key: key },
    })
  ) {
    const before = await heldBy(session);
    if (!isApplied(before)) await drain(session, before, drainFirst);
    // With the applier stopped this would throw away what was received; with it running, and nothing but the address given, it
    // does not (mysql-lab.md §4). It may stop in between.
    await session.query(`CHANGE REPLICATION SOURCE TO ${address}`);
    const after = await heldBy(session);
    if (!contains(after.all, before.all)) return 'log-lost';
  }
  await startReceiving(session, source.password, self, part);
  return 'receiving';
}

/** The account is given at each start, and is in no table. */
export async function startReceiving(
  session: Session,
  password: string,
  self: InstanceName,
  part: Part,
): Promise<void> {
  // It counts from the next start on (mysql-lab.md §1).
  await session.query(`SET GLOBAL rpl_semi_sync_replica_enabled = ${part === 'sync' ? 'ON' : 'OFF'}`);
  const account = part === 'sync' ? syncAccount(self) : asyncAccount(self);
  await session.query(`START REPLICA IO_THREAD USER = ${literal(account)} PASSWORD = ${literal(password)}`);
}

/** Whether the applier runs; one that was only stopped is started. */
async function applies(session: Session): Promise<boolean> {
  if (await applierRuns(session)) return true;
  if ((await failureOfApplier(session)) !== undefined) return false;
  await session.query('START REPLICA SQL_THREAD');
  return applierRuns(session);
}

/** Why the applier has ended by itself; undefined: it runs, or somebody has stopped it. */
export async function applierFailure(session: Session): Promise<string | undefined> {
  return (await applierRuns(session)) ? undefined : failureOfApplier(session);
}

async function failureOfApplier(session: Session): Promise<string | undefined> {
  const [failed] = await session.query(
    `SELECT last_error_message AS message FROM performance_schema.replication_applier_status_by_worker WHERE last_error_number <> 0
     UNION ALL SELECT last_error_message FROM performance_schema.replication_applier_status_by_coordinator WHERE last_error_number <> 0`,
  );
  return failed && textOf(failed, 'message');
}

async function applierRuns(session: Session): Promise<boolean> {
  const [row] = await session.query(
    "SELECT service_state AS state FROM performance_schema.replication_applier_status WHERE channel_name = ''",
  );
  return row?.['state'] === 'ON';
}

/**
 * Seconds between a commit on the primary and its replay here. With the receiver running, as otherwise what was received could be
 * thrown away (mysql-lab.md §4); and only while the applier can be stopped at once.
 */
export async function delayReplay(session: Session, seconds: number): Promise<'done' | 'later' | 'log-lost'> {
  const [row] = await session.query(
    "SELECT desired_delay AS seconds FROM performance_schema.replication_applier_configuration WHERE channel_name = ''",
  );
  const now = Number(row?.['seconds'] ?? 0);
  if (now === seconds) return 'done';
  const before = await heldBy(session);
  if (!(await receives(session)) || (now === 0 && !isApplied(before))) return 'later';
  await session.query('STOP REPLICA SQL_THREAD');
  try {
    await session.query(`CHANGE REPLICATION SOURCE TO SOURCE_DELAY = ${seconds}`);
  } finally {
    await session.query('START REPLICA SQL_THREAD');
  }
  return contains((await heldBy(session)).all, before.all) ? 'done' : 'log-lost';
}

export async function receives(session: Session): Promise<boolean> {
  const [row] = await session.query(
    "SELECT service_state AS state FROM performance_schema.replication_connection_status WHERE channel_name = ''",
  );
  return row?.['state'] === 'ON';
}

/** Whether all of it is applied within so many seconds. */
export async function drain(session: Session, held: Held, seconds: number): Promise<boolean> {
  const missing = formatGtidSet(subtract(held.all, held.executed));
  const [row] = await session.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?) AS late', [missing, seconds]);
  return Number(row?.['late']) === 0;
}

/** For a promotion: nothing that was received may be left. */
export async function applyEverything(session: Session, signal: AbortSignal): Promise<Held> {
  for (;;) {
    signal.throwIfAborted();
    const held = await heldBy(session);
    if (isApplied(held)) return held;
    if (!(await applies(session)))
      throw new MainstayError('DatabaseUnreachable', 'The applier has failed: what was received can’t be applied');
    await drain(session, held, drainFirst);
  }
}
