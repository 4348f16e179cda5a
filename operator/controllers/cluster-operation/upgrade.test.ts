import { expect, test } from '@jest/globals';
import { keys, type Member } from '../../api/cluster-state.ts';
import { create, look, newOperations, observed, refuse, type Operations } from './modelled-operations.ts';

/** Three instances of 17, whose image holds what is said. */
function seventeen(versions: readonly string[] = ['18', '17']): Operations {
  const on = newOperations({ version: '17', image: 'both' });
  members(on, (member) => ({ ...member, version: '17.11', versions }));
  return on;
}

function members(on: Operations, change: (member: Member) => Member): void {
  const { runtime } = on.world;
  on.world.runtime = {
    ...runtime,
    members: new Map([...runtime.members].map(([name, member]) => [name, change(member)])),
  };
}

const wanted = { type: 'Upgrade', upgrade: { to: '18' } };
const conditionOf = (on: Operations): readonly unknown[] => {
  const met = on.objects.get('op')?.status.conditions?.find(({ status }) => status === 'True');
  return [met?.type, met?.reason, met?.message];
};

test('is asked of the primary, followed until everybody has copied it, and says what is left to do', () => {
  const on = seventeen();
  create(on, 'op', wanted);
  look(on);
  expect(on.requests.get(keys.upgrade)?.value).toMatchObject({ from: 'orders-1', to: '18', transfer: 'Copy' });
  look(on);
  expect(conditionOf(on)).toEqual(['Reconciling', 'Running', 'orders-1 checks its data, and serves.']);

  on.requests.delete(keys.upgrade);
  on.world.runtime = { ...on.world.runtime, version: '18' };
  members(on, (member) => (member.instance === 'orders-1' ? { ...member, version: '18.6' } : member));
  look(on);
  expect(conditionOf(on)).toEqual(['Reconciling', 'Running', 'Version 18 serves; orders-2, orders-3 copies it.']);
  members(on, (member) => ({ ...member, version: '18.6' }));
  look(on);
  expect(conditionOf(on)).toEqual(['Complete', 'Succeeded', expect.stringMatching(/remove spec.image/)]);
});

test('waits for an image that holds both versions', () => {
  const on = seventeen(['17']);
  create(on, 'op', wanted);
  look(on);
  expect(conditionOf(on)).toEqual([
    'Reconciling',
    'NotReady',
    'the image of orders-1, orders-2, orders-3 has no PostgreSQL 18: set spec.image of the cluster to one that holds both 17 and 18.',
  ]);
  expect(on.requests.size).toBe(0);
});

test('fails with the reason of the agent that refuses, or when the request goes without an upgrade', () => {
  const refused = seventeen();
  create(refused, 'op', wanted);
  look(refused);
  refuse(refused, keys.upgrade, 'no room');
  look(refused);
  expect(conditionOf(refused)).toEqual(['Failed', 'Refused', 'orders-1: no room.']);
  const gone = seventeen();
  create(gone, 'op', wanted);
  look(gone);
  gone.requests.clear();
  look(gone);
  expect(conditionOf(gone)).toEqual(['Failed', 'Unsuccessful', expect.stringMatching(/of version 17 still/)]);
});

test('has nothing to do on 18', () => {
  const on = newOperations({ version: '18' });
  create(on, 'op', wanted);
  look(on);
  expect(conditionOf(on)).toEqual(['Complete', 'Succeeded', 'The data are of version 18 already.']);
  expect(observed(on).operations).toHaveLength(1);
});
