/**
 * Five laws of MySQL's semi-synchronous replication (DESIGN §7) that fencing and rejoin rest on, on real servers under the
 * engine: should a version of MySQL break one, this says so first.
 */
import { afterAll, beforeAll, expect } from '@jest/globals';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mysqlGroup, type MysqlGroup } from '../../../hack/container/mysql.ts';
import { realServers } from '../../../hack/container/real-servers.ts';

const { root, onRealServers, title } = await realServers('mysql');

let servers: MysqlGroup;
beforeAll(async () => {
  if (root === '') return;
  servers = await mysqlGroup(root, ['m-1', 'm-2']);
  await servers.found('m-1');
  await servers.add('m-2');
  await servers.sync(1, ['m-2']);
  expect(servers.server('m-1').sql('CREATE TABLE app.t (n int PRIMARY KEY)').ok).toBe(true);
}, 300_000);
afterAll(async () => {
  if (root !== '') await servers.remove();
}, 60_000);

const rows = (name: string): string => servers.server(name).sql('SELECT n FROM app.t ORDER BY n').output;

/** A commit that nobody acknowledges; resolves when it waits, or queues behind one that does. */
async function waitingInsert(
  name: string,
  n: number,
): Promise<{ readonly id: number; readonly ended: Promise<string> }> {
  const server = servers.server(name);
  const child = server.session(`INSERT INTO app.t VALUES (${n}) /* ${n} */`, `SELECT 'acknowledged'`);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text: Buffer) => (output += text.toString()));
  const ended = once(child, 'close').then(() => output);
  for (const begun = performance.now(); performance.now() - begun < 60_000;) {
    await sleep(20);
    const found = server.sql(
      `SELECT id FROM performance_schema.processlist
        WHERE (state LIKE 'Waiting for semi-sync ACK%' OR state LIKE 'waiting for handler commit%') AND info LIKE '%/* ${n} */%' AND id <> connection_id()`,
    ).output;
    if (/^\d+$/.test(found)) return { id: Number(found), ended };
  }
  throw new Error(`the insert of ${n} does not wait: ${output}`);
}

onRealServers(
  title('1: KILL frees no commit that waits, and then nothing can make the server read-only'),
  async () => {
    await servers.run('m-2', { type: 'seal' });
    const { id, ended } = await waitingInsert('m-1', 1);
    const sql = (text: string) => servers.server('m-1').sql(text);
    sql(`KILL ${id}`);
    expect(await ended).toMatch(/Lost connection/);
    expect(sql(`SELECT state FROM performance_schema.processlist WHERE id = ${id}`).output).toMatch(/semi-sync ACK/);
    expect(sql('SET SESSION lock_wait_timeout = 1; SET GLOBAL super_read_only = ON').output).toMatch(/ERROR 1205/);
    expect(rows('m-1')).toBe('');
    await servers.follow('m-2');
    await servers.until('the commit', () => rows('m-1') === '1');
  },
  300_000,
);

onRealServers(
  title('2: turning semi-sync off acknowledges what no replica has'),
  async () => {
    await servers.run('m-2', { type: 'seal' });
    const { ended } = await waitingInsert('m-1', 2);
    servers.server('m-1').sql('SET GLOBAL rpl_semi_sync_source_enabled = OFF');
    expect(await ended).toMatch('acknowledged');
    expect(rows('m-2')).toBe('1');
    servers.server('m-1').sql('SET GLOBAL rpl_semi_sync_source_enabled = ON');
    await servers.follow('m-2');
    await servers.until('the other to have it', () => rows('m-2') === '1\n2');
  },
  300_000,
);

onRealServers(
  title(
    '5: what only a killed primary has is undone by cutting its log before it starts, and it returns without a copy',
  ),
  async () => {
    await servers.run('m-2', { type: 'seal' });
    const waiting = [await waitingInsert('m-1', 3), await waitingInsert('m-1', 4), await waitingInsert('m-1', 5)];
    await servers.run('m-1', { type: 'kill', reason: 'test' });
    for (const { ended } of waiting) expect(await ended).not.toMatch('acknowledged');
    await servers.elect('m-2', []);
    expect(servers.server('m-2').sql('INSERT INTO app.t VALUES (3)').ok).toBe(true);
    await servers.return('m-1');
    await servers.until('the same rows', () => rows('m-1') === '1\n2\n3');
    const checksum = (name: string): string => servers.server(name).sql('CHECKSUM TABLE app.t').output;
    expect(checksum('m-1')).toBe(checksum('m-2'));
    const kept = await readdir(join(servers.server('m-1').volume, 'quarantine'));
    expect(kept).toHaveLength(1);
    const shown = servers
      .server('m-1')
      .execute('mysqlbinlog', ['--no-defaults', '-v', `/var/lib/mainstay/quarantine/${kept[0] ?? ''}`], 60_000);
    expect(shown.output.match(/### INSERT INTO/g)).toHaveLength(3);
    await servers.sync(1, ['m-1']);
  },
  600_000,
);

onRealServers(
  title('3 and 4: SIGTERM and a start commit what nobody has; the server that did is found out, and copied anew'),
  async () => {
    await servers.run('m-1', { type: 'seal' });
    const { ended } = await waitingInsert('m-2', 6);
    const former = servers.server('m-2');
    for (const { pid } of former.server()) process.kill(pid, 'SIGTERM');
    expect(await ended).not.toMatch('acknowledged');
    while (former.changes.at(-1)?.status !== 'stopped') await sleep(20);
    await servers.run('m-2', { type: 'start' });
    expect(rows('m-2')).toBe('1\n2\n3\n6');
    await servers.run('m-2', { type: 'seal' });
    await servers.elect('m-1', []);
    expect(await servers.follow('m-2')).toMatchObject({ diverged: { remedy: 'clone' } });
    await servers.add('m-2');
    await servers.until('the same rows', () => rows('m-2') === '1\n2\n3');
  },
  600_000,
);
