/** What of the spec's settings reaches the agents: all of it, or, when something is wrong, what was in force before. */
import type { DatabaseCluster } from '../../api/database-cluster.ts';
import type { Settings } from '../../engines/profile.ts';
import { profileOf } from '../../engines/profiles.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';

export interface JudgedSettings {
  readonly settings: Settings;
  /** Field, value and remedy of each. */
  readonly problems: readonly string[];
}

export function judgeSettings(cluster: DatabaseCluster, runtime: ClusterRuntime | undefined): JudgedSettings {
  const profile = profileOf(cluster);
  const problems = profile.settingsProblems(cluster);
  if (problems.length === 0) return { settings: profile.settings(cluster), problems };
  const { parameters = {}, postgres } = runtime?.definition ?? {};
  return { settings: { parameters, postgres }, problems };
}
