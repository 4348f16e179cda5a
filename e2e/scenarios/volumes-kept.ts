import assert from 'node:assert/strict';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'a deleted cluster finds its data again',
  { operator: 'needed' },
  async ({ orders, writeBeside, readerBeside }) => {
    const client = await writeBeside(await orders.primary());
    await client.acknowledgedAgain({ within: budgets.outageMs });
    const { history, acked, lost } = await client.stop();
    assert.equal(lost, 0, 'lost before the deletion');
    await client.remove();
    const before = await orders.resource();

    await orders.delete({ within: budgets.redundantMs });
    const kept = (await orders.volumes()).map((volume) => volume.metadata?.name);
    for (const instance of ['orders-1', 'orders-2', 'orders-3'])
      assert.ok(kept.includes(instance), `${instance} is kept`);

    await orders.apply();
    await orders.ready({ within: budgets.readyMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    const after = await orders.resource();
    assert.notEqual(after?.metadata.uid, before?.metadata.uid);
    assert.equal(after?.status?.dataUid, before?.status?.dataUid, 'the data has kept its identity');

    const reader = await readerBeside(await orders.primary());
    const verdict = await reader.verify(history);
    await reader.remove();
    assert.deepEqual({ acked: verdict.acked, lost: verdict.lost }, { acked, lost: 0 });
  },
);
