/** What a former primary's return leaves behind for people, and a clone where there is little room. */
import { expect } from '@jest/globals';
import { readdir, rm, statfs } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { mysqlGroup } from '../../../hack/container/mysql.ts';
import { realServers } from '../../../hack/container/real-servers.ts';

const { root, onRealServers, removedAfterwards, title } = await realServers('mysql');
const mebibyte = 1024 * 1024;

onRealServers(
  title(
    'a tail that was cut off is told until its file is removed; a clone needs room, and takes the old data’s only if it may',
  ),
  async () => {
    const group = removedAfterwards(await mysqlGroup(root, ['m-1', 'm-2'], { ownDisk: true }));
    await group.found('m-1');
    await group.add('m-2');
    await group.sync(1, ['m-2']);
    const former = group.server('m-1');
    expect(former.sql('CREATE TABLE app.t (n int)').ok).toBe(true);
    await group.run('m-2', { type: 'seal' });
    former.session('INSERT INTO app.t VALUES (1)');
    await group.until(
      'the commit to wait',
      () =>
        former.sql("SELECT count(*) FROM performance_schema.processlist WHERE state LIKE 'Waiting for semi-sync ACK%'")
          .output === '1',
    );
    await group.run('m-1', { type: 'kill', reason: 'test' });
    await group.elect('m-2', []);
    await group.return('m-1');
    await group.until('it to be told', () => former.standing().cutTail !== undefined);
    const { cutTail } = former.standing();
    expect(cutTail).toMatchObject({ transactions: 1, gtids: expect.stringMatching(/^[0-9a-f-]{36}:\d+$/) as unknown });
    const file = join(former.volume, 'quarantine', cutTail?.file.split('/').at(-1) ?? '');
    await rm(file);
    await group.until('it to be forgotten', () => former.standing().cutTail === undefined);

    // A volume that somebody else fills.
    const clone = { type: 'clone', source: group.member('m-2'), mayDiscardOld: false } as const;
    const filler = join(former.volume, 'filler');
    const leave = async (bytes: number): Promise<void> => {
      await rm(filler, { force: true });
      const { bavail, bsize } = await statfs(former.volume);
      const done = spawnSync('fallocate', ['-l', String(bavail * bsize - bytes), filler], { encoding: 'utf8' });
      if (done.status !== 0) throw new Error(done.stderr);
    };
    const data = async (): Promise<readonly string[]> =>
      (await readdir(former.volume)).filter((name) => name.startsWith('mysql')).toSorted();
    await leave(300 * mebibyte);
    await expect(group.run('m-1', clone)).rejects.toThrow(/No room for a copy of the database/);
    expect(await data()).toEqual(['mysql']);
    await group.run('m-1', { ...clone, mayDiscardOld: true });
    expect(await data()).toEqual(['mysql']);
    await rm(filler);

    // It would convert the data for good.
    group.define({ version: '8.4' });
    await expect(group.run('m-1', { type: 'start' })).rejects.toThrow(
      /The image has MySQL 9\.\S+, and the data are of 8\.4/,
    );
    group.define({ version: '9.7' });
    await group.run('m-1', { type: 'start' });
    await group.follow('m-1');
    await group.streaming('m-1');
  },
  600_000,
);
