/** Every generated file of the repository with its content. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  clusterOperation,
  customResources,
  fenceAgent,
  mysqlCluster,
  postgresCluster,
  toChartTemplate,
  toYaml,
} from './custom-resource-definition.ts';
import { chartValuesSchema } from './chart-values.ts';
import {
  conditionsPage,
  errorsPage,
  eventsPage,
  metricsPage,
  mysqlParametersPage,
  parametersPage,
  resourcePage,
  withParameterTables,
} from './reference-pages.ts';
import { stateMachinePage } from './state-machine-page.ts';

const dbaPage = 'docs/postgresql.md';

/** Path from the repository's root → content. */
export function generatedFiles(): ReadonlyMap<string, string> {
  return new Map([
    ...customResources().flatMap((resource): [string, string][] => {
      const file = `mainstay.dev_${resource.plural}.yaml`;
      return [
        [`crds/${file}`, toYaml(resource)],
        [`charts/mainstay/templates/crds/${file}`, toChartTemplate(resource)],
      ];
    }),
    ['charts/mainstay/values.schema.json', chartValuesSchema()],
    ['manifests/crds.yaml', customResources().map(toYaml).join('---\n')],
    ['docs/reference/postgres-cluster.md', resourcePage(postgresCluster())],
    ['docs/reference/mysql-cluster.md', resourcePage(mysqlCluster())],
    ['docs/reference/cluster-operation.md', resourcePage(clusterOperation())],
    ['docs/reference/fence-agent.md', resourcePage(fenceAgent())],
    ['docs/reference/postgres-parameters.md', parametersPage()],
    ['docs/reference/mysql-parameters.md', mysqlParametersPage()],
    [dbaPage, withParameterTables(readFileSync(path.join(import.meta.dirname, '../..', dbaPage), 'utf8'))],
    ['docs/reference/conditions.md', conditionsPage()],
    ['docs/reference/events.md', eventsPage()],
    ['docs/reference/errors.md', errorsPage()],
    ['docs/reference/metrics.md', metricsPage()],
    ['docs/reference/state-machine.md', stateMachinePage()],
  ]);
}
