/** Nonsense in every field of every resource, on a real API server. Last line: `N passed, N failed`. */
import process from 'node:process';
import { apiVersion } from '../../operator/api/api-group.ts';
import { serviceAccounts } from '../../operator/kubernetes/kinds.ts';
import { clusterOperation, fenceAgent, mysqlCluster, postgresCluster } from '../generate/custom-resource-definition.ts';
import { installation } from '../operator-faults/operator.ts';
import { startApiProcess } from '../standin/api-process.ts';
import { contexts } from './contexts.ts';
import { tryNonsense, type Subject } from './nonsense.ts';

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => stop.abort());
const namespace = 'nonsense';
const images = { ...installation.images, mysql: { '8.4': 'example.org/mysql:8.4', '9.7': 'example.org/mysql:9.7' } };
const subjects: readonly Subject[] = [
  { resource: postgresCluster(), namespace, apiVersion, base: { storage: { size: '1Gi' } }, beside: contexts },
  { resource: mysqlCluster(), namespace, apiVersion, base: { storage: { size: '1Gi' } }, beside: contexts },
  {
    resource: clusterOperation(),
    namespace,
    apiVersion,
    base: { type: 'Restart', clusterRef: { name: 'orders' } },
    beside: {},
  },
  {
    resource: fenceAgent(),
    namespace: undefined,
    apiVersion,
    base: { command: ['fence_dummy'], nodes: [{ name: 'n1', plug: '1' }], image: 'example.org/fence:1' },
    beside: {},
  },
];

const api = await startApiProcess(stop.signal);
let passed = 0;
const failures: string[] = [];
try {
  await api.makeNamespace(namespace);
  // Admission asks for it before anything of a Pod is looked at.
  await api.client.create(serviceAccounts, { metadata: { name: 'nonsense', namespace } });
  for (const subject of subjects) {
    const { tried, refused, problems } = await tryNonsense(api.access, subject, { ...installation, images });
    passed += tried - problems.length;
    failures.push(...problems.map((problem) => `${subject.resource.kind}: ${problem}`));
    process.stdout.write(`${subject.resource.kind}: ${tried} kinds of nonsense, ${refused} refused\n`);
  }
} finally {
  await api.stop();
}
for (const failure of failures) process.stdout.write(`FAILED ${failure}\n`);
process.stdout.write(`${passed} passed, ${failures.length} failed\n`);
process.exit(failures.length === 0 ? 0 : 1);
