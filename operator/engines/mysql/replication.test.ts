/** Real MySQL servers under the engine: what a lossless failover rests on. */
import { afterAll, expect } from '@jest/globals';
import { mysqlGroup, type MysqlGroup } from '../../../hack/container/mysql.ts';
import { realServers } from '../../../hack/container/real-servers.ts';

const { root, onRealServers, title } = await realServers('mysql');

let group: MysqlGroup | undefined;
afterAll(async () => group?.remove(), 60_000);

async function made(): Promise<MysqlGroup> {
  group ??= await mysqlGroup(root, ['m-1', 'm-2', 'm-3']);
  return group;
}

onRealServers(
  title('from nothing to three, a write that is acknowledged, and a failover that keeps it'),
  async () => {
    const servers = await made();
    await servers.found('m-1');
    await Promise.all([servers.add('m-2'), servers.add('m-3')]);
    await servers.sync(1, ['m-2', 'm-3']);
    const first = servers.server('m-1');
    expect(first.sql('CREATE TABLE app.t (n int PRIMARY KEY)')).toEqual({ ok: true, output: '' });
    expect(first.sql('INSERT INTO app.t VALUES (1)')).toEqual({ ok: true, output: '' });
    await servers.run('m-1', { type: 'kill', reason: 'test' });
    await servers.elect('m-2', ['m-3'], { k: 1, members: ['m-3', 'm-1'] });
    expect(servers.server('m-2').sql('INSERT INTO app.t VALUES (2); SELECT n FROM app.t ORDER BY n')).toEqual({
      ok: true,
      output: '1\n2',
    });
    await servers.return('m-1');
    await servers.until('it to have all', () => servers.server('m-1').sql('SELECT count(*) FROM app.t').output === '2');
  },
  180_000,
);
