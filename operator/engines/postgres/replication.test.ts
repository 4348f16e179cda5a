/** Replication, promotion and the ways back, on several real servers. */
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { expect } from '@jest/globals';
import { postgresGroup, type PostgresGroup } from '../../../hack/container/postgres.ts';
import { realServers } from '../../../hack/container/real-servers.ts';
import { systemClock } from '../../platform/clock.ts';

const { root, onRealServers, removedAfterwards, title } = await realServers();

/** Milliseconds; they take 10 to 30 seconds each on a machine that has nothing else to do. */
const timeLimit = 300_000;

async function three(parameters: Readonly<Record<string, string>> = {}): Promise<PostgresGroup> {
  const group = removedAfterwards(await postgresGroup(root, ['t-1', 't-2', 't-3'], { parameters }));
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
  timeLimit,
);

onRealServers(
  title('a primary that can’t open without its followers makes the slots that they lack'),
  async () => {
    const group = await three();
    await group.beat();
    // No slot is left for t-3 when t-2 seals.
    sql(group, 't-2', "SELECT pg_drop_replication_slot('mainstay_t_3')");
    const free = Number(sql(group, 't-2', 'SHOW max_replication_slots')) - slots(group, 't-2').length;
    const others = `FROM generate_series(1, ${free}) n`;
    sql(group, 't-2', `SELECT pg_create_physical_replication_slot('other_' || n) ${others}`);
    await group.run('t-1', { type: 'kill', reason: 'test' });
    const elected = group.elect('t-2', ['t-3'], { k: 1, members: ['t-3'] });
    await group.until('the promotion', () => sql(group, 't-2', 'SELECT pg_is_in_recovery()') === 'f');
    expect(slots(group, 't-2')).not.toContain('mainstay_t_3');
    sql(group, 't-2', `SELECT pg_drop_replication_slot('other_' || n) ${others}`);
    await elected;
  },
  timeLimit,
);

onRealServers(
  title(
    'a logical subscriber misses nothing and gets nothing twice over two failovers, nor what nobody has acknowledged',
  ),
  async () => {
    const group = removedAfterwards(
      await postgresGroup(root, ['t-1', 't-2', 't-3', 'subscriber'], {
        parameters: { wal_level: 'logical' },
      }),
    );
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
      group.until(`a copy of the slot on ${name}`, () => {
        sql(group, group.primary(), 'SELECT pg_log_standby_snapshot()');
        return sql(group, name, copies) === '1';
      });
    let written = 0;
    const write = (count: number): void => {
      sql(group, group.primary(), `INSERT INTO t SELECT generate_series(${written + 1}, ${(written += count)})`);
    };
    const arrived = (): Promise<void> =>
      group.until('the rows at the subscriber', () => rows('subscriber') === `${written}/${written}`);

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
    // One after the other, so that t-1 has all that t-3 has: with less it could not lead.
    group.network.cut(group.address('t-3'));
    const end = sql(group, 't-2', 'SELECT pg_current_wal_flush_lsn()');
    const lacking = `SELECT pg_last_wal_receive_lsn() < '${end}'`;
    await group.until('t-1 to hold the log', () => sql(group, 't-1', lacking) === 'f');
    group.network.cut(group.address('t-1'));
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
  timeLimit,
);

onRealServers(
  title(
    'a replica that needs log already removed is cloned beside its data, from a replica, throttled, with the log on a volume of its own',
  ),
  async () => {
    const group = removedAfterwards(
      await postgresGroup(root, ['t-1', 't-2', 't-3'], {
        ownWalVolume: true,
        parameters: { wal_keep_size: '0', max_slot_wal_keep_size: '16MB', min_wal_size: '32MB', max_wal_size: '32MB' },
      }),
    );
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
    const { copied } = group.server('t-3');
    const interrupted = group.run('t-3', clone).then(
      () => 'done',
      () => 'failed',
    );
    await group.until('progress', () => copied.length > 0);
    group.network.cut(group.address('t-2'));
    expect(await interrupted).toBe('failed');
    group.network.mend(group.address('t-2'));
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

    // A rewind with the log elsewhere. So little log is kept here that a slot from before the table is lost at the next checkpoint.
    await group.until('slots near the end of the log', () => {
      sql(group, 't-1', 'CHECKPOINT');
      sql(group, 't-2', 'CHECKPOINT');
      const near =
        'SELECT count(*) FROM pg_replication_slots WHERE pg_wal_lsn_diff(pg_last_wal_replay_lsn(), restart_lsn) < 8000000';
      return sql(group, 't-2', near) === '2';
    });
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
  timeLimit,
);

onRealServers(
  title('two timelines of one number: the replica on the wrong one is cloned, not rewound and not left to itself'),
  async () => {
    const group = await three();
    sql(group, 't-1', 'CREATE TABLE t (n int)');
    await group.until('the table', () => sql(group, 't-3', "SELECT to_regclass('t') IS NOT NULL") === 't');
    await group.run('t-1', { type: 'kill', reason: 'test' });
    for (const name of ['t-2', 't-3']) await group.run(name, { type: 'seal' });

    // t-3 leads for a while in an epoch of which nobody will know.
    const sync = { members: [], acknowledgements: 0 };
    await group.server('t-3').run({ type: 'promote', epoch: 2, timeline: 3, sync });
    await group.server('t-3').run({ type: 'open' });
    sql(group, 't-3', 'INSERT INTO t VALUES (3)');
    await group.run('t-3', { type: 'kill', reason: 'test' });
    await group.elect('t-2', []);
    expect(group.member('t-2')).toMatchObject({ role: 'primary' });
    expect(
      sql(group, 't-2', 'SELECT timeline_id FROM pg_control_checkpoint() UNION SELECT 3 ORDER BY 1 DESC LIMIT 1'),
    ).toBe('3');
    sql(group, 't-2', 'INSERT INTO t VALUES (2)');
    const history = (name: string): string => sql(group, name, "SELECT pg_read_file('pg_wal/00000003.history')");

    await group.run('t-3', { type: 'start' });
    expect(history('t-3')).toBe(history('t-2'));
    expect(await group.follow('t-3')).toMatchObject({ diverged: { remedy: 'clone' } });
    await group.add('t-3');
    await group.until('the row', () => sql(group, 't-3', 'SELECT string_agg(n::text, $$,$$) FROM t') === '2');
    // One on the same branch is not mistaken.
    await group.run('t-3', { type: 'stop' });
    await group.return('t-3');
  },
  timeLimit,
);

onRealServers(
  title(
    'a frozen standby stalls nobody while another qualifies; a query on the successor does not hold up its promotion; a rewind need not wait for a checkpoint',
  ),
  async () => {
    const group = await three({ max_standby_streaming_delay: '-1' });
    sql(group, 't-1', 'CREATE TABLE t (n int); CREATE TABLE w (n int); INSERT INTO t SELECT generate_series(1, 1000)');
    await group.sync(1, ['t-2', 't-3']);
    const writer = group.server('t-1').session(`DO $$
      DECLARE last timestamptz := clock_timestamp(); ends timestamptz := last + interval '6 s'; worst interval := '0';
      BEGIN
        WHILE last < ends LOOP
          INSERT INTO w VALUES (1); COMMIT;
          worst := greatest(worst, clock_timestamp() - last);
          last := clock_timestamp();
        END LOOP;
        RAISE NOTICE 'worst % ms', round(1000 * extract(epoch FROM worst));
      END $$`);
    let told = '';
    writer.stderr?.setEncoding('utf8').on('data', (text: string) => (told += text));
    const ended = once(writer, 'exit');
    await systemClock.sleep(1000);
    const receiver = group
      .server('t-2')
      .server()
      .find(({ command }) => command.includes('walreceiver'));
    process.kill(receiver?.pid ?? 0, 'SIGSTOP');
    const unfit = async (): Promise<boolean> =>
      (await group.server('t-1').observe()).replicas.some(
        ({ voter, streaming }) => voter.instance === 't-2' && !streaming,
      );
    await group.until('the frozen one to count as such', unfit);
    await group.sync(1, ['t-3']);
    await ended;
    process.kill(receiver?.pid ?? 0, 'SIGCONT');
    // Were it waited for, it would be for as long as it takes to count as frozen, which is 2.5 s.
    const worst = Number(/worst (\d+) ms/.exec(told)?.[1]);
    process.stdout.write(`write stall with a frozen sync standby: ${worst} ms\n`);
    expect(worst).toBeLessThan(2000);
    await group.streaming('t-2');

    // Replay waits for this query for ever: it sees rows that the log has removed since.
    const reader = group
      .server('t-2')
      .session('BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT count(*) FROM t', 'SELECT pg_sleep(120)');
    await group.until(
      'the query',
      () => sql(group, 't-2', "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") === '1',
    );
    sql(group, 't-1', 'DELETE FROM t');
    sql(group, 't-1', 'VACUUM t');
    sql(group, 't-1', 'INSERT INTO t VALUES (-1)');
    const end = sql(group, 't-1', 'SELECT pg_current_wal_flush_lsn()');
    await group.until(
      'the log to arrive',
      () => sql(group, 't-2', `SELECT pg_last_wal_receive_lsn() >= '${end}'`) === 't',
    );
    expect(sql(group, 't-2', `SELECT pg_last_wal_replay_lsn() < '${end}'`)).toBe('t');
    for (const name of ['t-2', 't-3']) group.network.cut(group.address(name));
    group.server('t-1').session('INSERT INTO t VALUES (-2)');
    await group.until(
      'the write that nobody acknowledges',
      () => sql(group, 't-1', "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") === '1',
    );
    await group.run('t-1', { type: 'kill', reason: 'test' });
    group.network.cut(group.address('t-1'));
    for (const name of ['t-2', 't-3']) group.network.mend(group.address(name));
    const begun = performance.now();
    await group.elect('t-2', []);
    expect(performance.now() - begun).toBeLessThan(30_000);
    expect(reader.exitCode).not.toBe(0);
    group.network.mend(group.address('t-1'));
    await group.return('t-1');
    await group.until('the rows', () => sql(group, 't-1', 'SELECT string_agg(n::text, $$,$$) FROM t') === '-1');
  },
  timeLimit,
);

onRealServers(
  title('a delayed replica has the log and not the rows, until the delay ends, over a failover as well'),
  async () => {
    const group = await three();
    const tags = { 't-3': { priority: 0, noFailover: true, noSync: true, replayDelay: 3600 } };
    sql(group, 't-1', 'CREATE TABLE t (n int)');
    await group.until('the table', () => sql(group, 't-3', "SELECT to_regclass('t') IS NOT NULL") === 't');
    group.define({ tags });
    await group.beat();
    await group.until('the delay', () => sql(group, 't-3', 'SHOW recovery_min_apply_delay') === '1h');
    sql(group, 't-1', 'INSERT INTO t VALUES (1)');
    const end = sql(group, 't-1', 'SELECT pg_current_wal_flush_lsn()');
    await group.until('the log', () => sql(group, 't-3', `SELECT pg_last_wal_receive_lsn() >= '${end}'`) === 't');
    await group.until('the row elsewhere', () => sql(group, 't-2', 'SELECT count(*) FROM t') === '1');
    expect(sql(group, 't-3', 'SELECT count(*) FROM t')).toBe('0');

    await group.run('t-1', { type: 'kill', reason: 'test' });
    await group.elect('t-2', ['t-3']);
    sql(group, 't-2', 'INSERT INTO t VALUES (2)');
    await group.beat();
    expect(sql(group, 't-3', 'SELECT count(*) FROM t')).toBe('0');
    group.define({ tags: {} });
    await group.until('all rows', () => sql(group, 't-3', 'SELECT count(*) FROM t') === '2');
  },
  timeLimit,
);
