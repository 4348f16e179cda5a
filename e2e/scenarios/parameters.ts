import assert from 'node:assert/strict';
import { notYet, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario, type World } from '../scenario.ts';

scenario(
  'parameters: reloaded, restarted replicas first, lowered, and refused',
  { operator: 'needed' },
  async (world) => {
    const { orders, writeBeside } = world;
    const first = await orders.primary();
    const pods = (await orders.pods()).map(({ name, uid, restarts }) => [name, uid, restarts]);
    const client = await writeBeside(first);
    await client.expectTrouble();

    await set(world, { work_mem: '5MB', max_connections: '120', shared_buffers: '96MB' });
    await everywhere(world, { work_mem: '5MB', max_connections: '120', shared_buffers: '96MB' });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    assert.notEqual((await orders.primary()).instance, first.instance, 'the primary was restarted as a replica');

    await set(world, { work_mem: '5MB', max_connections: '80', shared_buffers: '96MB' });
    await everywhere(world, { max_connections: '80' });
    await orders.fullyRedundant({ within: budgets.redundantMs });
    assert.deepEqual(
      (await orders.pods()).map(({ name, uid, restarts }) => [name, uid, restarts]),
      pods,
      'databases are restarted in their Pods',
    );
    await client.outageIsAtMost(budgets.handOverMs);

    await set(world, { work_mem: '5XB', max_connections: '90' });
    await until(
      'the refusal in status',
      async () => {
        const stalled = (await orders.resource())?.status?.conditions?.find(({ type }) => type === 'Stalled');
        return stalled?.message.includes('work_mem: has the unit "XB"') === true
          ? yes(undefined)
          : notYet(stalled?.message ?? 'no condition');
      },
      { within: budgets.redundantMs },
    );
    await everywhere(world, { work_mem: '5MB', max_connections: '80' });
    await set(world, {});
    await everywhere(world, { work_mem: '4MB', max_connections: '200' });
    await orders.fullyRedundant({ within: budgets.redundantMs });
  },
);

async function set({ access, orders }: World, parameters: Readonly<Record<string, string>>): Promise<void> {
  const patch = [{ op: 'add', path: '/spec/postgresql', value: { parameters } }];
  const options = ['--type', 'json', '-p', JSON.stringify(patch)];
  await access.kubectl(['patch', '--namespace', orders.namespace, 'pgc', orders.name, ...options]);
}

/** On every instance, and nothing waits for a restart any more. */
async function everywhere({ orders }: World, wanted: Readonly<Record<string, string>>): Promise<void> {
  const names = Object.keys(wanted);
  const query = `SELECT ${names.map((name) => `current_setting('${name}')`).join(` || ' ' || `)}`;
  await until(
    `${JSON.stringify(wanted)} everywhere`,
    async () => {
      const status = (await orders.resource())?.status;
      const waiting = status?.conditions?.find(({ type }) => type === 'PendingRestart');
      if (waiting?.status !== 'False') return notYet(waiting?.message ?? 'no condition');
      const found = await Promise.all((await orders.pods()).map(({ name }) => orders.psql(name, query)));
      const all = Object.values(wanted).join(' ');
      return found.every((values) => values.trim() === all) ? yes(undefined) : notYet(found.join(', '));
    },
    { within: budgets.redundantMs },
  );
}
