/** Whether a new status is worth a write. */
import type { ClusterStatus } from '../../api/database-cluster.ts';

/** Positions move with every write of every client; people don't need them more often. */
export const positionsEveryMs = 15_000;

export type StatusChange = 'none' | 'positions-only' | 'worth-telling';

export function statusChange(before: ClusterStatus, after: ClusterStatus): StatusChange {
  if (text(before) === text(after)) return 'none';
  return text(withoutPositions(before)) === text(withoutPositions(after)) ? 'positions-only' : 'worth-telling';
}

/**
 * The change as a JSON merge patch. Not server-side apply: that takes an emptied set (a sync set without members) for an
 * absent one, and the API server then misses a required field.
 */
export function statusPatch(before: object, after: object): Record<string, unknown> {
  const old = before as Readonly<Record<string, unknown>>;
  const changed = Object.entries(after).flatMap(([key, value]): [string, unknown][] => {
    if (text(old[key]) === text(value)) return [];
    return [[key, isPlain(value) && isPlain(old[key]) ? statusPatch(old[key], value) : value]];
  });
  const gone = Object.keys(before).filter((key) => !(key in after));
  return Object.fromEntries([...changed, ...gone.map((key): [string, unknown] => [key, null])]);
}

const isPlain = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function withoutPositions(status: ClusterStatus): ClusterStatus {
  if (!status.instancesStatus) return status;
  return Object.assign({}, status, {
    lag: undefined,
    instancesStatus: status.instancesStatus.map((instance) =>
      Object.assign({}, instance, {
        position: undefined,
        lagBytes: undefined,
        lagTransactions: undefined,
        copy: undefined,
      }),
    ),
  });
}

/** Independent of the order of fields, because the API server has its own. */
function text(value: unknown): string {
  return JSON.stringify(value, (_key, field: unknown) =>
    typeof field === 'object' && field !== null && !Array.isArray(field)
      ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)))
      : field,
  );
}
