import assert from 'node:assert/strict';
import { resourceOf } from '../../hack/testbed/engines.ts';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

const fixed = 'e2e-fixed-size';

scenario(
  'volumes grow under load without a restart; where the class can’t, it is said, and taking it back heals',
  { localNodes: true, orders: 'none', operator: 'needed', runs: 'soak' },
  async ({ orders, access, writeBeside }) => {
    const resize = (size: string) =>
      access.tryKubectl([
        ...['patch', '--namespace', orders.namespace, `${resourceOf(orders.engine)}/orders`, '--type=merge'],
        ...['--patch', JSON.stringify({ spec: { storage: { size } } })],
      ]);
    const started = async (): Promise<string> =>
      access.kubectl([
        ...['get', 'pods', '--namespace', orders.namespace, '--selector', 'mainstay.dev/cluster=orders'],
        ...['--output', 'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[*].restartCount};{end}'],
      ]);
    await access.kubectl(['apply', '--filename', '-'], {
      input: JSON.stringify({
        apiVersion: 'storage.k8s.io/v1',
        kind: 'StorageClass',
        metadata: { name: fixed },
        provisioner: 'mainstay.dev/local',
        volumeBindingMode: 'WaitForFirstConsumer',
        allowVolumeExpansion: false,
      }),
    });
    try {
      await orders.apply({ storage: { size: '1Gi', storageClassName: fixed } });
      await orders.ready({ within: budgets.readyMs });
      const before = await started();
      assert.equal((await resize('2Gi')).code, 0);
      await until(
        'the cluster says that its volumes can’t grow',
        async () => {
          const conditions = (await orders.resource())?.status?.conditions ?? [];
          const stalled = conditions.find(({ type }) => type === 'Stalled');
          return stalled?.reason === 'VolumeNotExpandable' ? yes(undefined) : notYet(stalled?.message ?? '');
        },
        { within: seconds(60) },
      );
      assert.equal((await resize('1Gi')).code, 0, 'the old size is taken');
      assert.notEqual((await resize('900Mi')).code, 0, 'less than there is, is refused');
      await orders.ready({ within: seconds(60) });

      // As an administrator would, once the driver can.
      await access.kubectl(['patch', 'storageclass', fixed, '--patch', '{"allowVolumeExpansion":true}']);
      const client = await writeBeside(await orders.primary());
      await client.expectTrouble();
      assert.equal((await resize('2Gi')).code, 0);
      await until(
        'every volume has 2 GiB',
        async () => {
          const sizes = (await orders.volumes()).map((volume) => volume.status?.capacity?.['storage']);
          return sizes.every((size) => size === '2Gi') ? yes(undefined) : notYet(sizes.join(', '));
        },
        { within: seconds(120) },
      );
      await orders.ready({ within: seconds(60) });
      assert.equal(await started(), before, 'no Pod was made anew, no container restarted');
      await client.outageIsAtMost(budgets.undisturbedMs);
    } finally {
      await access.tryKubectl(['delete', 'storageclass', fixed, '--ignore-not-found']);
    }
  },
);
