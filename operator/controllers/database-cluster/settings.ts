/** What of spec.postgresql reaches the agents: all of it, or, when something is wrong, what was in force before. */
import { bytesOf, parameterProblems } from '../../api/parameter-check.ts';
import { hbaProblem, identProblem } from '../../api/pg-hba.ts';
import type { DatabaseCluster } from '../../api/database-cluster.ts';
import { quantityValue } from '../../api/quantity.ts';
import { settingsOf, type Settings } from '../../resources/definition.ts';
import { dataVersion } from '../../resources/installation.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';

export interface JudgedSettings {
  readonly settings: Settings;
  /** Field, value and remedy of each. */
  readonly problems: readonly string[];
}

export function judgeSettings(cluster: DatabaseCluster, runtime: ClusterRuntime | undefined): JudgedSettings {
  const problems = problemsOf(cluster);
  if (problems.length === 0) return { settings: settingsOf(cluster), problems };
  const { parameters = {}, postgres } = runtime?.definition ?? {};
  return { settings: { parameters, postgres }, problems };
}

/** Part of the container's memory that may be shared buffers: with more the kernel kills the database, again and again. */
const mostOfMemory = 0.75;

function bufferProblems(cluster: DatabaseCluster): readonly string[] {
  const { resources, postgresql } = cluster.spec;
  const value = postgresql.parameters['shared_buffers'];
  const limit = resources?.limits?.memory;
  if (value === undefined || limit === undefined) return [];
  const bytes = bytesOf(dataVersion(cluster), 'shared_buffers', value) ?? 0;
  return bytes <= (quantityValue(limit) ?? Infinity) * mostOfMemory
    ? []
    : [
        `spec.postgresql.parameters: shared_buffers: is ${value}, but must be at most three quarters of spec.resources.limits.memory (${limit}): lower it or raise the limit`,
      ];
}

function problemsOf(cluster: DatabaseCluster): readonly string[] {
  const { postgresql } = cluster.spec;
  const lines = (field: string, all: readonly string[], problemOf: (line: string) => string | undefined) =>
    all.flatMap((line, index) => {
      const problem = problemOf(line);
      return problem === undefined ? [] : [`spec.postgresql.${field}[${index}] "${line.slice(0, 120)}" ${problem}`];
    });
  return [
    ...parameterProblems(dataVersion(cluster), postgresql.parameters).map(
      (problem) => `spec.postgresql.parameters: ${problem}`,
    ),
    ...bufferProblems(cluster),
    ...lines('pgHba', postgresql.pgHba, hbaProblem),
    ...lines('pgIdent', postgresql.pgIdent, identProblem),
  ];
}
