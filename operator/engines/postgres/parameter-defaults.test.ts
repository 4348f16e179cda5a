import { expect, test } from '@jest/globals';
import { parameterProblems } from '../../api/parameter-check.ts';
import { parsePostgresCluster } from '../../api/postgres-cluster.ts';
import { parameterDefaults } from './parameter-defaults.ts';

const defaults = (resources: object, parameters: Record<string, string> = {}) =>
  parameterDefaults(
    parsePostgresCluster({
      apiVersion: 'mainstay.dev/v1alpha1',
      kind: 'PostgresCluster',
      metadata: { name: 'orders' },
      spec: { storage: { size: '1Gi' }, resources, postgresql: { parameters } },
    }).spec,
  );

test('a quarter of what the agent leaves, and so on', () => {
  expect(defaults({ limits: { memory: '8Gi', cpu: 4 } })).toEqual({
    shared_buffers: '2016MB',
    effective_cache_size: '6048MB',
    maintenance_work_mem: '504MB',
    work_mem: '10MB',
    max_worker_processes: '8',
    max_parallel_workers: '4',
    max_parallel_workers_per_gather: '2',
    max_parallel_maintenance_workers: '2',
  });
});

test('what is asked for counts, whatever the limit; without either PostgreSQL’s own defaults stay', () => {
  for (const limits of [{}, { memory: '16Gi' }, { memory: '4Ti' }])
    expect(defaults({ requests: { memory: '8Gi' }, limits })).toMatchObject({ shared_buffers: '2016MB' });
  expect(defaults({})).toEqual({});
  expect(defaults({ limits: { memory: '300Mi' } })).toEqual({});
});

test('one processor runs nothing in parallel; many are used within reason', () => {
  expect(defaults({ limits: { cpu: '500m' } })).toMatchObject({
    max_parallel_workers: '1',
    max_parallel_workers_per_gather: '0',
  });
  expect(defaults({ limits: { cpu: 64 } })).toMatchObject({
    max_worker_processes: '68',
    max_parallel_workers_per_gather: '4',
  });
});

test('work_mem goes by the connections and the buffers that the user chose', () => {
  expect(defaults({ limits: { memory: '8Gi' } }, { max_connections: '50' })).toMatchObject({ work_mem: '40MB' });
  expect(defaults({ limits: { memory: '8Gi' } }, { shared_buffers: '6GB' })).toMatchObject({ work_mem: '4MB' });
});

test.each(['256Mi', '384Mi', '1Gi', '64Gi', '2Ti'])('whatever there is, PostgreSQL takes it: %s', (memory) => {
  for (const version of ['17', '18'] as const)
    expect(parameterProblems(version, defaults({ limits: { memory, cpu: 192 } }))).toEqual([]);
});
