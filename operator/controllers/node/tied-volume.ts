/** Volumes that live on one node, and end with it. */
import type { V1Node, V1NodeSelectorTerm, V1PersistentVolume } from '@kubernetes/client-node';
import type { Wire } from '../../platform/wire.ts';

type Term = Wire<V1NodeSelectorTerm>;

/**
 * Labels that name a single node: Kubernetes' own, and those of CSI drivers for local disks (topology.topolvm.io/node,
 * openebs.io/nodename). A zone does not: its disks outlive its nodes.
 */
const namesNode = (key: string): boolean => key === 'kubernetes.io/hostname' || /\/(node|nodename|hostname)$/.test(key);

/** The node that a volume is tied to, if that does not exist any more; undefined: it exists, or nobody can tell. */
export function goneNodeOf(volume: Wire<V1PersistentVolume>, nodes: readonly Wire<V1Node>[]): string | undefined {
  const terms: readonly Term[] = volume.spec?.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  const gone = terms.map((term) => goneNode(term, nodes));
  return gone.length > 0 && gone.every((name) => name !== undefined) ? gone[0] : undefined;
}

function goneNode({ matchExpressions, matchFields }: Term, nodes: readonly Wire<V1Node>[]): string | undefined {
  const byLabel = (matchExpressions ?? [])
    .filter(({ key, operator }) => operator === 'In' && namesNode(key))
    .map(({ key, values = [] }) => ({ values, of: (node: Wire<V1Node>) => node.metadata?.labels?.[key] }));
  const byName = (matchFields ?? [])
    .filter(({ key, operator }) => operator === 'In' && key === 'metadata.name')
    .map(({ values = [] }) => ({ values, of: (node: Wire<V1Node>) => node.metadata?.name }));
  const gone = [...byLabel, ...byName].find(
    ({ values, of }) => values.length > 0 && !nodes.some((node) => values.includes(of(node) ?? '')),
  );
  return gone?.values.join(', ');
}
