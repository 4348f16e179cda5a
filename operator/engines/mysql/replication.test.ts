/** Real MySQL servers under the engine: what a lossless failover rests on. */
import { afterAll, beforeAll, expect } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { mysqlGroup, type MysqlGroup } from '../../../hack/container/mysql.ts';
import { realServers } from '../../../hack/container/real-servers.ts';
import { parseGtidSet } from '../../ha/gtid-set.ts';
import { cachingSha2Verifier } from './caching-sha2.ts';
import { beatSource, systemIn } from './names.ts';

const { root, onRealServers, title } = await realServers('mysql');

let servers: MysqlGroup;
beforeAll(async () => {
  if (root === '') return;
  servers = await mysqlGroup(root, ['m-1', 'm-2', 'm-3']);
  await servers.found('m-1');
  await Promise.all([servers.add('m-2'), servers.add('m-3')]);
  await servers.sync(1, ['m-2', 'm-3']);
  expect(servers.server('m-1').sql('CREATE TABLE app.t (n int PRIMARY KEY)').ok).toBe(true);
}, 300_000);
afterAll(async () => {
  if (root !== '') await servers.remove();
}, 60_000);

const count = (name: string): string => servers.server(name).sql('SELECT count(*) FROM app.t').output;
const insert = (name: string, n: number, timeoutMs?: number): boolean =>
  servers.server(name).sql(`INSERT INTO app.t VALUES (${n})`, timeoutMs).ok;
const signalAll = (name: string, signal: NodeJS.Signals): void => {
  for (const { pid } of servers.server(name).server()) process.kill(pid, signal);
};

onRealServers(
  title(
    'a killed primary’s acknowledged writes are with its successor, and it returns without a copy, what only it had undone',
  ),
  async () => {
    expect(insert('m-1', 1)).toBe(true);
    const former = servers.server('m-1');
    const waiting = (): number =>
      Number(
        former.sql("SELECT count(*) FROM performance_schema.processlist WHERE info = 'COMMIT' OR info LIKE 'INSERT%'")
          .output,
      );
    for (const name of ['m-2', 'm-3']) await servers.run(name, { type: 'seal' });
    former.session('INSERT INTO app.t VALUES (901)');
    await servers.until('a commit to wait', () => waiting() === 1);
    // As the agent writes them while nobody acknowledges: empty, so that InnoDB has nothing to undo of them.
    const executed = parseGtidSet(former.sql('SELECT @@global.gtid_executed').output.replaceAll('\\n', ''));
    const beat = beatSource(systemIn(executed) ?? '');
    for (const number of [901, 902]) former.session(`SET gtid_next = '${beat}:${number}'`, 'BEGIN', 'COMMIT');
    await servers.until('beats to wait as well', () => waiting() === 3);
    await servers.run('m-1', { type: 'kill', reason: 'test' });
    await servers.elect('m-2', ['m-3'], { k: 1, members: ['m-3', 'm-1'] });
    expect(insert('m-2', 2)).toBe(true);
    await servers.return('m-1');
    await servers.until('it to have all', () => count('m-1') === '2');
    await servers.until('it to be told', () => former.standing().cutTail !== undefined);
    expect(former.standing().cutTail).toMatchObject({ transactions: 1 });
    expect(insert('m-1', 3)).toBe(false); // read-only
  },
  240_000,
);

onRealServers(
  title('a member that is frozen leaves the sync set at once, and never acknowledges again until it is taken in anew'),
  async () => {
    signalAll('m-3', 'SIGSTOP');
    try {
      await servers.sync(1, ['m-1']);
      await servers.run('m-1', { type: 'seal' });
    } finally {
      signalAll('m-3', 'SIGCONT');
    }
    await servers.until('m-3 to receive as one that does not count', async () => {
      const replicas = (await servers.server('m-2').observe({ definition: { instances: ['m-1', 'm-2', 'm-3'] } }))
        .replicas;
      return replicas.some(({ voter }) => voter.instance === 'm-3');
    });
    const waiting = servers.server('m-2').session('INSERT INTO app.t VALUES (4)', "SELECT 'acknowledged'");
    let told = '';
    waiting.stdout?.on('data', (text: Buffer) => (told += text.toString()));
    await sleep(1500);
    expect(told).toBe('');
    await servers.follow('m-1');
    await servers.until('the acknowledgement', () => told.includes('acknowledged'));
    await servers.sync(1, ['m-1', 'm-3']);
    await servers.run('m-1', { type: 'seal' });
    expect(insert('m-2', 5)).toBe(true);
    await servers.follow('m-1');
    await servers.streaming('m-1');
  },
  240_000,
);

onRealServers(
  title('a primary that is stopped for a hand-over leaves nothing behind that others lack, clients or not'),
  async () => {
    const client = servers.server('m-2').session('BEGIN', 'INSERT INTO app.t VALUES (6)', 'SELECT SLEEP(30)', 'COMMIT');
    await sleep(300);
    const begun = performance.now();
    expect(await servers.run('m-2', { type: 'stop' })).toMatchObject({ status: 'stopped', clean: true });
    expect(performance.now() - begun).toBeLessThan(6000);
    client.kill();
    await servers.elect('m-3', ['m-1'], { k: 1, members: ['m-1', 'm-2'] });
    expect(insert('m-3', 7)).toBe(true);
    await servers.return('m-2');
    await servers.until('the same rows', () => count('m-2') === count('m-3'));
    expect(count('m-3')).toBe('5');
  },
  240_000,
);

onRealServers(
  title('an application’s password is brought about, told when somebody changed it, and works over the network'),
  async () => {
    const server = servers.server('m-3');
    const declared = (password: string, revision: string): object => ({
      users: [
        { name: 'app', ensure: 'present', password: { verifier: cachingSha2Verifier(password, revision), revision } },
      ],
      databases: [],
    });
    expect(await server.declare(declared('first', '1'))).toEqual([]);
    const as = { user: 'app', password: 'first' };
    expect(server.sql('SELECT count(*) FROM app.t', 10_000, as)).toMatchObject({ ok: true });
    expect(server.sql('SELECT user FROM mysql.user', 10_000, as).ok).toBe(false);
    server.sql("ALTER USER app@'%' IDENTIFIED BY 'theirs'");
    expect(await server.declare(declared('first', '1'))).toMatchObject([{ name: 'app', state: 'drifted' }]);
    expect(await server.declare(declared('second', '2'))).toEqual([]);
    expect(server.sql('SELECT 1', 10_000, { user: 'app', password: 'second' }).ok).toBe(true);
  },
  240_000,
);

onRealServers(
  title(
    'variables change while it runs where they can, wait for a restart where they can’t, and nonsense changes nothing',
  ),
  async () => {
    const server = servers.server('m-3');
    const set = (parameters: Readonly<Record<string, string>>) => server.configure({ definition: { parameters } });
    const told = async () => (await server.observe({ definition: { parameters: last } })).member;
    let last: Readonly<Record<string, string>> = { max_connections: '77', back_log: '99' };
    await set(last);
    expect(server.sql('SELECT @@max_connections').output).toBe('77');
    expect(await told()).toMatchObject({ pendingRestart: ['back_log'] });
    last = { nonsense: '1' };
    await set(last);
    expect((await told()).settingsRefused).toMatch(/unknown variable 'nonsense=1'/);
    expect(server.sql('SELECT @@max_connections').output).toBe('77');
  },
  240_000,
);

onRealServers(
  title(
    'slow statements come among the Pod’s lines, without passwords, and go on in another file before one grows large',
  ),
  async () => {
    const server = servers.server('m-3');
    servers.define({ parameters: { slow_query_log: 'ON', long_query_time: '0' } });
    await servers.configure('m-3');
    const said = (text: string) =>
      server.log.find(({ logger, msg }) => logger === 'mysql-slow' && String(msg).includes(text));
    expect(server.sql('SELECT SLEEP(0.1),\n  2').ok).toBe(true);
    await servers.until('the slow statement', () => said('SLEEP(0.1)') !== undefined);
    expect(said('SLEEP(0.1)')).toMatchObject({
      msg: 'SELECT SLEEP(0.1),\n  2',
      slow: { user: 'root', host: 'localhost', rows_sent: 1 },
    });
    expect((said('SLEEP(0.1)')?.['slow'] as { query_time: number }).query_time).toBeGreaterThan(0.09);
    expect(server.sql("SET PASSWORD FOR app@'%' = 'of-nobodys-business'")).toMatchObject({ ok: true });

    const file = (): string => server.sql('SELECT @@slow_query_log_file').output;
    const first = file();
    const filling = 'x'.repeat(100_000);
    for (let n = 0; n < 45; n += 1)
      expect(server.sql(`SELECT LENGTH('${filling}')`)).toMatchObject({ ok: true, output: '100000' });
    await servers.observe('m-3');
    expect(file()).not.toBe(first);
    server.sql('SELECT SLEEP(0.2)');
    await servers.until('a slow statement in the next file', () => said('SLEEP(0.2)') !== undefined);
    expect(said(filling.slice(0, 10_000))?.['msg']).toMatch(/more characters\]$/);
    expect(JSON.stringify(server.log)).not.toContain('of-nobodys-business');
    servers.define({ parameters: {} });
    await servers.configure('m-3');
  },
  240_000,
);

onRealServers(
  title('binary logs that are old enough stay while an instance is away, and go when all have what is in them'),
  async () => {
    const oldest = (): string => servers.server('m-3').sql('SHOW BINARY LOGS').output.split('\t')[0] ?? '';
    const before = oldest();
    servers.define({ parameters: { binlog_expire_logs_seconds: '1' } });
    await servers.run('m-1', { type: 'kill', reason: 'test' });
    await servers.configure('m-3');
    expect(servers.server('m-3').sql('FLUSH BINARY LOGS').ok).toBe(true);
    const period = 10_000;
    for (const begun = performance.now(); performance.now() - begun < 1.5 * period;) {
      await servers.beat();
      await sleep(500);
    }
    expect(oldest()).toBe(before);
    await servers.return('m-1');
    await servers.until('the oldest to be gone', () => oldest() !== before);
    servers.define({ parameters: {} });
    await servers.configure('m-3');
  },
  240_000,
);

onRealServers(
  title('a delayed replica has at once what it shows later only, and acknowledges nothing less'),
  async () => {
    const [primary, delayed] = [servers.server('m-3'), servers.server('m-1')];
    await servers.follow('m-1');
    await servers.streaming('m-1');
    servers.define({ tags: { 'm-1': { priority: 1, noFailover: true, noSync: true, replayDelay: 5 } } });
    const delay = (): string =>
      delayed.sql('SELECT desired_delay FROM performance_schema.replication_applier_configuration').output;
    await servers.until('the delay', () => delay() === '5');
    const before = performance.now();
    expect(insert('m-3', 100)).toBe(true);
    const position = primary.sql('SELECT @@global.gtid_executed').output.replaceAll('\\n', '');
    const received = `SELECT GTID_SUBSET('${position}', CONCAT(@@global.gtid_executed, ',', received_transaction_set))
      FROM performance_schema.replication_connection_status`;
    await servers.until('it to be received', () => delayed.sql(received).output === '1');
    const shown = (): boolean => delayed.sql('SELECT count(*) FROM app.t WHERE n = 100').output === '1';
    if (performance.now() - before < 4000) expect(shown()).toBe(false);
    // Without a delay from now on: what was received is kept, and shown at once.
    servers.define({ tags: {} });
    await servers.until('the delay to be gone', () => delay() === '0');
    await servers.until('it to be shown', shown);
  },
  240_000,
);

onRealServers(
  title('a replica that somebody has written to, or that can’t apply what it receives, is found out and copied anew'),
  async () => {
    const given = (name: string) => servers.server(name).changes.at(-1);
    const diverged = { status: 'replica', diverged: { remedy: 'clone' } };
    for (const name of ['m-1', 'm-2']) {
      await servers.follow(name);
      await servers.streaming(name);
    }
    await servers.sync(1, ['m-1']);
    const asPerson = 'SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF';
    expect(servers.server('m-2').sql(`${asPerson}; INSERT INTO app.t VALUES (999)`)).toMatchObject({ ok: true });
    await servers.until('it to be found out', async () => {
      const { member } = await servers.observe('m-2');
      return member.message?.includes('somebody has written to this replica') === true;
    });
    expect(given('m-2')).toMatchObject(diverged);
    await servers.add('m-2');
    expect(servers.server('m-2').sql('SELECT n FROM app.t WHERE n = 999').output).toBe('');

    // Not in its log, so only what comes next shows it.
    await servers.sync(1, ['m-2']);
    servers.server('m-1').sql(`${asPerson}; SET sql_log_bin = OFF; INSERT INTO app.t VALUES (998)`);
    expect(insert('m-3', 998)).toBe(true);
    await servers.until('it to fail twice', async () => {
      const { member } = await servers.observe('m-1');
      return member.message?.includes('can’t be applied') === true;
    });
    expect(given('m-1')).toMatchObject(diverged);
    await servers.add('m-1');
    await servers.until('the same rows', () => count('m-1') === count('m-3'));
  },
  240_000,
);
