/** Replication, promotion and the ways back, on several real servers. */
import { readdir } from 'node:fs/promises';
import { afterEach, expect, test } from '@jest/globals';
import { postgresGroup, type PostgresGroup } from '../../../hack/container/postgres-group.ts';
import { rootForTests } from '../../../hack/container/root.ts';
import { systemClock } from '../../platform/clock.ts';

const { root, whyNot } = await rootForTests();
const onRealServers = whyNot === undefined ? test : test.skip;
const title = (what: string): string => (whyNot === undefined ? what : `${what} [skipped: ${whyNot}]`);

let running: PostgresGroup | undefined;
afterEach(async () => {
  const group = running;
  running = undefined;
  await group?.remove();
}, 30_000);

async function three(parameters: Readonly<Record<string, string>> = {}): Promise<PostgresGroup> {
  const group = await postgresGroup(root ?? '', ['t-1', 't-2', 't-3'], { parameters });
  running = group;
  await group.found('t-1');
  await Promise.all(['t-2', 't-3'].map((name) => group.add(name)));
  return group;
}

const sql = (group: PostgresGroup, name: string, text: string): string => {
  const { ok, output } = group.server(name).psql(text, 30_000);
  if (!ok) throw new Error(`${name}: ${output}`);
  return output;
};

const slots = (group: PostgresGroup, name: string): readonly string[] =>
  sql(group, name, "SELECT slot_name FROM pg_replication_slots WHERE slot_type = 'physical' ORDER BY 1")
    .split('\n')
    .filter((line) => line !== '');

/** A checkpoint on each, the primary first, so that old log goes where nothing holds it. */
async function checkpoint(group: PostgresGroup, ...names: readonly string[]): Promise<void> {
  for (const name of names) sql(group, name, 'CHECKPOINT');
  await group.beat();
}

onRealServers(
  title('every member keeps a slot for every other, so that nobody needs a clone after a failover'),
  async () => {
    const group = await three({ wal_keep_size: '0', min_wal_size: '32MB', max_wal_size: '64MB' });
    sql(group, 't-1', 'CREATE TABLE t (n int)');
    await group.beat();
    expect(slots(group, 't-1')).toEqual(['mainstay_t_2', 'mainstay_t_3']);
    expect(slots(group, 't-2')).toEqual(['mainstay_t_1', 'mainstay_t_3']);
    expect(slots(group, 't-3')).toEqual(['mainstay_t_1', 'mainstay_t_2']);

    // One is away while the log grows; then the primary is lost as well.
    const lsn = (name: string, expression: string): number =>
      Number(sql(group, name, `SELECT pg_wal_lsn_diff(${expression}, '0/0')`));
    const held = (name: string): number =>
      lsn(name, "(SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'mainstay_t_3')");
    const end = lsn('t-3', 'pg_last_wal_receive_lsn()');
    await group.run('t-3', { type: 'kill', reason: 'test' });
    for (let n = 0; n < 6; n++) sql(group, 't-1', 'INSERT INTO t VALUES (1); SELECT pg_switch_wal()');
    await checkpoint(group, 't-1', 't-2');
    expect(held('t-2')).toBeLessThanOrEqual(end);
    await group.run('t-1', { type: 'kill', reason: 'test' });
    await group.elect('t-2', []);
    await checkpoint(group, 't-2');
    sql(group, 't-2', 'INSERT INTO t VALUES (2)');

    for (const name of ['t-3', 't-1']) {
      await group.return(name);
      await group.until('every row', () => sql(group, name, 'SELECT count(*) FROM t') === '7');
    }

    // They follow what the others have: the log in between is not kept for ever.
    for (let n = 0; n < 6; n++) sql(group, 't-2', 'INSERT INTO t VALUES (3); SELECT pg_switch_wal()');
    await group.until('the slots of replicas to move', async () => {
      await checkpoint(group, 't-2', 't-1', 't-3');
      return held('t-1') > end + 5 * 16 * 1024 * 1024;
    });

    group.define({ instances: ['t-1', 't-2'] });
    await group.run('t-3', { type: 'kill', reason: 'test' });
    await group.until(
      'the slots of a removed instance to go',
      () => !slots(group, 't-1').includes('mainstay_t_3') && !slots(group, 't-2').includes('mainstay_t_3'),
    );
  },
  120_000,
);

onRealServers(
  title(
    'a logical subscriber misses nothing and gets nothing twice over two failovers, nor what nobody has acknowledged',
  ),
  async () => {
    const group = await postgresGroup(root ?? '', ['t-1', 't-2', 't-3', 'subscriber'], {
      parameters: { wal_level: 'logical' },
    });
    running = group;
    group.define({ instances: ['t-1', 't-2', 't-3'] });
    await group.found('t-1');
    await Promise.all(['t-2', 't-3'].map((name) => group.add(name)));
    await group.sync(1, ['t-2', 't-3']);
    await group.server('subscriber').serve();
    sql(group, 't-1', 'CREATE TABLE t (n int); ALTER TABLE t REPLICA IDENTITY FULL; CREATE PUBLICATION p FOR TABLE t');
    sql(group, 't-1', "CREATE ROLE reader LOGIN REPLICATION PASSWORD 'secret'; GRANT SELECT ON t TO reader");
    sql(group, 'subscriber', 'CREATE TABLE t (n int)');
    const hosts = ['t-1', 't-2', 't-3'].map(group.address).join(',');
    sql(
      group,
      'subscriber',
      `CREATE SUBSCRIPTION s CONNECTION 'host=${hosts} target_session_attrs=read-write connect_timeout=2 user=reader password=secret dbname=postgres' PUBLICATION p WITH (failover = true)`,
    );
    const rows = (name: string): string => sql(group, name, 'SELECT count(*) || $$/$$ || count(DISTINCT n) FROM t');
    const copies = 'SELECT count(*) FROM pg_replication_slots WHERE synced AND NOT temporary';
    const copied = (name: string): Promise<void> =>
      group.until(
        `a copy of the slot on ${name}`,
        () => {
          sql(group, group.primary(), 'SELECT pg_log_standby_snapshot()');
          return sql(group, name, copies) === '1';
        },
        40_000,
      );
    let written = 0;
    const write = (count: number): void => {
      sql(group, group.primary(), `INSERT INTO t SELECT generate_series(${written + 1}, ${(written += count)})`);
    };
    const arrived = (): Promise<void> =>
      group.until('the rows at the subscriber', () => rows('subscriber') === `${written}/${written}`, 40_000);

    write(100);
    await arrived();
    await Promise.all([copied('t-2'), copied('t-3')]);
    write(100);

    await arrived();

    await group.run('t-1', { type: 'stop' });
    await group.elect('t-2', ['t-3'], { k: 1, members: ['t-3'] });
    write(100);
    await arrived();
    // One that stopped in peace comes back with its own slot, which stands in the way of the copy.
    await group.return('t-1');
    await group.sync(1, ['t-1', 't-3']);
    await Promise.all([copied('t-1'), copied('t-3')]);

    // Nobody acknowledges these, and they are lost with the primary: the subscriber must not see them.
    for (const name of ['t-1', 't-3']) group.network.cut(group.address(name));
    group.server('t-2').session('INSERT INTO t SELECT generate_series(-5, -1)');
    await systemClock.sleep(1000);
    expect(sql(group, 't-2', "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")).toBe('1');
    expect(rows('subscriber')).toBe(`${written}/${written}`);
    await group.run('t-2', { type: 'kill', reason: 'test' });
    group.network.cut(group.address('t-2'));
    for (const name of ['t-1', 't-3']) group.network.mend(group.address(name));
    await group.elect('t-1', ['t-3'], { k: 1, members: ['t-3'] });
    write(100);
    await arrived();
    expect(rows('t-1')).toBe(`${written}/${written}`);
  },
  180_000,
);

onRealServers(
  title(
    'a replica that needs log already removed is cloned beside its data, from a replica, throttled, with the log on a volume of its own',
  ),
  async () => {
    const group = await postgresGroup(root ?? '', ['t-1', 't-2', 't-3'], {
      ownWalVolume: true,
      parameters: { wal_keep_size: '0', max_slot_wal_keep_size: '16MB', min_wal_size: '32MB', max_wal_size: '32MB' },
    });
    running = group;
    await group.found('t-1');
    await group.add('t-2');
    await group.add('t-3', 't-2');
    const { volume, walVolume } = group.server('t-3');
    const folders = async (): Promise<readonly string[]> =>
      (await readdir(volume)).filter((name) => name.startsWith('pgdata')).toSorted();
    const logs = async (): Promise<readonly string[]> =>
      (await readdir(walVolume ?? '')).filter((name) => name.startsWith('wal-'));
    expect([await folders(), await logs()]).toMatchObject([['pgdata'], [expect.any(String)]]);
    const [firstLog] = await logs();

    await group.run('t-3', { type: 'kill', reason: 'test' });
    sql(group, 't-1', 'CREATE TABLE t AS SELECT n, repeat($$x$$, 500) FROM generate_series(1, 100000) n');
    for (let n = 0; n < 3; n++) sql(group, 't-1', 'INSERT INTO t VALUES (0); SELECT pg_switch_wal()');
    await group.until('the slot to be given up', () => {
      sql(group, 't-1', 'CHECKPOINT');
      return (
        sql(
          group,
          't-1',
          "SELECT pg_wal_lsn_diff(restart_lsn, '0/5000000') > 0 FROM pg_replication_slots WHERE slot_name = 'mainstay_t_3'",
        ) === 't'
      );
    });
    await group.run('t-3', { type: 'start' });
    await group.follow('t-3');
    await group.until('word that the log is gone', () =>
      group.server('t-3').changes.some((state) => state.status === 'replica' && state.diverged?.remedy === 'clone'),
    );

    // Cut short, it leaves the old data as they are and nothing of its own.
    const clone = { type: 'clone', source: group.member('t-2'), mayDiscardOld: false } as const;
    group.define({ copyRate: 2 * 1024 * 1024 });
    const interrupted = group.run('t-3', clone, 4000);
    await expect(interrupted).rejects.toThrow();
    expect(group.server('t-3').copied.at(-1)).toMatchObject({ doneBytes: expect.any(Number) as unknown });
    expect([await folders(), await logs()]).toEqual([['pgdata'], [firstLog]]);

    group.define({ copyRate: undefined });
    await group.run('t-3', clone);
    expect(await folders()).toEqual(['pgdata', 'pgdata.former']);
    await group.run('t-3', { type: 'start' });
    expect(await logs()).toContain(firstLog);
    await group.follow('t-3');
    await group.streaming('t-3');
    await group.until('the rows', () => sql(group, 't-3', 'SELECT count(*) FROM t') === '100003');
    expect(await folders()).toEqual(['pgdata']);
    expect(await logs()).toHaveLength(1);
    expect(await logs()).not.toContain(firstLog);

    // A rewind with the log elsewhere.
    group.network.cut(group.address('t-1'));
    sql(group, 't-1', 'INSERT INTO t VALUES (-2)');
    await group.run('t-1', { type: 'kill', reason: 'test' });
    group.network.mend(group.address('t-1'));
    await group.elect('t-2', ['t-3']);
    sql(group, 't-2', 'INSERT INTO t VALUES (-1)');
    await group.return('t-1');
    await group.until('the row', () => sql(group, 't-1', 'SELECT count(*) FROM t') === '100004');
    expect(await readdir(group.server('t-1').walVolume ?? '')).toHaveLength(1);
  },
  180_000,
);
