import { expect, test } from '@jest/globals';
import type { End } from './injection.ts';
import type { Fault } from './schedule.ts';
import { hurt } from './timeline.ts';

const long: Fault = { name: 'node cut off', place: 'primary', beginsMs: 0, endsMs: 60, seed: 1 };
const moment: Fault = { name: 'agent killed', place: 'replica 1', beginsMs: 20, endsMs: 20, seed: 2 };
const late: Fault = { name: 'etcd slow', place: 'etcd', beginsMs: 40, endsMs: 90, seed: 3 };

/** Notes what is begun and ended; `refused` can't be made. */
function world(refused?: Fault) {
  const told: string[] = [];
  const inject = (fault: Fault): Promise<End> => {
    if (fault === refused) return Promise.reject(new Error('its target is gone'));
    told.push(`+ ${fault.name}`);
    return Promise.resolve(() => {
      told.push(`− ${fault.name}`);
      return Promise.resolve();
    });
  };
  return { told, inject };
}

const silent = (): void => undefined;
const never = new AbortController().signal;

test('faults overlap as drawn, and each ends once', async () => {
  const { told, inject } = world();
  const { missed, lastedMs } = await hurt({ faults: [long, moment, late] }, inject, silent, never);
  expect(told).toEqual([
    '+ node cut off',
    '+ agent killed',
    '+ etcd slow',
    '− node cut off',
    '− etcd slow',
    '− agent killed',
  ]);
  expect(missed).toEqual([]);
  expect(lastedMs).toBeGreaterThanOrEqual(85);
});

test('one whose target another has taken away is missed, and has no end', async () => {
  const { told, inject } = world(late);
  const said: string[] = [];
  const { missed } = await hurt({ faults: [long, late] }, inject, (line) => said.push(line), never);
  expect(told).toEqual(['+ node cut off', '− node cut off']);
  expect(missed).toEqual([late]);
  expect(said.filter((line) => line.includes('etcd slow'))).toEqual([
    expect.stringContaining('not made: etcd slow: its target is gone'),
  ]);
});

test('the first must be possible: nothing was wrong before it', async () => {
  const { inject } = world(long);
  await expect(hurt({ faults: [long, late] }, inject, silent, never)).rejects.toThrow('its target is gone');
});

test('all that was begun is ended when the round is called off', async () => {
  const { told, inject } = world();
  const stop = new AbortController();
  const hurting = hurt({ faults: [{ ...long, endsMs: 60_000 }, late] }, inject, silent, stop.signal);
  setTimeout(() => stop.abort(new Error('called off')), 55);
  await expect(hurting).rejects.toThrow();
  expect(told).toEqual(['+ node cut off', '+ etcd slow', '− node cut off', '− etcd slow']);
});
