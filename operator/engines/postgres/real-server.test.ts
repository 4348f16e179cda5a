/** The engine's signs of life and its end, on real PostgreSQL processes and a disk that can be frozen. */
import { afterEach, expect } from '@jest/globals';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { drivePostgres, type DrivenPostgres } from '../../../hack/container/postgres.ts';
import { realServers } from '../../../hack/container/real-servers.ts';
import { systemClock } from '../../platform/clock.ts';

const { root, onRealServers, title } = await realServers();

let running: DrivenPostgres | undefined;
let busy: ChildProcess[] = [];
afterEach(async () => {
  for (const child of busy) child.kill('SIGKILL');
  busy = [];
  const pg = running;
  running = undefined;
  if (!pg) return;
  thaw(pg);
  await pg.remove();
}, 30_000);

async function serving(options: Parameters<typeof drivePostgres>[1] = {}): Promise<DrivenPostgres> {
  const pg = await drivePostgres(root, options);
  running = pg;
  await pg.serve();
  return pg;
}

const signalAll = (pg: DrivenPostgres, name: NodeJS.Signals): void => {
  for (const { pid } of pg.server()) process.kill(pid, name);
};
const freeze = (pg: DrivenPostgres): void => void spawnSync('fsfreeze', ['--freeze', pg.volume]);
const thaw = (pg: DrivenPostgres): void => void spawnSync('fsfreeze', ['--unfreeze', pg.volume]);
const kill = { type: 'kill', reason: 'test' } as const;

onRealServers(
  title('all processes stopped: told in time, well again, and killed though they are stopped'),
  async () => {
    const pg = await serving();
    await systemClock.sleep(1500);
    signalAll(pg, 'SIGSTOP');
    expect(await pg.untilHealth('failing', 15_000)).toBeLessThan(6000);
    expect(pg.health.at(-1)).toMatchObject({ reason: 'DatabaseHung' });
    signalAll(pg, 'SIGCONT');
    await pg.untilHealth('well', 15_000);
    signalAll(pg, 'SIGSTOP');
    await expect(pg.run(kill, 5000)).resolves.toMatchObject({ status: 'stopped' });
    expect(pg.server()).toEqual([]);
    expect(pg.health.at(-1)).toEqual({ status: 'well' });
  },
  240_000,
);

onRealServers(
  title('a replica is watched as well'),
  async () => {
    const pg = await drivePostgres(root);
    running = pg;
    await pg.run({ type: 'initialize' });
    await pg.run({ type: 'start' });
    await systemClock.sleep(2500);
    expect(pg.health).toEqual([]);
    signalAll(pg, 'SIGSTOP');
    await pg.untilHealth('failing', 15_000);
  },
  240_000,
);

onRealServers(
  title('a stopped postmaster is told though its sessions go on writing'),
  async () => {
    const pg = await serving();
    expect(pg.psql('CREATE TABLE t (n int)').ok).toBe(true);
    busy.push(
      session(pg, 'DO $$ BEGIN LOOP INSERT INTO t VALUES (1); COMMIT; PERFORM pg_sleep(0.01); END LOOP; END $$'),
    );
    await systemClock.sleep(1500);
    const [postmaster] = pg.server();
    process.kill(postmaster?.pid ?? 0, 'SIGSTOP');
    await pg.untilHealth('failing', 15_000);
    expect(pg.health.at(-1)).toMatchObject({
      reason: 'DatabaseHung',
      detail: expect.stringMatching('main process is stopped') as unknown,
    });
  },
  240_000,
);

onRealServers(
  title('a frozen disk: told in time; who waits for it can’t be killed, and its end is told when it comes'),
  async () => {
    const pg = await serving({ ownDisk: true });
    await pg.run({ type: 'open' });
    busy.push(
      session(
        pg,
        'CREATE TABLE t (n int); DO $$ BEGIN LOOP INSERT INTO t VALUES (1); COMMIT; PERFORM pg_sleep(0.01); END LOOP; END $$',
      ),
    );
    await systemClock.sleep(1500);
    freeze(pg);
    expect(await pg.untilHealth('failing', 15_000)).toBeLessThan(6000);
    expect(pg.health.at(-1)).toMatchObject({ reason: 'DiskStalled' });
    await expect(pg.run(kill, 1000)).rejects.toThrow();
    expect(pg.server().length).toBeGreaterThan(0);
    expect(pg.changes).toEqual([]);
    const killing = pg.run(kill, 20_000);
    thaw(pg);
    expect(await killing).toMatchObject({ status: 'stopped' });
    expect(pg.server()).toEqual([]);
  },
  240_000,
);

onRealServers(
  title('a start on a frozen disk fails, and what comes next waits for it: nothing is begun twice'),
  async () => {
    const pg = await serving({ ownDisk: true });
    await pg.run({ type: 'stop' });
    freeze(pg);
    await expect(pg.run({ type: 'start' }, 2000)).rejects.toThrow('start waits for the disk');
    await expect(pg.run({ type: 'start' }, 500)).rejects.toThrow('start waits for the disk');
    await pg.run(kill, 5000);
    const next = pg.run({ type: 'start' });
    thaw(pg);
    expect(await next).toMatchObject({ status: 'replica' });
    expect(pg.server().filter(({ command }) => command.includes('/bin/postgres -D'))).toHaveLength(1);
  },
  240_000,
);

onRealServers(
  title('a full disk: told, and told to be over'),
  async () => {
    const pg = await serving({ ownDisk: true });
    const ballast = join(pg.volume, 'ballast');
    const { bavail, bsize } = await statfs(pg.volume);
    spawnSync('fallocate', ['--length', String(bavail * bsize - 8 * 1024 * 1024), ballast]);
    await pg.untilHealth('failing', 15_000);
    expect(pg.health.at(-1)).toMatchObject({ reason: 'DiskFull' });
    await rm(ballast);
    await pg.untilHealth('well', 15_000);
  },
  240_000,
);

onRealServers(
  title('a PostgreSQL that ended for lack of room comes back on the reserve, and takes no more than it is asked to'),
  async () => {
    const pg = await serving({ ownDisk: true });
    const reserve = async (): Promise<number> => (await stat(join(pg.volume, 'disk-reserve'))).size;
    while ((await reserve().catch(() => 0)) === 0) await systemClock.sleep(100);
    const taken = await reserve();
    expect(taken).toBe(64 * 1024 * 1024);
    expect(
      pg.psql('CREATE TABLE big AS SELECT repeat(md5(n::text), 8) AS x FROM generate_series(1, 100000) n').ok,
    ).toBe(true);

    const filler = join(pg.volume, 'filler');
    const { bavail, bsize } = await statfs(pg.volume);
    spawnSync('fallocate', ['--length', String(bavail * bsize), filler]);
    pg.psql("SELECT pg_logical_emit_message(true, 'test', repeat('x', 1000000)) FROM generate_series(1, 100)");
    while (pg.changes.length === 0) await systemClock.sleep(20);
    expect(pg.log.map(({ msg }) => msg)).toContainEqual(expect.stringMatching('No space left on device'));

    await pg.run({ type: 'start' });
    expect(await reserve()).toBe(0);
    await pg.run({ type: 'seal', adopting: true });
    await pg.run({ type: 'promote', epoch: 2, timeline: 3, sync: { members: [], acknowledgements: 0 } });
    await pg.run({ type: 'open' });
    expect(pg.psql('CHECKPOINT').ok).toBe(true);
    expect(pg.psql('CREATE TABLE another (n int)').output).toMatch('read-only transaction');
    await pg.untilHealth('failing', 15_000);
    expect(pg.health.at(-1)).toMatchObject({ reason: 'DiskFull' });
    expect(pg.psql('SET transaction_read_only = off; DROP TABLE big').ok).toBe(true);

    await rm(filler);
    await pg.untilHealth('well', 15_000);
    while ((await reserve()) < taken) await systemClock.sleep(100);
    do await pg.observe();
    while (!pg.psql('CREATE TABLE IF NOT EXISTS another (n int)').ok);
  },
  240_000,
);

onRealServers(
  title('a quota that is used up ends PostgreSQL as a full disk does, and it comes back on the reserve'),
  async () => {
    const pg = await serving({ ownDisk: 'btrfs' });
    const reserve = async (): Promise<number> => (await stat(join(pg.volume, 'disk-reserve'))).size;
    while ((await reserve().catch(() => 0)) === 0) await systemClock.sleep(100);
    const btrfs = (...args: readonly string[]): string => {
      const done = spawnSync('btrfs', [...args, pg.volume], { encoding: 'utf8' });
      if (done.status !== 0) throw new Error(`btrfs ${args.join(' ')}: ${done.stderr}`);
      return done.stdout;
    };
    btrfs('filesystem', 'sync');
    const used = Number(/^0\/5\s+(\d+)/m.exec(btrfs('qgroup', 'show', '--raw'))?.[1]);
    btrfs('qgroup', 'limit', String(used + 4 * 1024 * 1024), '0/5');
    pg.psql("SELECT pg_logical_emit_message(true, 'test', repeat('x', 1000000)) FROM generate_series(1, 100)");
    while (pg.changes.length === 0) await systemClock.sleep(20);
    expect(pg.log.map(({ msg }) => msg)).toContainEqual(expect.stringMatching('Disk quota exceeded'));
    // The agent tries again, too: btrfs counts what the reserve gave back only after its next commit.
    const started = (): Promise<boolean> =>
      pg.run({ type: 'start' }).then(
        () => true,
        () => false,
      );
    while (!(await started())) await systemClock.sleep(500);
    expect(await reserve()).toBe(0);
  },
  240_000,
);

onRealServers(
  title('a database that is busy in all the usual ways is not hung'),
  async () => {
    const pg = await serving({ ownDisk: true, parameters: { max_connections: '20' } });
    expect(
      pg.psql('CREATE TABLE t AS SELECT n, repeat(md5(n::text), 8) AS x FROM generate_series(1, 100000) n').ok,
    ).toBe(true);
    // Both processors taken, and more than that.
    for (let n = 0; n < 4; n++) busy.push(spawn('bash', ['-c', 'while :; do :; done'], { stdio: 'ignore' }));
    busy.push(
      // A checkpoint storm over tables rewritten under exclusive locks.
      session(
        pg,
        ...Array.from({ length: 40 }, () => ['VACUUM FULL t', 'UPDATE t SET n = n + 1', 'CHECKPOINT']).flat(),
      ),
      // A lock held long, and somebody waiting for it.
      session(pg, 'CREATE TABLE locked (n int)', 'BEGIN', 'LOCK TABLE locked', 'SELECT pg_sleep(60)'),
      session(pg, 'SELECT pg_sleep(1)', 'SELECT * FROM locked'),
      // Commits that wait for a replica that isn't there.
      session(pg, "SET application_name = 'waiter'", 'SET synchronous_commit = on', 'INSERT INTO t VALUES (0)'),
      // Every other connection taken.
      ...Array.from({ length: 20 }, () => session(pg, 'SELECT pg_sleep(60)')),
    );
    await systemClock.sleep(15_000);
    expect([pg.health, pg.changes]).toEqual([[], []]);
    expect(pg.psql('SELECT 1').output).toMatch(/too many clients|remaining connection slots|^1$/);
  },
  240_000,
);

onRealServers(
  title('a start that fails says why; a crash says what it will cost'),
  async () => {
    const pg = await serving();
    await systemClock.sleep(300);
    const [postmaster] = pg.server();
    process.kill(postmaster?.pid ?? 0, 'SIGKILL');
    while (pg.changes.length === 0) await systemClock.sleep(20);
    expect(pg.changes[0]).toMatchObject({ status: 'stopped' });
    const wal = join(pg.volume, 'pgdata/pg_wal');
    for (const name of await readdir(wal)) if (/^[0-9A-F]{24}$/.test(name)) await rm(join(wal, name));
    await expect(pg.run({ type: 'start' })).rejects.toThrow(
      /DatabaseUnreachable: PostgreSQL ended while starting: (FATAL|PANIC): {2}\S+/,
    );
  },
  240_000,
);

onRealServers(
  title('a crash is over soon, though a session does not hear that it must end'),
  async () => {
    const pg = await serving();
    const busyBackend = async (statement: string): Promise<number> => {
      busy.push(session(pg, statement));
      for (;;) {
        const { output } = pg.psql(`SELECT pid FROM pg_stat_activity WHERE query = '${statement}'`);
        const found = pg.container.processes().find(({ innerPid }) => String(innerPid) === output);
        if (found) return found.pid;
        await systemClock.sleep(20);
      }
    };
    const deaf = await busyBackend('SELECT pg_sleep(600)');
    const victim = await busyBackend('SELECT pg_sleep(601)');
    process.kill(deaf, 'SIGSTOP');
    const began = systemClock.now();
    process.kill(victim, 'SIGKILL');
    while (pg.changes.length === 0) await systemClock.sleep(20);
    // PostgreSQL itself would have waited for five seconds.
    expect(systemClock.now() - began).toBeLessThan(4000);
    expect(pg.changes[0]).toMatchObject({ status: 'stopped' });
    expect(pg.server()).toEqual([]);
  },
  240_000,
);

onRealServers(
  title('PostgreSQL’s log comes out as our own lines, whole, without passwords, and holds the database up never'),
  async () => {
    const pg = await serving({ parameters: { log_statement: 'all' } });
    const lines = (message: RegExp): readonly Readonly<Record<string, unknown>>[] =>
      pg.log.filter((line) => line['logger'] === 'postgres' && message.test(String(line['msg'])));
    const until = async (message: RegExp, count = 1): Promise<readonly Readonly<Record<string, unknown>>[]> => {
      while (lines(message).length < count) await systemClock.sleep(20);
      return lines(message);
    };
    pg.psql("SELECT 'two\nlines',\n  1/0");
    expect((await until(/^division by zero$/))[0]).toMatchObject({
      level: 50,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\S+Z$/) as unknown,
      pg: {
        pid: expect.any(Number) as unknown,
        user: 'postgres',
        dbname: 'postgres',
        error_severity: 'ERROR',
        state_code: '22012',
        statement: "SELECT 'two\nlines',\n  1/0",
      },
    });
    pg.psql("CREATE ROLE somebody PASSWORD 'hunter2'");
    pg.psql("DO $$ BEGIN RAISE LOG 'huge %', repeat('x', 3000000); END $$");
    expect(String((await until(/^huge x/))[0]?.['msg'])).toMatch(/more characters\]$/);
    expect(lines(/^statement: CREATE ROLE somebody PASSWORD \[redacted\]$/)).toHaveLength(1);
    expect(JSON.stringify(pg.log)).not.toContain('hunter2');
    expect(lines(/pg_logical_emit_message/)).toEqual([]);

    // Far more than any pipe holds, while nobody reads it.
    const driver = pg.container.processes().find(({ innerPid }) => innerPid === 1);
    process.kill(driver?.pid ?? 0, 'SIGSTOP');
    const told = pg.psql(
      "DO $$ BEGIN FOR n IN 1..20000 LOOP RAISE LOG 'flood % %', n, repeat('x', 100); END LOOP; END $$",
    );
    process.kill(driver?.pid ?? 0, 'SIGCONT');
    expect(told).toEqual({ ok: true, output: '' });
    expect(await until(/^flood /, 20_000)).toHaveLength(20_000);
    expect(pg.health).toEqual([]);
  },
  240_000,
);

/** A client that runs these one after another, until the test ends. */
const session = (pg: DrivenPostgres, ...statements: readonly string[]): ChildProcess => pg.session(...statements);
