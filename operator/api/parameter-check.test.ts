import { expect, test } from '@jest/globals';
import { catalogueOf } from './parameter-catalogue.ts';
import { bytesOf, needsRestart, parameterProblems } from './parameter-check.ts';
import { lockedParameters, restrictedParameters } from './parameters.ts';

test.each([
  ['work_mem', '64MB'],
  ['work_mem', '65536'],
  ['work_mem', ' 0.5 GB '],
  ['shared_buffers', '1.5GB'],
  ['max_connections', '0x64'],
  ['log_min_duration_statement', '-1'],
  ['log_min_duration_statement', '250ms'],
  ['checkpoint_timeout', '15min'],
  ['checkpoint_completion_target', '0.9'],
  ['random_page_cost', '1.1'],
  ['autovacuum_vacuum_cost_delay', '0.5ms'],
  ['autovacuum', 'of'],
  ['autovacuum', 'TRUE'],
  ['log_statement', 'DDL'],
  ['huge_pages', 'try'],
  ['synchronous_commit', 'remote_apply'],
  ['search_path', 'anything "goes"'],
  ['auto_explain.log_min_duration', '5s'],
  ['pgaudit.log', 'ddl'],
  ['my_app.tenant', 'x'],
])('%s = %s is taken', (name, value) => {
  expect(parameterProblems('18', { [name]: value })).toEqual([]);
});

test.each([
  ['work_mem', '4XB', 'work_mem: has the unit "XB", but takes one of B, kB, MB, GB, TB'],
  ['work_mem', '4gb', 'upper and lower case differ'],
  ['work_mem', 'lots', 'work_mem: is "lots", but must be a number, with or without one of the units B, kB, MB, GB, TB'],
  ['work_mem', '1kB', 'work_mem: is 1kB, but must be 64kB to 1TB'],
  ['max_connections', '300000', 'max_connections: is 300000, but must be 1 to 262143'],
  ['max_connections', '10MB', 'max_connections: is "10MB", but takes a number without a unit'],
  ['checkpoint_timeout', '1s', 'checkpoint_timeout: is 1s, but must be 30s to 1d'],
  ['autovacuum', 'maybe', 'autovacuum: is "maybe", but must be on or off'],
  ['autovacuum', 'o', 'must be on or off'],
  ['log_statement', 'some', 'log_statement: is "some", but must be one of none, ddl, mod, all'],
  ['wrok_mem', '4MB', 'PostgreSQL 18 has no such parameter: did you mean work_mem?'],
  ['auto_explain.log_duration', '1s', 'did you mean auto_explain.log_min_duration?'],
  ['completely_unlike_anything', '1', 'PostgreSQL 18 has no such parameter: remove it'],
  ['block_size', '8192', 'can’t be set: remove it'],
  ['max_connections', '3', 'max_connections: is 3, but superuser_reserved_connections and reserved_connections keep 3'],
])('%s = %s is refused', (name, value, why) => {
  expect(parameterProblems('18', { [name]: value }).join()).toContain(why);
});

test('each version has its own', () => {
  expect(parameterProblems('18', { io_method: 'worker' })).toEqual([]);
  expect(parameterProblems('17', { io_method: 'worker' })).toEqual([
    'io_method: PostgreSQL 17 has no such parameter: remove it',
  ]);
});

test('all that is wrong is told at once', () => {
  expect(parameterProblems('18', { work_mem: 'x', jit: 'perhaps', max_connections: '100' })).toHaveLength(2);
});

test('what needs a restart, and how much a size is', () => {
  expect(needsRestart('18', 'shared_buffers')).toBe(true);
  expect(needsRestart('18', 'work_mem')).toBe(false);
  expect(bytesOf('18', 'shared_buffers', '16384')).toBe(128 * 1024 ** 2);
  expect(bytesOf('18', 'max_wal_size', '2GB')).toBe(2 * 1024 ** 3);
  expect(bytesOf('18', 'jit', 'on')).toBeUndefined();
});

test('what is locked or restricted exists, in one version at least', () => {
  const known = new Set([...catalogueOf('17').keys(), ...catalogueOf('18').keys()]);
  const notParameters = ['include', 'include_dir', 'include_if_exists'];
  const named = [...lockedParameters.flatMap(({ names }) => names), ...restrictedParameters.map(({ name }) => name)];
  expect(named.filter((name) => !known.has(name) && !notParameters.includes(name))).toEqual([]);
});
