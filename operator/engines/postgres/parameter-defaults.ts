/**
 * Defaults of parameters that follow from the memory and CPU of an instance; the user's own values win. Sources:
 * PostgreSQL's manual (19.4 Resource Consumption, 19.7 Query Planning) for the quarter of memory and the cache estimate,
 * PGTune's rules for servers of mixed load for the rest.
 */
import { bytesOf } from '../../api/parameter-check.ts';
import type { PostgresCluster } from '../../api/postgres-cluster.ts';
import { memoryOf, quantityValue } from '../../api/quantity.ts';

const mebibyte = 2 ** 20;
/** What the agent beside the database takes of the container's memory, measured, rounded up. */
const agentBytes = 128 * mebibyte;
/** With less there is nothing to divide. */
const leastBytes = 256 * mebibyte;
/** PostgreSQL's own default of work_mem: less only makes queries slow. */
const leastWorkMem = 4 * mebibyte;
export const defaultMaxConnections = 200;

export function parameterDefaults(
  spec: Pick<PostgresCluster['spec'], 'version' | 'resources' | 'postgresql'>,
): Readonly<Record<string, string>> {
  return { ...byMemory(spec), ...byCpu(spec) };
}

type Resources = Pick<PostgresCluster['spec'], 'resources'>;

/** Idle processors are anybody's: the limit counts. Where nothing is given PostgreSQL's modest defaults stay. */
const cpusOf = ({ resources }: Resources): number =>
  quantityValue(resources?.limits?.cpu ?? resources?.requests?.cpu ?? 0) ?? 0;

function byMemory(
  spec: Pick<PostgresCluster['spec'], 'version' | 'resources' | 'postgresql'>,
): Readonly<Record<string, string>> {
  const memory = (memoryOf(spec.resources) ?? 0) - agentBytes;
  if (memory < leastBytes) return {};
  const { parameters } = spec.postgresql;
  const own = parameters['shared_buffers'];
  const sharedBuffers = (own === undefined ? undefined : bytesOf(spec.version, 'shared_buffers', own)) ?? memory / 4;
  const connections = Number(parameters['max_connections'] ?? defaultMaxConnections);
  return {
    // "A reasonable starting value … is 25% of the memory in your system."
    shared_buffers: size(memory / 4),
    // Shared buffers and the kernel's cache together, which is what the rest of the memory is for.
    effective_cache_size: size(memory * 0.75),
    // Up to 2 GB: a vacuum or an index build gains little from more, and three workers may each take it.
    maintenance_work_mem: size(Math.min(memory / 16, 2048 * mebibyte)),
    // A sort or hash in a third of all connections at once, with what shared buffers leave.
    work_mem: size(Math.max((memory - sharedBuffers) / (connections * 3), leastWorkMem)),
  };
}

function byCpu(spec: Resources): Readonly<Record<string, string>> {
  const cpus = Math.ceil(cpusOf(spec));
  if (cpus === 0) return {};
  // Half of the processors for one query or index, four at most: beyond, the gain is small.
  const each = cpus < 2 ? 0 : Math.min(Math.ceil(cpus / 2), 4);
  return {
    // Room for logical replication and extensions besides the parallel workers; PostgreSQL's own default is 8.
    max_worker_processes: String(Math.max(8, cpus + 4)),
    max_parallel_workers: String(cpus),
    max_parallel_workers_per_gather: String(each),
    max_parallel_maintenance_workers: String(each),
  };
}

const size = (bytes: number): string => `${Math.floor(bytes / mebibyte)}MB`;
