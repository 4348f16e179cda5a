import { expect, test } from '@jest/globals';
import {
  everyStandbyName,
  isStandbyName,
  nobody,
  slotName,
  standbyName,
  synchronousStandbyNames,
  voterOf,
} from './names.ts';

const b = { instance: 'orders-2', incarnation: 'ab12' };
const c = { instance: 'orders-3', incarnation: 'cd34' };

test('a replica’s name carries the life of its data, both ways', () => {
  expect(voterOf(standbyName(b), ['orders-1', 'orders-2'])).toEqual(b);
  expect(voterOf(standbyName(b), [])).toEqual(b);
  expect(voterOf('psql', [])).toBeUndefined();
  expect(voterOf('a:b:c', [])).toBeUndefined();
  expect(isStandbyName('mainstay-agent')).toBe(false);
});

test.each([54, 55, 63])('names of %i characters fit, stay apart, and lead back to their instances', (length) => {
  const instances = [1, 2, 12].map((n) => `${'x'.repeat(length - String(n).length - 1)}-${n}`);
  const voters = instances.map((instance) => ({ instance, incarnation: 'ab12cd34' }));
  const names = voters.map(standbyName);
  expect(names.map((name) => voterOf(name, instances))).toEqual(voters);
  for (const all of [names, instances.map(slotName)]) {
    expect(new Set(all).size).toBe(instances.length);
    expect(Math.max(...all.map((name) => name.length))).toBeLessThanOrEqual(63);
  }
  for (const name of instances.map(slotName)) expect(name).toMatch(/^mainstay_[a-z0-9_]+$/);
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
