import { expect, test } from '@jest/globals';
import { databaseEnvironment } from './environment.ts';

test('the database gets the environment without the agent’s settings of malloc', () => {
  expect(databaseEnvironment({ PATH: '/bin', MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '65536' })).toEqual({
    PATH: '/bin',
  });
});
