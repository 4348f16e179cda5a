import assert from 'node:assert/strict';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'a node is gone for good with the primary’s volume: after the delay the instance gets another, cloned from the rest',
  { localNodes: true, orders: 'none', operator: 'needed', runs: 'soak' },
  async ({ orders, nodes, access, writeBeside }) => {
    await orders.apply({ storage: { size: '1Gi' }, replication: { replaceLostVolumesAfter: '5s' } });
    await orders.fullyRedundant({ within: budgets.readyMs });
    await orders.allCount({ within: budgets.redundantMs });
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    await client.expectTrouble();

    await nodes.powerOff(primary.node);
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await access.kubectl(['delete', 'node', primary.node]);
    await until(
      `${primary.instance} gets another volume`,
      async () => {
        const names = (await orders.volumes()).map(({ metadata }) => metadata?.name ?? '');
        return names.includes(`${primary.instance}-v2`) ? yes(undefined) : notYet(names.join(', '));
      },
      // The garbage collector of Pods takes up to a minute to see that the node is gone.
      { within: 3 * seconds(100) },
    );
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await orders.allCount({ within: budgets.redundantMs });
    const kept = (await orders.volumes()).find(({ metadata }) => metadata?.name === primary.instance);
    assert.ok(kept, 'the claim of what is lost stays (deletionPolicy: Retain)');
    const events = await access.kubectl(['events', '--namespace', orders.namespace, '--for', 'postgrescluster/orders']);
    for (const reason of ['VolumeLost', 'VolumeRetained']) assert.ok(events.includes(reason), `an event ${reason}`);
    await client.outageIsAtMost(budgets.outageMs);
  },
);
