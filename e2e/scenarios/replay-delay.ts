import assert from 'node:assert/strict';
import type { V1EndpointSlice } from '@kubernetes/client-node';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

const delaySeconds = 20;

scenario(
  'a delayed replica has what is written, shows it later, and never leads',
  { orders: 'none', operator: 'needed', localNodes: true, runs: 'soak' },
  async ({ orders, api, writeBeside, signal }) => {
    const delayed = 'orders-3';
    const { sql } = orders.engine;
    await orders.apply({ failover: { instances: [{ ordinal: 3, replayDelay: `${delaySeconds}s` }] } });
    await orders.fullyRedundant({ within: budgets.readyMs });
    const primary = await orders.primary();
    assert.notEqual(primary.instance, delayed);
    const client = await writeBeside(primary);
    await client.expectTrouble();

    const isThere = async (instance: string): Promise<boolean> =>
      (await orders.sql(instance, sql.hasTable('mistake'))).trim() === '1';
    const seen = (instance: string, within: number): Promise<void> =>
      until(
        `the table on ${instance}`,
        async () => ((await isThere(instance)) ? yes(undefined) : notYet('not there')),
        { within, signal },
      );
    const written = performance.now();
    await orders.sql(primary.instance, 'CREATE TABLE mistake (n int)');
    const position = (await orders.sql(primary.instance, sql.position)).trim();
    const prompt = (await orders.replicas()).find(({ name }) => name !== delayed);
    assert.ok(prompt);
    await seen(prompt.name, seconds(5));
    await until(
      'the delayed replica has received it',
      async () =>
        (await orders.sql(delayed, sql.hasReceived(position))).trim() === '1' ? yes(undefined) : notYet('not yet'),
      { within: seconds(5), signal },
    );
    // Only if that was quick enough to tell.
    if (performance.now() - written < seconds(delaySeconds - 5)) assert.equal(await isThere(delayed), false);
    await seen(delayed, seconds(3 * delaySeconds));
    assert.ok(performance.now() - written >= seconds(delaySeconds - 1), 'no sooner than asked for');

    const ip = (await orders.pods()).find(({ name }) => name === delayed)?.ip;
    const slices = await api.get<{ readonly items: readonly V1EndpointSlice[] }>(
      `/apis/discovery.k8s.io/v1/namespaces/${orders.namespace}/endpointslices?labelSelector=kubernetes.io/service-name%3Dorders-ro`,
    );
    const served = (slices?.items ?? []).flatMap(({ endpoints }) => (endpoints ?? []).flatMap((one) => one.addresses));
    assert.ok(ip !== undefined && served.length > 0 && !served.includes(ip), `-ro leads to ${served.join(', ')}`);
    const { sync } = await orders.runtime();
    assert.ok(!(sync?.members ?? []).some(({ instance }) => instance === delayed), 'no write waits for it');

    await orders.shell(primary.instance, orders.engine.shell.kill);
    await client.acknowledgedAgain({ within: budgets.outageMs });
    assert.notEqual((await orders.primary()).instance, delayed);
    await orders.fullyRedundant({ within: budgets.redundantMs });
    await client.outageIsAtMost(budgets.outageMs);
  },
);
