/** What of spec.postgresql reaches the agents: all of it, or, when something is wrong, what was in force before. */
import { parameterProblems } from '../../api/parameter-check.ts';
import { hbaProblem, identProblem } from '../../api/pg-hba.ts';
import type { PostgresCluster } from '../../api/postgres-cluster.ts';
import { settingsOf, type Settings } from '../../resources/definition.ts';
import { dataVersion } from '../../resources/installation.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';

export interface JudgedSettings {
  readonly settings: Settings;
  /** Field, value and remedy of each. */
  readonly problems: readonly string[];
}

export function judgeSettings(cluster: PostgresCluster, runtime: ClusterRuntime | undefined): JudgedSettings {
  const problems = problemsOf(cluster);
  if (problems.length === 0) return { settings: settingsOf(cluster), problems };
  const { parameters = {}, postgres } = runtime?.definition ?? {};
  return { settings: { parameters, postgres }, problems };
}

function problemsOf(cluster: PostgresCluster): readonly string[] {
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
    ...lines('pgHba', postgresql.pgHba, hbaProblem),
    ...lines('pgIdent', postgresql.pgIdent, identProblem),
  ];
}
