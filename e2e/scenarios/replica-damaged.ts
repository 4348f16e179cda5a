import assert from 'node:assert/strict';
import { notYet, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'bytes of a table are flipped on a replica’s disk',
  { localNodes: true, runs: 'soak', engines: ['postgres'] },
  async ({ orders, writeBeside, signal }) => {
    const primary = await orders.primary();
    const [victim] = await orders.replicas();
    assert.ok(victim);
    await orders.allCount({ within: budgets.redundantMs });
    const client = await writeBeside(primary);
    await orders.sql(primary.instance, 'CREATE TABLE damaged AS SELECT n FROM generate_series(1, 10000) n');
    const file = (await orders.sql(primary.instance, "SELECT pg_relation_filepath('damaged')")).trim();
    await orders.sql(primary.instance, 'CHECKPOINT');
    const waiting = { within: budgets.redundantMs, signal };
    const count = (): Promise<string> => orders.sql(victim.name, 'SELECT count(*) FROM damaged');
    await until('the table on the replica', async () => yes(await count()), waiting);
    await orders.sql(victim.name, 'CHECKPOINT');
    const member = async () => (await orders.runtime()).members.get(victim.name);
    const before = (await member())?.incarnation;

    await client.expectTrouble();
    const data = '/var/lib/mainstay/pgdata';
    await orders.shell(
      victim.name,
      `printf mainstay | dd of=${data}/${file} bs=1 seek=$((3 * 8192 + 4000)) conv=notrunc,fsync status=none`,
    );
    // It still has the page in its memory.
    await orders.shell(victim.name, `kill -9 $(head -1 ${data}/postmaster.pid)`);
    await until(
      'the damage to be read',
      () =>
        count().then(
          () => notYet('read as if it were whole'),
          (error: unknown) =>
            String(error).includes('invalid page') ? yes(undefined) : notYet(String(error).slice(0, 200)),
        ),
      waiting,
    );
    await until(
      'fresh data',
      async () => {
        const now = await member();
        const isFresh = now !== undefined && now.incarnation !== before && now.state === 'streaming';
        return isFresh
          ? yes(undefined)
          : notYet(`${now?.state ?? 'silent'}: ${now?.corruption?.detail ?? 'no damage'}`);
      },
      waiting,
    );
    assert.equal((await count()).trim(), '10000');
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);
    await orders.sql(primary.instance, 'DROP TABLE damaged');
  },
);
