/** What an instance's container asks for and may use, and which changes Kubernetes makes while it runs. */
import type { DatabaseCluster } from '../api/database-cluster.ts';
import { quantityValue } from '../api/quantity.ts';

/** By resource name, as in `{ cpu: '500m' }`. */
type Amounts = Readonly<Record<string, string>>;
export interface ContainerResources {
  readonly requests?: Amounts;
  readonly limits?: Amounts;
}

/**
 * Where the spec says nothing. Without any request a Pod is the first to starve and to be killed on a busy node, and an agent
 * that starves loses elections it should never have had.
 */
const least: ContainerResources = { requests: { cpu: '250m', memory: '256Mi' } };

export function containerResources({ spec: { resources } }: DatabaseCluster): ContainerResources {
  if (!resources) return least;
  const asStrings = (list: (typeof resources)['requests']): Amounts =>
    Object.fromEntries(Object.entries(list ?? {}).map(([name, quantity]) => [name, String(quantity)]));
  return {
    ...(resources.requests && { requests: asStrings(resources.requests) }),
    ...(resources.limits && { limits: asStrings(resources.limits) }),
  };
}

/** With what Kubernetes adds: where only a limit is given, as much is asked for. */
export const inFull = ({ requests, limits }: ContainerResources): Required<ContainerResources> => ({
  requests: { ...limits, ...requests },
  limits: { ...limits },
});

/**
 * Why a change can't be made while the container runs; undefined: it can. `usesLess`: the container has never had what it was
 * last asked to have, so that taking it back takes nothing away.
 */
export function reasonAgainstResize(
  from: ContainerResources,
  to: ContainerResources,
  { usesLess }: { readonly usesLess: boolean },
): string | undefined {
  const [before, after] = [inFull(from), inFull(to)];
  for (const kind of ['requests', 'limits'] as const) {
    const names = new Set([...Object.keys(before[kind]), ...Object.keys(after[kind])]);
    for (const name of names) {
      if (before[kind][name] === undefined || after[kind][name] === undefined)
        return `a ${kind.slice(0, -1)} of ${name} is added or taken away`;
      if (name !== 'cpu' && name !== 'memory' && !isSame(before[kind][name], after[kind][name]))
        return `${name} can’t be changed while it runs`;
    }
  }
  if (isGuaranteed(before) !== isGuaranteed(after)) return 'its quality of service changes';
  // The database has sized itself by the larger one, and would be killed for it.
  if (
    !usesLess &&
    (quantityValue(after.limits['memory'] ?? 0) ?? 0) < (quantityValue(before.limits['memory'] ?? 0) ?? 0)
  )
    return 'its memory shrinks';
  return undefined;
}

const isSame = (one: string, other: string): boolean => quantityValue(one) === quantityValue(other);

const isGuaranteed = ({ requests, limits }: Required<ContainerResources>): boolean =>
  ['cpu', 'memory'].every((name) => {
    const [request, limit] = [requests[name], limits[name]];
    return request !== undefined && limit !== undefined && isSame(request, limit);
  });
