import type { World } from './scenario.ts';

/** As a person would, with kubectl. */
export async function createOperation(
  { access, orders }: Pick<World, 'access' | 'orders'>,
  name: string,
  spec: object,
): Promise<void> {
  const operation = {
    apiVersion: 'mainstay.dev/v1alpha1',
    kind: 'ClusterOperation',
    metadata: { name, namespace: orders.namespace },
    spec: { clusterRef: { name: orders.name }, ...spec },
  };
  await access.kubectl(['create', '-f', '-'], { input: JSON.stringify(operation) });
}
