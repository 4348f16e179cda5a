import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { operatorMetrics } from './metrics.ts';

const condition = (type: string, status: 'True' | 'False') => ({
  type,
  status,
  lastTransitionTime: '2026-11-21T08:00:00Z',
  reason: 'r',
  message: 'm',
});

test('clusters are counted by what their conditions say now', async () => {
  const registry = new Registry();
  const metrics = operatorMetrics(registry, () => Date.parse('2026-11-21T00:00:00Z'));
  metrics.conditions('shop/orders', [condition('Ready', 'True')]);
  metrics.conditions('shop/users', [condition('Ready', 'True')]);
  metrics.conditions('shop/gone', [condition('Ready', 'True')]);
  metrics.conditions('shop/users', [condition('Ready', 'False')]);
  metrics.conditions('shop/gone', undefined);
  metrics.action('create-pod', 'done');
  metrics.watchEtcd(() => 2_500);
  const text = await registry.metrics();
  expect(text).toContain('mainstay_clusters{type="Ready",status="True"} 1');
  expect(text).toContain('mainstay_clusters{type="Ready",status="False"} 1');
  expect(text).toContain('mainstay_actions_total{action="create-pod",outcome="done"} 1');
  expect(text).toContain('mainstay_etcd_silent_seconds 2.5');
});

test('certificates count down, and those of a cluster that is gone don’t', async () => {
  const registry = new Registry();
  const metrics = operatorMetrics(registry, () => Date.parse('2026-11-21T00:00:00Z'));
  metrics.certificates('shop/orders', [{ certificate: 'server', to: Date.parse('2026-11-22T12:00:00Z') }]);
  metrics.certificates('shop/gone', [{ certificate: 'server', to: 0 }]);
  metrics.certificates('shop/gone', undefined);
  const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('mainstay_certificate'));
  expect(lines).toEqual(['mainstay_certificate_days_left{namespace="shop",cluster="orders",certificate="server"} 1.5']);
});
