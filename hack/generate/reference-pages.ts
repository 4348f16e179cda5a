/** The pages of docs/reference, each made from the catalogue or schema that the code uses. */
import { Registry } from 'prom-client';
import { agentMetrics } from '../../operator/agent/metrics.ts';
import { operatorMetrics } from '../../operator/controllers/metrics.ts';
import { runtimeMetrics } from '../../operator/kubernetes/metrics.ts';
import {
  conditionTypes,
  fenceAgentConditionTypes,
  operationConditionTypes,
  type Catalogue,
} from '../../operator/api/conditions.ts';
import { engineNames } from '../../operator/api/cluster-state.ts';
import { eventReasons } from '../../operator/api/event-reasons.ts';
import { lockedVariables, restrictedVariables } from '../../operator/api/mysql-parameters.ts';
import type { LockedParameters, RestrictedParameter } from '../../operator/api/parameter-rules.ts';
import { lockedParameters, restrictedParameters } from '../../operator/api/parameters.ts';
import { errorCodes } from '../../operator/platform/errors.ts';
import { generatedMark, type CustomResource } from './custom-resource-definition.ts';
import type { StructuralSchema } from './structural-schema.ts';

export function resourcePage(resource: CustomResource): string {
  const { spec, status } = resource.schema.properties ?? {};
  if (!spec || !status) throw new Error(`${resource.kind} has no spec or no status`);
  return page(resource.kind, [
    resource.schema.description ?? '',
    'Fields marked with * are required. Rules are enforced by the API server itself (OpenAPI and CEL, no webhook).',
    'Unknown fields: kubectl (`--validate=strict`, its default), Helm 4 and everything else that uses server-side apply are refused with the name of the field. ' +
      'A plain POST or PUT without `fieldValidation=Strict` gets a warning only, and the field is dropped: that is how the API server treats every custom resource, and a schema can’t change it.',
    '## Rules of the object',
    rules(resource.schema),
    '## spec',
    table(spec, 'spec'),
    '## status',
    'Written by the operator only. An automation should read `conditions` ([catalogue](conditions.md)), never `summary`.',
    table(status, 'status'),
  ]);
}

export function conditionsPage(): string {
  return page('Conditions', [
    'Each condition carries `observedGeneration`. `Ready`, `Reconciling` and `Stalled` follow kstatus, so `helm --wait`, Flux, Argo CD and `kubectl wait --for=condition=Ready` tell the truth.',
    '## Clusters',
    ...conditionSections(conditionTypes),
    '## Operations',
    '`kubectl wait --for=condition=Complete clusteroperation/<name>` ends when it has done what was asked; `Failed` is the other end.',
    ...conditionSections(operationConditionTypes),
    '## Fence agents',
    ...conditionSections(fenceAgentConditionTypes),
  ]);
}

function conditionSections(catalogue: Catalogue): readonly string[] {
  return Object.entries(catalogue).flatMap(([type, { meaning, reasons }]) => [
    `### ${type}`,
    `True when: ${meaning}`,
    markdownTable(
      ['Reason', 'Meaning'],
      Object.entries(reasons).map(([reason, text]) => [code(reason), text]),
    ),
  ]);
}

export function eventsPage(): string {
  return page('Events', [
    'Events that the operator writes about a cluster (`kubectl events --for postgrescluster/orders`) an operation (`kubectl events --for clusteroperation/…`) or a fence agent and its node (`kubectl events --for fenceagent/…`, `--for node/…`). Bad news is always of type Warning.',
    markdownTable(
      ['Reason', 'Type', 'Meaning'],
      Object.entries(eventReasons).map(([reason, { type, meaning }]) => [code(reason), type, meaning]),
    ),
  ]);
}

export function errorsPage(): string {
  return page('Errors', [
    'Codes in the logs of the operator and the agents (field `err.code`).',
    markdownTable(
      ['Code', 'Meaning'],
      Object.entries(errorCodes).map(([name, meaning]) => [code(name), meaning]),
    ),
  ]);
}

export function metricsPage(): string {
  const [operator, runtime] = [new Registry(), new Registry()];
  operatorMetrics(operator, () => 0);
  runtimeMetrics(runtime);
  const own = (registry: Registry) =>
    registry.getMetricsAsArray().filter(({ name }) => !/^(process|nodejs)_/.test(name));
  const rows = (metrics: readonly { readonly name: string; readonly help: string }[]): string =>
    markdownTable(
      ['Metric', 'Meaning'],
      metrics.map(({ name, help }) => [code(name), help]),
    );
  const table = (registry: Registry): string => rows(own(registry));
  const ofAgents = engineNames.flatMap((engine) => own(agentMetrics(engine).registry));
  return page('Metrics', [
    'In the Prometheus text format: the agent’s on port 8008, the operator’s on port 8080, path `/metrics`. Both also give the usual ' +
      '`process_*` and `nodejs_*` metrics of prom-client.',
    '## Agent',
    rows(ofAgents.filter(({ name }, index) => ofAgents.findIndex((one) => one.name === name) === index)),
    'Named as postgres_exporter and mysqld_exporter name them where the meaning is the same. What goes on inside a database those tell better: run them beside, with a role of your own.',
    '## Operator',
    'Its own:',
    table(operator),
    'Reconciles, errors, queues and requests are named as controller-runtime names them, so that dashboards people own go on working.',
    table(runtime),
  ]);
}

export function parametersPage(): string {
  return page('PostgreSQL parameters', [
    'Everything in `spec.postgresql.parameters` is yours except the following. The API server refuses them with the reason.',
    '## Managed by Mainstay',
    lockedTable(),
    '## Restricted values',
    restrictedTable(),
  ]);
}

export const mysqlParametersPage = (): string =>
  page('MySQL variables', [
    'Everything in `spec.mysql.parameters` is yours except the following. The API server refuses them with the reason.',
    '## Managed by Mainstay',
    lockedTable(lockedVariables),
    '## Restricted values',
    restrictedTable(restrictedVariables),
  ]);

const marks = {
  begin: '<!-- By `make generate`: -->\n\n<!-- prettier-ignore-start -->',
  end: '<!-- prettier-ignore-end -->',
};

/** The page for DBAs, its tables of parameters renewed. */
export function withParameterTables(text: string): string {
  const [before, rest] = text.split(marks.begin);
  const [, after] = (rest ?? '').split(marks.end);
  if (before === undefined || after === undefined)
    throw new Error(`docs/postgresql.md has lost its marks: ${marks.begin} and ${marks.end}`);
  return [`${before}${marks.begin}`, lockedTable(), restrictedTable(), `${marks.end}${after}`].join('\n\n');
}

const lockedTable = (locked: readonly LockedParameters[] = lockedParameters): string =>
  markdownTable(
    ['Refused', 'Why'],
    locked.map(({ names, reason }) => [names.map(code).join(', '), reason]),
  );

const restrictedTable = (restricted: readonly RestrictedParameter[] = restrictedParameters): string =>
  markdownTable(
    ['Restricted', 'Allowed', 'Why'],
    restricted.map(({ name, allowed, reason }) => [
      code(name),
      'values' in allowed ? allowed.values.map(code).join(', ') : `${allowed.minimum} or more`,
      reason,
    ]),
  );

export function page(title: string, parts: readonly string[]): string {
  return `<!-- ${generatedMark} -->\n\n# ${title}\n\n${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function table(schema: StructuralSchema, path: string): string {
  return markdownTable(['Field', 'Type', 'Default', 'Description'], rows(schema, path));
}

function rows(schema: StructuralSchema, path: string): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const fieldPath = `${path}.${name}`;
    const nested = field.items ?? field;
    const required = schema.required?.includes(name) === true ? '*' : '';
    return [
      [
        `${code(fieldPath)}${required}`,
        typeOf(field),
        defaultOf(field),
        [field.description ?? '', rules(field)].join(' ').trim(),
      ],
      ...rows(nested, field.items ? `${fieldPath}[]` : fieldPath),
    ];
  });
}

function rules(schema: StructuralSchema): string {
  const messages = (schema['x-kubernetes-validations'] ?? []).map(({ message }) => message);
  // The parameters' dozens have a page of their own.
  if (messages.length > 8) return 'Rules: see [PostgreSQL parameters](postgres-parameters.md).';
  return messages.length === 0 ? '' : `Rules: ${messages.join('; ')}.`;
}

function typeOf(schema: StructuralSchema): string {
  if (schema['x-kubernetes-int-or-string']) return 'integer or string';
  if (schema.enum) return schema.enum.map(code).join(', ');
  if (schema.additionalProperties) return `map of ${typeOf(schema.additionalProperties)}`;
  if (schema.items) return `list of ${typeOf(schema.items)}`;
  if (schema.type === 'integer' && schema.minimum !== undefined && schema.maximum !== undefined) {
    return `integer ${schema.minimum}–${schema.maximum}`;
  }
  return schema.format === 'date-time' ? 'time' : (schema.type ?? '');
}

function defaultOf(schema: StructuralSchema): string {
  const value = schema.default;
  // Objects are there to carry the defaults of their fields.
  return value === undefined || typeof value === 'object' ? '' : code(JSON.stringify(value));
}

export function code(text: string): string {
  return `\`${text}\``;
}

export function markdownTable(head: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...body.map(line)].join('\n');
}
