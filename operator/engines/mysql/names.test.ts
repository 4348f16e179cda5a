import { expect, test } from '@jest/globals';
import { parseGtidSet } from '../../ha/gtid-set.ts';
import { initConnect } from './gate.ts';
import {
  beatSource,
  isOurs,
  newServerUuid,
  newSystemIdentifier,
  ordinalOf,
  syncAccount,
  systemIn,
  voterOf,
  groupName,
  numberOfGroup,
} from './names.ts';
import { addressOf } from './peers.ts';
import { recordOf } from './server-log.ts';

test('a connection tells whose it is, and of which life of its data', () => {
  const uuid = newServerUuid('ab12cd34');
  expect(uuid).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(newServerUuid('ab12cd34')).not.toBe(uuid);
  expect(voterOf(syncAccount('orders-3'), uuid, ['orders-1', 'orders-3'])).toEqual({
    instance: 'orders-3',
    incarnation: 'ab12cd34',
  });
  expect(voterOf('app', uuid, ['orders-1'])).toBeUndefined();
});

test('an instance without a number has no server_id', () => {
  expect(ordinalOf('orders-12')).toBe(12);
  expect(() => ordinalOf('orders')).toThrow('number');
});

test('a set of GTIDs tells its cluster; beats are ours and no markers', () => {
  const system = newSystemIdentifier();
  expect(systemIn(parseGtidSet(`${newServerUuid('ab12cd34')}:1-9,${beatSource(system)}:1-4,${system}:2`))).toBe(system);
  expect([system, beatSource(system)].map(isOurs)).toEqual([true, true]);
  expect(beatSource(system)).not.toBe(system);
});

test('the gate names who counts, and shuts clients out unless it is open', () => {
  const shut = initConnect({ members: [{ instance: 'm-2' }], clients: false });
  expect(shut).toContain("not in ('', 'mainstay_sync_2')");
  expect(shut).toContain("not like 'mainstay%'");
  expect(initConnect({ members: [], clients: true })).not.toContain("not like 'mainstay%'");
});

test.each([
  ['0B00090A:0CEA', '10.9.0.11:3306'],
  ['0000000000000000FFFF00000B00090A:A112', '10.9.0.11:41234'],
])('%s of the kernel is %s', (field, address) => {
  expect(addressOf(field)).toBe(address);
});

test('a line of the log is taken apart, anything else is a message', () => {
  expect(recordOf('2026-11-21T18:15:46.88Z 12 [ERROR] [MY-010119] [Server] Aborting')).toEqual({
    time: '2026-11-21T18:15:46.88Z',
    level: 'error',
    code: 'MY-010119',
    subsystem: 'Server',
    thread: 12,
    message: 'Aborting',
  });
  expect(recordOf('mysqld: something')).toMatchObject({ level: 'info', message: 'mysqld: something' });
});

test('a group’s name is a uuid of its cluster and its number, which can be read back', () => {
  const name = groupName('6d61696e-7374-6179-8aaa-0123456789ab', 258);
  expect(name).toBe('67726f75-5678-49ab-8000-000000000102');
  expect(numberOfGroup(name)).toBe(258);
  expect(numberOfGroup('')).toBe(0);
});
