import assert from 'node:assert/strict';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'a log on a volume of its own: a failover, and an instance cloned anew',
  { orders: 'none', operator: 'needed', localNodes: true, runs: 'soak', engines: ['postgres'] },
  async ({ orders, access, writeBeside }) => {
    await orders.apply({ storage: { size: '2Gi' }, walStorage: { size: '1Gi' } });
    await orders.fullyRedundant({ within: budgets.readyMs });
    await orders.allCount({ within: budgets.redundantMs });
    const names = (await orders.pods()).map(({ name }) => name);
    const claims = (await orders.volumes()).map(({ metadata }) => metadata?.name);
    for (const name of names) {
      assert.ok(claims.includes(`${name}-wal`), `a claim ${name}-wal among ${claims.join(', ')}`);
      await logIsApart(name);
    }

    const primary = await orders.primary();
    const client = await writeBeside(primary);
    await client.expectTrouble();
    await orders.shell(primary.instance, 'kill -9 $(head -1 /var/lib/mainstay/pgdata/postmaster.pid)');
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await orders.allCount({ within: budgets.redundantMs });

    const [replica] = await orders.replicas();
    assert.ok(replica);
    const cloned = await access.mainstay(['reinitialize', 'orders', replica.name, '-n', orders.namespace], {
      timeoutMs: budgets.redundantMs,
    });
    assert.equal(cloned.code, 0, cloned.stderr);
    await orders.fullyRedundant({ within: budgets.redundantMs });
    for (const name of names) await logIsApart(name);
    const logs = await orders.shell(replica.name, 'ls -d /var/lib/mainstay-wal/wal-* | wc -l');
    assert.equal(logs.trim(), '1', 'the log of the former data is gone with them');
    await client.outageIsAtMost(budgets.outageMs);

    async function logIsApart(name: string): Promise<void> {
      const folder = await orders.shell(name, 'readlink -f /var/lib/mainstay/pgdata/pg_wal');
      assert.match(folder, /^\/var\/lib\/mainstay-wal\//, `the log of ${name}`);
    }
  },
);
