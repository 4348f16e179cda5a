import { expect, test } from '@jest/globals';
import { everyStandbyName, nobody, slotName, standbyName, synchronousStandbyNames, voterOf } from './names.ts';

const b = { instance: 'orders-2', incarnation: 'ab12' };
const c = { instance: 'orders-3', incarnation: 'cd34' };

test('a replica’s name carries the life of its data, both ways', () => {
  expect(voterOf(standbyName(b))).toEqual(b);
  expect(voterOf('psql')).toBeUndefined();
  expect(voterOf('a:b:c')).toBeUndefined();
});

test.each([
  [{ members: [b, c], acknowledgements: 1 }, 'ANY 1 ("orders-2:ab12", "orders-3:cd34")'],
  [{ members: [b], acknowledgements: 2 }, `ANY 2 ("orders-2:ab12", "${nobody}")`],
  [{ members: [], acknowledgements: 1 }, `ANY 1 ("${nobody}")`],
  [{ members: [b], acknowledgements: 0 }, ''],
])('synchronous_standby_names: too few members make commits wait, never pass', (sync, expected) => {
  expect(synchronousStandbyNames(sync)).toBe(expected);
});

test('between two numbers every member is asked for, so that priorities move', () => {
  expect(everyStandbyName({ members: [b, c], acknowledgements: 1 })).toBe(
    `FIRST 2 ("${nobody}", "orders-2:ab12", "orders-3:cd34")`,
  );
});

test('slot names are what PostgreSQL allows', () => expect(slotName('orders-2')).toBe('mainstay_orders_2'));
