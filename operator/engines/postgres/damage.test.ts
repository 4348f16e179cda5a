/** Files that are damaged on purpose, on real servers. */
import { expect } from '@jest/globals';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { postgresGroup } from '../../../hack/container/postgres.ts';
import { realServers } from '../../../hack/container/real-servers.ts';

const { root, onRealServers, removedAfterwards, title } = await realServers();

onRealServers(
  title('flipped bytes in a replica’s table are told; a fresh copy is whole, and is taken once, not again and again'),
  async () => {
    const group = removedAfterwards(await postgresGroup(root, ['t-1', 't-2']));
    await group.found('t-1');
    await group.add('t-2');
    group.server('t-1').psql('CREATE TABLE t AS SELECT n FROM generate_series(1, 10000) n');
    const path = group.server('t-1').psql("SELECT pg_relation_filepath('t')").output;
    group.server('t-1').psql('CHECKPOINT');
    const replica = group.server('t-2');
    const count = (): string => replica.psql('SELECT count(*) FROM t').output;
    await group.until('the table on the replica', () => count() === '10000');
    replica.psql('CHECKPOINT');

    const damage = async (): Promise<void> => {
      await group.run('t-2', { type: 'stop' });
      const file = await open(join(replica.volume, 'pgdata', path), 'r+');
      await file.write(Buffer.from('mainstay'), 0, 8, 3 * 8192 + 4000);
      await file.close();
      await group.return('t-2');
      expect(replica.standing().corruption).toBeUndefined();
      expect(count()).toMatch('invalid page in block 3');
      await group.until('the damage to be told', () =>
        /invalid page in block 3/.test(replica.standing().corruption?.detail ?? ''),
      );
    };
    await damage();
    expect(replica.standing().corruption).toMatchObject({ databases: ['postgres'], copyHelps: true });

    await group.run('t-2', { type: 'clone', source: group.member('t-1'), mayDiscardOld: false });
    expect(replica.standing().corruption).toBeUndefined();
    expect(await readdir(replica.volume)).toContain('pgdata.former');
    await group.return('t-2');
    expect(count()).toBe('10000');
    await group.until('the old data to go', async () => !(await readdir(replica.volume)).includes('pgdata.former'));

    await damage();
    expect(replica.standing().corruption).not.toHaveProperty('copyHelps');
    expect(replica.standing().corruption?.detail).toMatch('suspect its disk');
  },
  240_000,
);
