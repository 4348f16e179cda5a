/** Whether a new status is worth a write. */
import type { PostgresClusterStatus } from '../../api/postgres-cluster.ts';

/** Positions move with every write of every client; people don't need them more often. */
export const positionsEveryMs = 15_000;

export type StatusChange = 'none' | 'positions-only' | 'worth-telling';

export function statusChange(before: PostgresClusterStatus, after: PostgresClusterStatus): StatusChange {
  if (text(before) === text(after)) return 'none';
  return text(withoutPositions(before)) === text(withoutPositions(after)) ? 'positions-only' : 'worth-telling';
}

function withoutPositions(status: PostgresClusterStatus): PostgresClusterStatus {
  if (!status.instancesStatus) return status;
  return {
    ...status,
    instancesStatus: status.instancesStatus.map((instance) =>
      Object.assign({}, instance, { position: undefined, lagBytes: undefined }),
    ),
  };
}

/** Independent of the order of fields, because the API server has its own. */
function text(value: unknown): string {
  return JSON.stringify(value, (_key, field: unknown) =>
    typeof field === 'object' && field !== null && !Array.isArray(field)
      ? Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)))
      : field,
  );
}
