import assert from 'node:assert/strict';
import { seconds, until, notYet, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'a cluster is hibernated, and goes on with every write that it acknowledged',
  { operator: 'needed' },
  async ({ orders, writeBeside, readerBeside }) => {
    const client = await writeBeside(await orders.primary());
    await client.acknowledgedAgain({ within: budgets.outageMs });
    const { history, acked, lost } = await client.stop();
    await client.remove();
    assert.equal(lost, 0);
    const volumes = (await orders.volumes()).length;

    await orders.change({ hibernated: true });
    await until(
      'every Pod is gone and the status says so',
      async () => {
        const [pods, resource] = await Promise.all([orders.pods(), orders.resource()]);
        return pods.length === 0 && resource?.status?.summary === 'Hibernated'
          ? yes(undefined)
          : notYet(`${pods.length} Pods, ${resource?.status?.summary ?? ''}`);
      },
      { within: seconds(120) },
    );
    assert.equal((await orders.volumes()).length, volumes, 'the volumes stay');

    await orders.change({ hibernated: false });
    await orders.ready({ within: budgets.readyMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    const reader = await readerBeside(await orders.primary());
    const verdict = await reader.verify(history);
    await reader.remove();
    assert.deepEqual({ acked: verdict.acked, lost: verdict.lost }, { acked, lost: 0 });
  },
);
