/** Becoming primary: everything applied, acknowledgements on and the door shut before the marker, and open only when enough hold it. */
import { contains, highestOf, type GtidSet } from '../../ha/gtid-set.ts';
import type { SyncSet } from '../../ha/sync-set.ts';
import type { Clock } from '../../platform/clock.ts';
import { MainstayError } from '../../platform/errors.ts';
import type { ServerAccess } from './access.ts';
import { beats, type Beats } from './beats.ts';
import { beatSource } from './names.ts';
import { applyEverything } from './receiver.ts';
import type { Where } from './sql.ts';
import { semiSync, waitFor } from './sync-set.ts';

export interface Lead extends Beats {
  /** Enough hold the log as of the claim, marker included. */
  acknowledged(): boolean;
}

/** Milliseconds: as long as it takes; whoever waits has a limit of its own. */
const ever = 2 ** 31 - 1;

/** Applies what was received, switches acknowledgements on, and writes the marker: all of it read-only. */
export async function promote(
  server: ServerAccess,
  wanted: {
    readonly timeline: number;
    readonly sync: SyncSet;
    readonly systemIdentifier: string;
    readonly sealed: GtidSet;
  },
  admit: () => Promise<void>,
  where: Where,
): Promise<Lead> {
  const { timeline, sync, systemIdentifier, sealed } = wanted;
  const held = await server.control((session) => applyEverything(session, server.signal), ever);
  if (!contains(held.executed, sealed))
    throw new MainstayError('DataDirectoryUnusable', 'What was promised is not in the log any more');
  if (highestOf(held.executed, systemIdentifier) >= BigInt(timeline))
    throw new MainstayError('DataDirectoryUnusable', `Number ${timeline} of the claim is used already in this log`);
  await server.control(async (session) => {
    await session.query('STOP REPLICA');
    // All of it is applied: nothing is lost with the relay logs.
    await session.query('RESET REPLICA ALL');
    await session.query('SET GLOBAL rpl_semi_sync_replica_enabled = OFF');
    await waitFor(session, sync.acknowledgements);
  });
  await admit();
  const own = beats(where, systemIdentifier, highestOf(held.executed, beatSource(systemIdentifier)), server.clock);
  let acknowledged = false;
  void own.commit(`${systemIdentifier}:${timeline}`, ever).then(
    () => (acknowledged = true),
    () => undefined,
  );
  return { ...own, acknowledged: () => acknowledged };
}

/** Milliseconds to wait for acknowledgements; it is tried again. */
const patience = 500;
const period = 5;

/**
 * Waits until the marker is acknowledged. A replica that had it before it connected never acknowledges it (mysql-lab.md §2):
 * what comes after it does, and wakes the thread that would have noticed a new one within a second.
 */
export async function untilAcknowledged(server: ServerAccess, lead: Lead, sync: SyncSet, clock: Clock): Promise<void> {
  const end = clock.now() + patience;
  let nudgedFor = 0;
  while (!lead.acknowledged()) {
    if (clock.now() > end)
      throw new MainstayError(
        'DatabaseUnreachable',
        `Waited ${patience} ms in vain for ${sync.acknowledgements} replicas to acknowledge the beginning of this epoch`,
        { retryable: true },
      );
    const { clients } = await server.control(semiSync);
    if (clients >= sync.acknowledgements && clients > nudgedFor) {
      nudgedFor = clients;
      void lead.beat(ever).catch(() => undefined);
    }
    await clock.sleep(period, server.signal);
  }
}
