/** Who gets into a real server while its settings change. */
import { expect } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { mysqlGroup, type MysqlGroup } from '../../../hack/container/mysql.ts';
import { realServers } from '../../../hack/container/real-servers.ts';
import { initConnect } from './gate.ts';

const { root, onRealServers, removedAfterwards, title } = await realServers('mysql');

async function founded(): Promise<MysqlGroup> {
  const group = removedAfterwards(await mysqlGroup(root, ['m-1']));
  await group.found('m-1');
  return group;
}

onRealServers(
  title('who is let in while settings change stays in, and who is shut out stays out'),
  async () => {
    const group = await founded();
    const server = group.server('m-1');
    const [mysqld] = server.server();
    const validating = (): boolean =>
      server.container.processes().some(({ command }) => command.includes('--validate-config'));
    const admitted = { instance: 'm-2', incarnation: 'a' };
    const definition = { instances: ['m-1'], parameters: { long_query_time: '7' } };

    // Both changes wait for the server, the settings' first; what they do to the gate, last.
    process.kill(mysqld?.pid ?? 0, 'SIGSTOP');
    const configured = server.configure({ definition });
    while (!validating()) await sleep(5);
    while (validating()) await sleep(5);
    await sleep(100);
    const to = { acknowledgements: 0, members: [admitted] };
    const admitting = server.run({ type: 'configure-sync', to, barrier: false });
    await sleep(100);
    process.kill(mysqld?.pid ?? 0, 'SIGCONT');
    await Promise.all([configured, admitting]);

    expect(server.sql('SELECT @@global.long_query_time').output).toMatch(/^7/);
    expect(server.sql('SELECT @@global.init_connect').output.replaceAll('\\\\', '\\').trim()).toBe(
      initConnect({ members: [admitted], clients: true }),
    );
  },
  120_000,
);
