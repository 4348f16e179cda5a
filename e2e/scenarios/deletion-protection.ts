import assert from 'node:assert/strict';
import { resourceOf } from '../../hack/testbed/engines.ts';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario } from '../scenario.ts';

scenario(
  'a protected cluster and its volumes can’t be deleted until the protection is lifted',
  { operator: 'needed' },
  async ({ orders, access }) => {
    const kind = `${resourceOf(orders.engine)}/orders`;
    const remove = (what: string) =>
      access.tryKubectl(['delete', '--namespace', orders.namespace, what, '--wait=false', '--dry-run=server']);
    const protect = (deletionProtection: boolean) =>
      access.kubectl([
        ...['patch', '--namespace', orders.namespace, kind, '--type=merge'],
        ...['--patch', JSON.stringify({ spec: { deletionProtection } })],
      ]);

    await protect(true);
    await until(
      'the volume is protected',
      async () => {
        const answer = await remove('persistentvolumeclaim/orders-1');
        return answer.code === 0 ? notYet('its deletion would be accepted') : yes(answer);
      },
      { within: seconds(30) },
    ).then(({ stderr }) => assert.match(stderr, /set spec\.deletionProtection of orders to false first/));
    const refused = await remove(kind);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, new RegExp(`${orders.engine.kind} orders is protected from deletion`));

    await protect(false);
    await until(
      'the protection is lifted',
      async () => {
        const both = await Promise.all([remove(kind), remove('persistentvolumeclaim/orders-1')]);
        const still = both.find(({ code }) => code !== 0);
        return still ? notYet(still.stderr) : yes(undefined);
      },
      { within: seconds(30) },
    );
    await orders.fullyRedundant({ within: budgets.redundantMs });
  },
);
