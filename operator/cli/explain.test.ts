import { expect, test } from '@jest/globals';
import { parseMySQLCluster } from '../api/mysql-cluster.ts';
import { explanationText } from './explain.ts';

test('what was cut off a former primary’s log is told', () => {
  const cutTail = { transactions: 2, gtids: 'x:7-8', at: '2026-11-21T09:00:00Z', file: '/quarantine/one' };
  const instancesStatus = [
    { name: 'orders-1', state: 'running', sync: false },
    { name: 'orders-2', state: 'streaming', sync: true, cutTail },
  ];
  const cluster = parseMySQLCluster({
    apiVersion: 'mainstay.dev/v1alpha1',
    kind: 'MySQLCluster',
    metadata: { name: 'orders' },
    spec: { storage: { size: '1Gi' } },
    status: { instancesStatus },
  });
  expect(explanationText(cluster, undefined)).toMatch(
    /Cut off, because only a former primary had them.*\n +orders-2 +2 transactions, on 2026-11-21T09:00:00Z: x:7-8\. They are in \/quarantine\/one/,
  );
});
