import assert from 'node:assert/strict';
import { notYet, seconds, until, yes } from '../../hack/testbed/until.ts';
import { budgets } from '../budgets.ts';
import { scenario, type World } from '../scenario.ts';

const role = 'e2e_ledger';
const secret = 'e2e-ledger-login';
/** Expected ≤ 5 s; the kubelet has no part in it. */
const carriedOverMs = 3 * seconds(5);

scenario(
  'declared roles: a role from the spec logs in, and its password is that of its Secret within seconds',
  { operator: 'needed', runs: 'soak' },
  async (world) => {
    const { orders, access, signal, writeBeside } = world;
    const { spec, sql } = orders.engine;
    const primary = await orders.primary();
    const client = await writeBeside(primary);
    const inNamespace = ['--namespace', orders.namespace];
    const keep = async (password: string): Promise<void> => {
      const metadata = { name: secret, namespace: orders.namespace };
      await access.kubectl(['apply', '-f', '-'], {
        input: JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { password } }),
      });
    };
    const ready = (what: string): Promise<void> =>
      until(
        what,
        async () => {
          const resource = await orders.resource();
          const condition = resource?.status?.conditions?.find(({ type }) => type === 'RolesReady');
          const isOfNow = condition?.observedGeneration === resource?.metadata.generation;
          return condition?.status === 'True' && isOfNow
            ? yes(undefined)
            : notYet(condition?.message ?? 'no condition');
        },
        { within: seconds(30), signal },
      );
    const loggedIn = (password: string): Promise<void> =>
      until(
        `${role} logged in`,
        async () => {
          const said = await login(world, password);
          return said === role ? yes(undefined) : notYet(said);
        },
        { within: carriedOverMs, signal },
      );

    await client.expectTrouble();
    await keep('first');
    await orders.change(
      spec.roles([{ name: role, ...spec.login, connectionLimit: 5, passwordSecret: { name: secret } }]),
    );
    await ready('the role is there');
    await loggedIn('first');

    await keep('second');
    await loggedIn('second');
    assert.match(await login(world, 'first'), /password authentication failed|Access denied/);

    // What a person changes by SQL is told, and left alone.
    await orders.sql(primary.instance, sql.connectionLimit(role, 9));
    await until(
      'the drift is told',
      async () => {
        const condition = (await orders.resource())?.status?.conditions?.find(({ type }) => type === 'RolesReady');
        return condition?.reason === 'Drifted' ? yes(undefined) : notYet(condition?.message ?? 'no condition');
      },
      { within: 3 * seconds(30), signal },
    );

    await orders.change(spec.roles([{ name: role, ensure: 'absent' }]));
    await ready('the role is gone');
    assert.match(await login(world, 'second'), /authentication failed|does not exist|Access denied/);
    await orders.change(spec.roles(null));
    await access.kubectl(['delete', 'secret', secret, ...inNamespace]);
    await client.outageIsAtMost(budgets.undisturbedMs);
  },
);

/** Over the network, by the Service: who it is then, or what the client says. */
async function login({ orders }: World, password: string): Promise<string> {
  const [{ name } = { name: '' }] = await orders.replicas();
  return (await orders.shell(name, orders.engine.shell.login(role, password))).trim();
}
