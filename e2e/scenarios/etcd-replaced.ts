import assert from 'node:assert/strict';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'etcd is restored from an old copy, and adopted by a person',
  { localNodes: true, runs: 'soak', operator: 'needed' },
  async ({ orders, writeBeside, faults }) => {
    const former = await orders.primary();
    const client = await writeBeside(former);
    const restore = await faults.etcdData.copy();
    await orders.allCount({ within: budgets.redundantMs });
    // What the copy doesn't know: another primary, another sync set, and what they acknowledged.
    const before = await orders.primary();
    const [candidate] = await orders.replicas();
    assert.ok(candidate);
    await orders.requestSwitchover(before.instance, candidate.name);
    await orders.primaryOtherThan(before, { within: budgets.outageMs });
    await client.acknowledgedAgain({ within: budgets.outageMs, writes: 100 });

    await restore();
    await orders.requestAdoption(await (await faults.etcd()).clusterId());
    await client.acknowledgedAgain({ within: budgets.redundantMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
  },
);

scenario(
  'etcd has lost everything, and is adopted by a person',
  { localNodes: true, runs: 'soak', operator: 'needed' },
  async ({ orders, writeBeside, faults }) => {
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    await client.acknowledgedAgain({ within: budgets.outageMs, writes: 100 });
    await faults.etcdData.wipe();
    await orders.requestAdoption(await (await faults.etcd()).clusterId());
    await client.acknowledgedAgain({ within: budgets.redundantMs });
    await orders.fullyRedundant({ within: budgets.redundantMs });
  },
);
