import { expect, test } from '@jest/globals';
import type { Definition } from '../../api/cluster-state.ts';
import { myCnf } from './config.ts';
import { layout } from './layout.ts';
import { valueOf } from './settings.ts';

const definition: Definition = {
  generation: 1,
  engine: 'mysql',
  version: '9.7',
  instances: ['m-1'],
  durability: { mode: 'Strict', acknowledgements: 1 },
  parameters: {},
  application: { database: 'app', owner: 'app' },
  paused: false,
};
const places = layout('/volume');

/** What the server goes by: the last line of each name. */
function inForce(parameters: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  const lines = myCnf({ ...definition, parameters }, places, 3, {}).split('\n');
  return new Map(
    lines.flatMap((line) => {
      const [, name, value] = /^([\w-]+)=(.*)$/.exec(line) ?? [];
      return name === undefined || value === undefined ? [] : [[name, value] as const];
    }),
  );
}

test.each([
  ['sync_binlog', '0', '1'],
  ['sync-relay-log', '10000', '1'],
  ['relay_log_recovery', 'ON', 'OFF'],
  ['innodb_flush_log_at_trx_commit', '2', '1'],
  ['SUPER_READ_ONLY', 'OFF', 'ON'],
  ['skip_replica_start', 'OFF', 'ON'],
  ['server_id', '9', '3'],
  ['gtid_mode', 'OFF', 'ON'],
])('nobody sets %s to %s', (name, wanted, ours) => {
  expect(inForce({ [name]: wanted }).get(name.toLowerCase().replaceAll('-', '_'))).toBe(ours);
});

test.each([
  ['rpl_semi_sync_source_timeout', '10000', '1000000000000'],
  ['loose_rpl_semi_sync_source_wait_point', 'AFTER_COMMIT', 'AFTER_SYNC'],
  ['rpl-semi-sync-source-enabled', 'ON', 'OFF'],
])('nor %s to %s', (name, wanted, ours) => {
  const lines = [...inForce({ [name]: wanted })].filter(([key]) =>
    key.endsWith(name.replaceAll('-', '_').replace('loose_', '')),
  );
  expect(lines.at(-1)?.[1]).toBe(ours);
});

test('what a user sets of the rest is set, init_connect behind the gate', () => {
  const set = inForce({ max_connections: '500', init_connect: 'SET NAMES utf8mb4' });
  expect(set.get('max_connections')).toBe('500');
  expect(set.get('init_connect')).toMatch(/^"do if\(.*, 1\); SET NAMES utf8mb4"$/);
});

test('a member of a group never starts, joins or bootstraps by itself, whatever its variables say', () => {
  const group = { mode: 'MultiPrimary' } as const;
  const parameters = { group_replication_start_on_boot: 'ON', group_replication_consistency: 'AFTER' };
  const lines = myCnf({ ...definition, group, parameters }, places, 3, {}).split('\n');
  const last = (name: string) => lines.findLast((line) => line.startsWith(`loose_group_replication_${name}=`));
  expect(lines).toContain('plugin_load_add=group_replication.so');
  expect(last('start_on_boot')).toMatch(/OFF$/);
  expect(last('bootstrap_group')).toMatch(/OFF$/);
  expect(last('single_primary_mode')).toMatch(/OFF$/);
  expect(last('consistency')).toMatch(/AFTER$/);
  expect(myCnf(definition, places, 3, {})).not.toContain('group_replication');
});

test.each([
  ['1G', '1073741824'],
  ['77', '77'],
  ['0.5', '0.5'],
  ['ON', 'ON'],
  ["it's", "'it\\'s'"],
  [undefined, 'DEFAULT'],
])('%s is %s in SQL', (text, sql) => {
  expect(valueOf(text)).toBe(sql);
});
