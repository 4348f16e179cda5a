import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { parse } from 'yaml';
import { repository } from '../../hack/testbed/cluster-access.ts';
import { databaseCluster, type ClusterUnderTest } from '../../hack/testbed/database-cluster.ts';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { startWriter } from '../../hack/testbed/writer.ts';
import { violationsOf } from '../../hack/writer/verdict.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

/** Three copies of an almost empty database, one after the other, and a switchover. */
const movedWithin = 3 * seconds(90);

async function hasMoved(cluster: ClusterUnderTest): Promise<void> {
  await until(
    'every instance is on a volume of the other class',
    async () => {
      const { status, metadata } = (await cluster.resource()) ?? {};
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      const isCurrent = ready?.observedGeneration === metadata?.generation;
      const moved = (await cluster.volumes()).filter(({ spec }) => spec?.storageClassName === 'local-2').length;
      return moved >= 3 && isCurrent && ready?.status === 'True'
        ? yes(undefined)
        : notYet(ready?.message ?? 'no status');
    },
    { within: movedWithin },
  );
}

scenario(
  'another storage class: every instance moves to a new volume under load, the primary by a switchover, and the old volumes stay',
  { localNodes: true, orders: 'none', operator: 'needed', runs: 'soak' },
  async ({ orders, access, writeBeside }) => {
    const storage = (storageClassName: string) => ({ storage: { size: '1Gi', storageClassName } });
    await orders.apply(storage('local'));
    await orders.fullyRedundant({ within: budgets.readyMs });
    await orders.allCount({ within: budgets.redundantMs });
    const before = (await orders.volumes()).map(({ metadata }) => metadata?.uid);
    const client = await writeBeside(await orders.primary());
    await client.expectTrouble();

    await orders.change(storage('local-2'));
    await hasMoved(orders);
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await orders.allCount({ within: budgets.redundantMs });

    const after = await orders.volumes();
    const kept = after.filter(({ metadata }) => before.includes(metadata?.uid));
    assert.equal(kept.length, 3, 'the volumes from before stay (deletionPolicy: Retain)');
    assert.ok(
      kept.every(({ metadata }) => metadata?.annotations?.['mainstay.dev/superseded-by'] === `${metadata?.name}-v2`),
      'and say what is in their place',
    );
    const events = await access.kubectl(['events', '--namespace', orders.namespace, '--for', 'postgrescluster/orders']);
    for (const reason of ['VolumeReplaced', 'VolumeRetained', 'SwitchoverCompleted'])
      assert.ok(events.includes(reason), `an event ${reason}`);
    await client.outageIsAtMost(budgets.undisturbedMs);
  },
);

scenario(
  'another storage class for a MySQLCluster: the old volumes go (deletionPolicy: Delete)',
  { localNodes: true, orders: 'none', operator: 'needed', runs: 'soak' },
  async ({ orders: { namespace }, nodes, access, api, signal }) => {
    const name = 'orders';
    const mysql = databaseCluster({ access, api, signal }, { namespace, name, kind: 'MySQLCluster' });
    const example = parse(await readFile(path.join(repository, 'examples/mysql.yaml'), 'utf8')) as { spec: object };
    const storage = (storageClassName: string) => ({ storage: { size: '2Gi', storageClassName } });
    const manifest = {
      ...example,
      metadata: { name, namespace },
      spec: { ...example.spec, ...storage('local'), deletionPolicy: 'Delete' },
    };
    await access.kubectl(['apply', '-f', '-'], { input: JSON.stringify(manifest), signal });
    try {
      await mysql.fullyRedundant({ within: seconds(180) });
      const primary = await mysql.primary();
      const node = (await nodes.names()).find((other) => other !== primary.node) ?? primary.node;
      const writer = await startWriter(
        { access, api, signal },
        { namespace, cluster: name, node, table: 'moved_writes' },
      );
      try {
        await writer.acknowledgedAgain({ within: budgets.outageMs });
        await access.kubectl(
          [
            ...['patch', '--namespace', namespace, `mysqlclusters.mainstay.dev/${name}`, '--type=merge'],
            ...['--patch', JSON.stringify({ spec: storage('local-2') })],
          ],
          { signal },
        );
        await hasMoved(mysql);
        await until(
          'the volumes from before are gone',
          async () => {
            const names = (await mysql.volumes()).map(({ metadata }) => metadata?.name ?? '').toSorted();
            return names.join() === 'orders-1-v2,orders-2-v2,orders-3-v2' ? yes(undefined) : notYet(names.join());
          },
          { within: seconds(60) },
        );
        await mysql.fullyRedundant({ within: seconds(180) });
        assert.deepEqual(violationsOf(await writer.stop()), []);
      } finally {
        await writer.remove();
      }
    } finally {
      await mysql.delete({ within: seconds(120) });
    }
  },
);
