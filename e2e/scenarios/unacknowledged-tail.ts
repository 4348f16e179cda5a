import assert from 'node:assert/strict';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'an ex-primary comes back without what only it had: undone, not copied anew, and the same as its successor',
  { localNodes: true, sample: true, runs: 'soak' },
  async ({ orders, writeBeside, clientOf, faults, signal }) => {
    const former = await orders.primary();
    const client = await writeBeside(former);
    const stubborn = await clientOf(former);
    const incarnationOf = async (name: string): Promise<string | undefined> =>
      (await orders.runtime()).members.get(name)?.incarnation;
    const before = await incarnationOf(former.instance);
    await client.expectTrouble();
    // Whatever these clients send now is in its log and in nobody else's.
    await faults.cut(former, 'replicas', 'both ways');
    const successor = await orders.primaryOtherThan(former, { within: budgets.outageMs });
    assert.notEqual(successor.instance, former.instance);
    await client.acknowledgedAgain({ within: budgets.outageMs });
    await faults.heal();
    await orders.fullyRedundant({ within: budgets.redundantMs });
    assert.equal(await incarnationOf(former.instance), before, 'it kept its data');

    await Promise.all([client.stop(), stubborn.stop()]);
    await until(
      'the same rows everywhere',
      async () => {
        const all = await Promise.all(
          (await orders.pods()).map(async ({ name }) => (await orders.shell(name, orders.engine.shell.digest)).trim()),
        );
        assert.ok(
          all.every((digest) => digest.includes('writes')),
          all.join('\n'),
        );
        return new Set(all).size === 1 ? yes(undefined) : notYet(all.join('\n'));
      },
      { within: budgets.redundantMs, signal },
    );
    if (orders.engine.name === 'mysql')
      await until(
        'status tells what was cut off',
        async () => {
          const status = (await orders.resource())?.status?.instancesStatus?.find(
            ({ name }) => name === former.instance,
          );
          return (status?.cutTail?.transactions ?? 0) > 0 ? yes(undefined) : notYet(JSON.stringify(status));
        },
        { within: seconds(60), signal },
      );
    await client.outageIsAtMost(budgets.outageMs);
  },
);
