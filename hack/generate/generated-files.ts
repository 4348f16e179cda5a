/** Every generated file of the repository with its content. */
import { postgresCluster, toChartTemplate, toYaml } from './custom-resource-definition.ts';
import {
  conditionsPage,
  errorsPage,
  eventsPage,
  metricsPage,
  parametersPage,
  resourcePage,
} from './reference-pages.ts';
import { stateMachinePage } from './state-machine-page.ts';

/** Path from the repository's root → content. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const cluster = postgresCluster();
  return new Map([
    ['crds/mainstay.dev_postgresclusters.yaml', toYaml(cluster)],
    ['charts/mainstay/templates/crds/mainstay.dev_postgresclusters.yaml', toChartTemplate(cluster)],
    ['docs/reference/postgres-cluster.md', resourcePage(cluster)],
    ['docs/reference/postgres-parameters.md', parametersPage()],
    ['docs/reference/conditions.md', conditionsPage()],
    ['docs/reference/events.md', eventsPage()],
    ['docs/reference/errors.md', errorsPage()],
    ['docs/reference/metrics.md', metricsPage()],
    ['docs/reference/state-machine.md', stateMachinePage()],
  ]);
}
