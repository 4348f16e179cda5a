/**
 * Defaults of variables that follow from the memory of an instance and the size of its volume; the user's own values win.
 * Source: MySQL's manual (17.8.3.1 "typically 50 to 75 percent of physical memory", 17.6.5 on the redo log's capacity).
 */
import type { MySQLCluster } from '../../api/mysql-cluster.ts';
import { memoryOf, quantityValue } from '../../api/quantity.ts';

const mebibyte = 2 ** 20;
/** What the agent beside the database takes of the container's memory, measured, rounded up. */
const agentBytes = 128 * mebibyte;
/** What an idle server takes besides its buffer pool, performance_schema included: 430 MiB measured (mysql-lab.md §10). */
const serverBytes = 448 * mebibyte;
/** Messages that a member of a group keeps for those that were away (group.ts). */
const groupBytes = 128 * mebibyte;
/** MySQL's own defaults: with less there is nothing to divide. */
const leastPool = 128 * mebibyte;
const leastRedo = 100 * mebibyte;

export function parameterDefaults({
  resources,
  storage,
  topology,
}: Pick<MySQLCluster['spec'], 'resources' | 'storage' | 'topology'>): Readonly<Record<string, string>> {
  const memory = memoryOf(resources) ?? 0;
  // The rest is for connections, sorts and temporary tables.
  const pool = (memory - agentBytes - serverBytes - (topology === 'Group' ? groupBytes : 0)) * 0.7;
  if (pool < leastPool) return {};
  // Changes of half the pool, so that it need not be written out in haste; a twentieth of the volume at most.
  const redo = Math.min(pool / 2, (quantityValue(storage.size) ?? 0) / 20, 4096 * mebibyte);
  return {
    innodb_buffer_pool_size: whole(pool),
    innodb_redo_log_capacity: whole(Math.max(redo, leastRedo)),
  };
}

const whole = (bytes: number): string => String(Math.floor(bytes / mebibyte) * mebibyte);

const factors: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** As in my.cnf: 134217728, 128M. */
export function bytesOf(value: string): number | undefined {
  const [, digits, unit = ''] = /^(\d+)([KMGT]?)$/i.exec(value) ?? [];
  const factor = factors[unit.toUpperCase()];
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}
