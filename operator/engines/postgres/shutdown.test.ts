/** What a planned stop costs, and what it leaves behind, on several real servers. */
import { expect } from '@jest/globals';
import { postgresGroup } from '../../../hack/container/postgres.ts';
import { realServers } from '../../../hack/container/real-servers.ts';
import { systemClock } from '../../platform/clock.ts';

const { root, onRealServers, removedAfterwards, title } = await realServers();

onRealServers(
  title(
    'a replica that is stopped holds no hand-over up; the other has the last record, and the old primary follows it',
  ),
  async () => {
    const group = removedAfterwards(await postgresGroup(root, ['t-1', 't-2', 't-3']));
    await group.found('t-1');
    for (const name of ['t-2', 't-3']) await group.add(name);
    await group.sync(1, ['t-2', 't-3']);
    expect(group.server('t-1').psql('CREATE TABLE t AS SELECT 1 AS n').ok).toBe(true);

    const receiver = group
      .server('t-3')
      .server()
      .find(({ command }) => command.includes('walreceiver'));
    process.kill(receiver?.pid ?? 0, 'SIGSTOP');
    const began = systemClock.now();
    const stopped = await group.run('t-1', { type: 'stop' });
    const took = systemClock.now() - began;
    process.kill(receiver?.pid ?? 0, 'SIGCONT');
    expect(stopped).toMatchObject({ status: 'stopped' });
    expect(group.server('t-1').log.map(({ msg }) => msg)).toContain('PostgreSQL did not end by itself; killing it');
    // One second of patience; PostgreSQL itself would have waited for five, and an archiver for ever.
    expect(took).toBeLessThan(4500);

    // It shut down as far as its own log goes, and t-2 has all of it: nothing is to be rewound.
    await group.elect('t-2', ['t-3'], { k: 1, members: ['t-3'] });
    const { status } = await group.run('t-1', { type: 'start' });
    expect(status).toBe('replica');
    expect(await group.follow('t-1')).toMatchObject({ status: 'replica', following: { instance: 't-2' } });
    await group.streaming('t-1');
    expect(group.server('t-1').psql('SELECT n FROM t').output).toBe('1');
  },
  240_000,
);

onRealServers(
  title('a stop that is called off leaves a primary that is open again'),
  async () => {
    const group = removedAfterwards(await postgresGroup(root, ['t-1']));
    await group.found('t-1');
    const one = group.server('t-1');
    // The checkpoint can't end while its process is stopped: nothing has been closed by then.
    const checkpointer = one.server().find(({ command }) => command.includes('checkpointer'));
    process.kill(checkpointer?.pid ?? 0, 'SIGSTOP');
    await expect(group.run('t-1', { type: 'stop' }, 1000)).rejects.toThrow();
    process.kill(checkpointer?.pid ?? 0, 'SIGCONT');
    await group.run('t-1', { type: 'open' });
    expect(one.psql('CREATE TABLE t (n int)').ok).toBe(true);
  },
  240_000,
);
