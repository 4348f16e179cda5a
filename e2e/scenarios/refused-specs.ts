import assert from 'node:assert/strict';
import type { ClusterAccess } from '../../hack/testbed/cluster-access.ts';
import type { Finished } from '../../hack/testbed/command.ts';
import { clusterKinds, type ClusterKind } from '../../operator/api/database-cluster.ts';
import { refusedSpecsOf } from '../../operator/api/refused-specs.ts';
import { scenario, type Orders } from '../scenario.ts';

const name = 'refused';

scenario(
  'bad specs are refused by field, value and remedy',
  // Of both kinds.
  { orders: 'none', operator: 'needed', engines: ['postgres'] },
  async ({ orders, access }) => {
    const problems: string[] = [];
    const kinds = Object.keys(clusterKinds) as ClusterKind[];
    const all = kinds.flatMap((kind) => refusedSpecsOf[kind].map((refused) => ({ kind, ...refused })));
    for (const { kind, title, before, spec, says } of all) {
      // Paused, so that the operator makes nothing of a cluster that only exists to be changed.
      if (before !== undefined) await create(access, orders, kind, { paused: true, ...before });
      const answer = await offer(access, orders, kind, before === undefined ? spec : { paused: true, ...spec });
      if (answer.code === 0) problems.push(`${kind}, ${title}: accepted`);
      const missing = says.filter((text) => !answer.stderr.includes(text));
      if (missing.length > 0)
        problems.push(`${kind}, ${title}: ${missing.join(' | ')} is not in: ${answer.stderr.trim()}`);
      if (before !== undefined) await remove(access, orders, kind);
    }
    assert.deepEqual(problems, []);
  },
);

function manifest(orders: Orders, kind: ClusterKind, spec: Readonly<Record<string, unknown>>): string {
  const metadata = { name, namespace: orders.namespace };
  return JSON.stringify({ apiVersion: 'mainstay.dev/v1alpha1', kind, metadata, spec });
}

/** By `apply`, which remembers what was given: only so can it take something out later. */
async function create(
  access: ClusterAccess,
  orders: Orders,
  kind: ClusterKind,
  spec: Readonly<Record<string, unknown>>,
): Promise<void> {
  await access.kubectl(['apply', '-f', '-'], { input: manifest(orders, kind, spec) });
}

/** Nothing that ought to be refused is really made. */
function offer(
  access: ClusterAccess,
  orders: Orders,
  kind: ClusterKind,
  spec: Readonly<Record<string, unknown>>,
): Promise<Finished> {
  return access.tryKubectl(['apply', '--dry-run=server', '-f', '-'], { input: manifest(orders, kind, spec) });
}

async function remove(access: ClusterAccess, orders: Orders, kind: ClusterKind): Promise<void> {
  await access.kubectl(
    ['delete', '--namespace', orders.namespace, `${clusterKinds[kind]}.mainstay.dev/${name}`, '--wait=true'],
    { timeoutMs: 60_000 },
  );
}
