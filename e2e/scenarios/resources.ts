import assert from 'node:assert/strict';
import type { V1Pod } from '@kubernetes/client-node';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

/** Of cgroups v2, or v1. */
const limitInside = 'cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes';

scenario(
  'other resources while the databases run; memory that shrinks replaces Pods, one at a time',
  { localNodes: true, orders: 'none', operator: 'needed', runs: 'soak' },
  async ({ orders, access, writeBeside }) => {
    const resources = (cpu: string, memory: string, request = '384Mi') => ({
      resources: { requests: { cpu, memory: request }, limits: { memory } },
    });
    const pods = async (): Promise<readonly V1Pod[]> =>
      (
        JSON.parse(
          await access.kubectl([
            ...['get', 'pods', '--namespace', orders.namespace, '--output', 'json'],
            ...['--selector', 'mainstay.dev/cluster=orders'],
          ]),
        ) as { items: readonly V1Pod[] }
      ).items;
    const lives = async (): Promise<string> =>
      (await pods())
        .map(({ metadata, status }) => `${metadata?.uid ?? ''} ${status?.containerStatuses?.[0]?.restartCount ?? ''}`)
        .toSorted()
        .join();
    const have = (memory: string, bytes: number): Promise<void> =>
      until(
        `every instance has ${memory}, by the kubelet and by its cgroup`,
        async () => {
          for (const { metadata, status } of await pods()) {
            const given = status?.containerStatuses?.[0]?.resources?.limits?.['memory'];
            if (given !== memory) return notYet(`${metadata?.name ?? ''} has ${given ?? 'no limit'}`);
            const max = await orders.shell(metadata?.name ?? '', limitInside);
            if (Number(max) !== bytes) return notYet(`the cgroup of ${metadata?.name ?? ''} has ${max}`);
          }
          return yes(undefined);
        },
        { within: seconds(120) },
      );
    const settles = async (): Promise<void> => {
      await orders.ready({ within: budgets.redundantMs });
      await orders.allCount({ within: budgets.redundantMs });
    };
    const gibibyte = 2 ** 30;

    await orders.apply({ storage: { size: '1Gi' }, ...resources('100m', '1Gi') });
    await orders.fullyRedundant({ within: budgets.readyMs });
    await orders.allCount({ within: budgets.redundantMs });
    const client = await writeBeside(await orders.primary());
    await client.expectTrouble();
    const before = await lives();

    await orders.change(resources('150m', '1536Mi', '512Mi'));
    await have('1536Mi', 1.5 * gibibyte);
    await settles();
    assert.equal(await lives(), before, 'no Pod was made anew, no container restarted');
    const { instance } = await orders.primary();
    // A quarter of what was asked for and the agent leaves; it needs a restart of the database, which is done one at a time.
    assert.equal(await orders.sql(instance, 'show shared_buffers'), '96MB\n');
    await client.outageIsAtMost(budgets.undisturbedMs);

    await orders.change(resources('150m', '1Gi'));
    await have('1Gi', gibibyte);
    await settles();
    assert.notEqual(await lives(), before, 'Pods were replaced');
    const events = await access.kubectl(['events', '--namespace', orders.namespace, '--for', 'postgrescluster/orders']);
    assert.ok(events.includes('InstanceResized'), 'an event InstanceResized');
    await client.outageIsAtMost(budgets.undisturbedMs);

    // More than a node has: one Pod at the most is replaced for it, and taking it back heals.
    await orders.change(resources('150m', '4Ti', '4Ti'));
    await until(
      'it is said that this can’t be',
      async () => {
        const conditions = (await orders.resource())?.status?.conditions ?? [];
        const text = conditions.map(({ reason, message }) => `${reason}: ${message}`).join('; ');
        return /its node can’t|No node takes/.test(text) ? yes(undefined) : notYet(text);
      },
      { within: seconds(120) },
    );
    await orders.change(resources('150m', '1Gi'));
    await settles();
    await client.outageIsAtMost(budgets.undisturbedMs);
  },
);
