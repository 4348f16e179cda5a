/** A major upgrade on real PostgreSQL processes: 17 to 18, by pg_upgrade. */
import { expect } from '@jest/globals';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { drivePostgres, type DrivenPostgres } from '../../../hack/container/postgres.ts';
import { realServers } from '../../../hack/container/real-servers.ts';
import { asEarlierReleaseLeft } from '../../../hack/testbed/earlier-release.ts';
import type { UpgradeRequest } from '../../api/cluster-state.ts';
import type { DatabaseState } from '../../ha/state.ts';
import { systemClock } from '../../platform/clock.ts';

const { root, onRealServers, removedAfterwards, title } = await realServers('upgrade');

const request = (transfer: UpgradeRequest['transfer'] = 'Copy'): UpgradeRequest => ({
  id: 'r1',
  from: 't-1',
  to: '18',
  transfer,
  deadline: '2030-01-01T00:00:00Z',
});

/** 17, with what an upgrade must carry over. */
async function seventeen(): Promise<DrivenPostgres> {
  const pg = removedAfterwards(await drivePostgres(root, { version: '17' }));
  await pg.serve();
  expect(pg.psql('SHOW server_version_num').output).toMatch(/^17/);
  expect(
    pg.psql(
      `CREATE TABLE t AS SELECT n, md5(n::text) AS x FROM generate_series(1, 20000) n; CREATE INDEX ON t (n); ANALYZE t;
       CREATE ROLE reader LOGIN PASSWORD 'secret'; GRANT SELECT ON t TO reader`,
    ),
  ).toMatchObject({ ok: true });
  return pg;
}

const upgradable = (pg: DrivenPostgres): void => {
  expect(pg.execute('bash', ['-c', asEarlierReleaseLeft], 60_000)).toMatchObject({ ok: true });
};

/** Resolves with what the check has found. */
async function checked(pg: DrivenPostgres, transfer?: UpgradeRequest['transfer']): Promise<DatabaseState> {
  const before = pg.changes.length;
  await pg.run({ type: 'check-upgrade', request: request(transfer) });
  for (;;) {
    const last = pg.changes.slice(before).at(-1);
    if (last?.status === 'primary' && last.upgradeCheck && last.upgradeCheck.outcome !== 'running') return last;
    await systemClock.sleep(50);
  }
}

/** From data that were taken to a primary that serves: as after the cluster has changed over. */
async function serveAgain(pg: DrivenPostgres, timeline: number): Promise<void> {
  await pg.run({ type: 'start' });
  await pg.run({ type: 'seal', adopting: true }); // there is no history here
  await pg.run({ type: 'promote', epoch: 2, timeline, sync: { members: [], acknowledgements: 0 } });
  await pg.run({ type: 'open' });
}

const rows = (pg: DrivenPostgres): string =>
  pg.psql('SELECT count(*), sum(n), min(x) FROM t').output.replaceAll('|', ' ');

onRealServers.each(['Copy', 'Link'] as const)(
  title('rows, roles and statistics go over to 18 (%s), the old data stay, and no timeline is used twice'),
  async (transfer) => {
    const pg = await seventeen();
    const before = rows(pg);
    upgradable(pg);
    expect(await checked(pg, transfer)).toMatchObject({ status: 'primary', upgradeCheck: { outcome: 'passed' } });
    // What is written after the check counts as well.
    expect(pg.psql('CREATE TABLE late AS SELECT 1 AS n').ok).toBe(true);
    upgradable(pg);
    const stopped = await pg.run({ type: 'stop' });
    expect(stopped).toMatchObject({ status: 'stopped', clean: true });

    const upgraded = await pg.run({ type: 'upgrade', request: request(transfer) }, 300_000);
    expect(upgraded).toMatchObject({ status: 'stopped', upgraded: { request: 'r1', version: '18' } });
    if (stopped.status !== 'stopped' || upgraded.status !== 'stopped') throw new Error('not stopped');
    expect(upgraded.systemIdentifier).toBe(stopped.systemIdentifier);
    expect(await pg.inspect()).toEqual(upgraded);

    const taken = await pg.run({ type: 'take-upgraded' });
    expect(taken).toMatchObject({ status: 'stopped', systemIdentifier: upgraded.upgraded?.systemIdentifier });
    await serveAgain(pg, upgraded.highestTimeline + 1);
    expect(pg.psql('SHOW server_version_num').output).toMatch(/^18/);
    expect(rows(pg)).toBe(before);
    expect(pg.psql('SELECT n FROM late').output).toBe('1');
    expect(pg.psql("SELECT has_table_privilege('reader', 't', 'SELECT')").output).toBe('t');
    expect(pg.psql('SELECT pg_walfile_name(pg_current_wal_lsn())').output).toMatch(/^00000003/);
    expect(pg.psql("SELECT count(*) FROM pg_stats WHERE tablename = 't'").output).toBe('2');
    expect(await readFile(join(pg.volume, 'pgdata.17/PG_VERSION'), 'utf8')).toBe('17\n');
  },
  240_000,
);

onRealServers(
  title('an upgrade that is called off leaves 17 as it was'),
  async () => {
    const pg = await seventeen();
    const before = rows(pg);
    upgradable(pg);
    await checked(pg);
    await pg.run({ type: 'stop' });
    await expect(pg.run({ type: 'upgrade', request: request() }, 1500)).rejects.toThrow();
    expect(await pg.inspect()).toMatchObject({ status: 'stopped' });
    await serveAgain(pg, 3);
    expect(pg.psql('SHOW server_version_num').output).toMatch(/^17/);
    expect(rows(pg)).toBe(before);
    expect(await readdir(pg.volume)).not.toContain('pgdata.upgraded');
  },
  240_000,
);

onRealServers(
  title('so does one that is finished and not taken, though it shares the files'),
  async () => {
    const pg = await seventeen();
    const before = rows(pg);
    upgradable(pg);
    await checked(pg, 'Link');
    await pg.run({ type: 'stop' });
    expect(await pg.run({ type: 'upgrade', request: request('Link') }, 300_000)).toMatchObject({
      upgraded: { version: '18' },
    });
    await serveAgain(pg, 3);
    expect(pg.psql('SHOW server_version_num').output).toMatch(/^17/);
    expect(rows(pg)).toBe(before);
  },
  240_000,
);

onRealServers(
  title('what pg_upgrade can’t do is refused while 17 serves on, and says what stands in the way'),
  async () => {
    const pg = await seventeen();
    upgradable(pg);
    expect(pg.psql('CREATE DATABASE closed ALLOW_CONNECTIONS false').ok).toBe(true);
    expect(await checked(pg)).toMatchObject({
      status: 'primary',
      upgradeCheck: { outcome: 'refused', reason: expect.stringMatching(/must allow connections.*closed/) as unknown },
    });
    expect(pg.psql('SELECT count(*) FROM t').output).toBe('20000');
  },
  240_000,
);

onRealServers(
  title('so is what 17 notes with columns and 18 does not know, which pg_upgrade would find out half-way'),
  async () => {
    const pg = await seventeen();
    upgradable(pg);
    // As a later release of 17 may: Debian's 17.12 does, of which 18.6 knows nothing. Operator classes have options of their own.
    const siglen = "CREATE INDEX ON t USING gist (to_tsvector('simple', x) tsvector_ops (siglen = 16))";
    expect(pg.psql(siglen)).toMatchObject({ ok: true });
    expect(await checked(pg)).toMatchObject({ upgradeCheck: { outcome: 'passed' } });
    expect(
      pg.psql(
        "UPDATE pg_attribute SET attoptions = '{later=1,n_distinct=4}' WHERE attrelid = 't'::regclass AND attnum = 1",
      ),
    ).toMatchObject({ ok: true });
    expect(await checked(pg)).toMatchObject({
      status: 'primary',
      upgradeCheck: {
        outcome: 'refused',
        reason: expect.stringMatching(
          /^17\.\d+ .*notes later with columns, which 18\.\d+ .* does not know: use an image whose 18 was/,
        ) as unknown,
      },
    });
    expect(pg.psql('SELECT count(*) FROM t').output).toBe('20000');
  },
  240_000,
);
