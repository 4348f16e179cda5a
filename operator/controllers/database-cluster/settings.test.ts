import { expect, test } from '@jest/globals';
import { sampleCluster } from '../../resources/sample-cluster.ts';
import { decide } from './decide.ts';
import { carryOut, factsOf, newWorld, respec, settle, type World } from './modelled-world.ts';
import { judgeSettings } from './settings.ts';
import { statusFor } from './status.ts';

function converge(world: World): void {
  for (let round = 0; round < 20; round += 1) {
    for (const action of decide(factsOf(world))) carryOut(world, action);
    settle(world);
  }
}
const published = (world: World): { readonly generation: number; readonly instances: readonly string[] } =>
  JSON.parse(world.runtime.definition?.text ?? '{}') as { generation: number; instances: string[] };
const stalled = (world: World) => statusFor(factsOf(world)).conditions?.find(({ type }) => type === 'Stalled');

test('what PostgreSQL would not take changes nothing; the rest of the spec goes on; the way back is open', () => {
  const world = newWorld(
    sampleCluster({ postgresql: { parameters: { work_mem: '8MB' }, pgHba: ['host all all 10.0.0.0/8 md5'] } }),
  );
  converge(world);
  respec(world, {
    instances: 4,
    postgresql: { parameters: { work_mem: '8XB', jit: 'off' }, pgHba: ['host all all 10.0.0.0/99 md5'] },
  });
  converge(world);
  expect(published(world)).toMatchObject({
    instances: ['orders-1', 'orders-2', 'orders-3', 'orders-4'],
    parameters: { work_mem: '8MB' },
    postgres: { hba: ['host all all 10.0.0.0/8 md5'] },
  });
  expect(stalled(world)).toMatchObject({ status: 'True', reason: 'SettingsRefused' });
  for (const part of [
    'spec.postgresql.parameters: work_mem: has the unit "XB", but takes one of B, kB',
    'spec.postgresql.pgHba[0] "host all all 10.0.0.0/99 md5" has the address 10.0.0.0/99',
    'the former settings stay in force',
  ])
    expect(stalled(world)?.message).toContain(part);
  respec(world, { postgresql: { parameters: { work_mem: '16MB' } } });
  converge(world);
  expect(published(world)).toMatchObject({ parameters: { work_mem: '16MB' } });
  expect(published(world)).not.toHaveProperty('postgres');
  expect(stalled(world)).toMatchObject({ status: 'False' });
});

test('shared buffers for which the container has no memory are refused', () => {
  const problems = (shared_buffers: string) =>
    judgeSettings(
      sampleCluster({ resources: { limits: { memory: '1Gi' } }, postgresql: { parameters: { shared_buffers } } }),
      undefined,
    ).problems.join();
  expect(problems('768MB')).toBe('');
  expect(problems('2GB')).toContain('is 2GB, but must be at most three quarters of spec.resources.limits.memory (1Gi)');
});

test('a cluster that begins with wrong settings begins without them', () => {
  const world = newWorld(sampleCluster({ postgresql: { parameters: { work_mem: 'x' } } }));
  converge(world);
  expect(published(world)).toMatchObject({ parameters: {} });
  expect(stalled(world)).toMatchObject({ reason: 'SettingsRefused' });
});

test('libraries whose parameters are set are loaded; the memory decides defaults; neither is in the spec', () => {
  const world = newWorld(
    sampleCluster({
      resources: { limits: { memory: '4Gi' } },
      postgresql: {
        sharedPreloadLibraries: ['pg_cron', 'auto_explain'],
        parameters: { 'auto_explain.log_min_duration': '1s', 'pg_stat_statements.max': '5000' },
      },
    }),
  );
  converge(world);
  expect(published(world)).toMatchObject({
    defaults: { shared_buffers: '992MB' },
    postgres: { libraries: ['pg_cron', 'auto_explain', 'pg_stat_statements'] },
  });
  expect(world.cluster.spec).not.toHaveProperty('postgresql.parameters.shared_buffers');
});

test('what an agent’s PostgreSQL refuses all the same is told with its words', () => {
  const world = newWorld(sampleCluster());
  converge(world);
  const member = world.runtime.members.get('orders-2');
  if (member)
    world.runtime = {
      ...world.runtime,
      members: new Map(world.runtime.members).set('orders-2', { ...member, settingsRefused: 'no library pg_cron' }),
    };
  expect(stalled(world)?.message).toContain('PostgreSQL on orders-2 refuses spec.postgresql: no library pg_cron');
});
