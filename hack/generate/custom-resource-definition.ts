/** The CustomResourceDefinition of each resource of ours, made from its zod schema. */
import { stringify } from 'yaml';
import { z } from 'zod';
import { ClusterOperationResource } from '../../operator/api/cluster-operation.ts';
import { FenceAgentResource } from '../../operator/api/fence-agent.ts';
import { apiGroup } from '../../operator/api/api-group.ts';
import { MySQLClusterResource } from '../../operator/api/mysql-cluster.ts';
import { PostgresClusterResource } from '../../operator/api/postgres-cluster.ts';
import { structuralSchema, type StructuralSchema } from './structural-schema.ts';

export interface CustomResource {
  readonly kind: string;
  readonly plural: string;
  readonly definition: object;
  readonly schema: StructuralSchema;
}

interface Kind {
  readonly kind: string;
  /** Default: Namespaced. */
  readonly scope?: 'Cluster';
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly resource: z.ZodObject<{ readonly spec: z.ZodType; readonly status: z.ZodType }>;
  readonly scale?: Readonly<Record<string, string>>;
  /** Printed after the name; the age comes last. */
  readonly columns: readonly object[];
  readonly selectableFields?: readonly string[];
}

export const postgresCluster = (): CustomResource =>
  cluster('PostgresCluster', 'pgc', 'Major version of PostgreSQL.', PostgresClusterResource);

export const mysqlCluster = (): CustomResource =>
  cluster('MySQLCluster', 'myc', 'Release series of MySQL.', MySQLClusterResource);

const cluster = (kind: string, shortName: string, version: string, resource: Kind['resource']): CustomResource =>
  customResource({
    kind,
    shortNames: [shortName],
    categories: ['all', 'mainstay'],
    resource,
    scale: {
      specReplicasPath: '.spec.instances',
      statusReplicasPath: '.status.instances',
      labelSelectorPath: '.status.selector',
    },
    columns: [
      column('Ready', 'string', '.status.ready', 'Instances that run and follow, of those wanted.'),
      column('Primary', 'string', '.status.primary', 'Instance that leads.'),
      column('Status', 'string', '.status.summary', 'What is going on.'),
      column('Version', 'string', '.spec.version', version),
      column('Sync', 'string', '.status.sync.members', 'Instances whose acknowledgement counts.', 1),
      column('Lag', 'string', '.status.lag', 'How far the slowest replica is behind.', 1),
      column('Endpoint', 'string', '.status.endpoint', 'Where clients find the primary.', 1),
      column('Nodes', 'string', '.status.nodes', 'Nodes that instances run on.', 1),
      column(
        'If primary lost',
        'string',
        '.status.instancesStatus[?(@.role=="primary")].ifLost',
        'What the loss of the primary would mean now.',
        1,
      ),
      column('Epoch', 'integer', '.status.epoch', 'Number of the current primary’s reign.', 1),
    ],
  });

export const clusterOperation = (): CustomResource =>
  customResource({
    kind: 'ClusterOperation',
    shortNames: ['cop'],
    categories: ['mainstay'],
    resource: ClusterOperationResource,
    selectableFields: ['.spec.clusterRef.name', '.spec.type'],
    columns: [
      column('Type', 'string', '.spec.type', 'What is done.'),
      column('Cluster', 'string', '.spec.clusterRef.name', 'To which cluster.'),
      column('Status', 'string', '.status.summary', 'Where it stands.'),
      column('Message', 'string', '.status.message', 'What it does or waits for, what it did, or why it failed.'),
      column('Started', 'date', '.status.startedAt', 'Time since it was begun.', 1),
      column('Finished', 'date', '.status.finishedAt', 'Time since it was over.', 1),
      column('Reason', 'string', '.spec.reason', 'Why it was asked for.', 1),
    ],
  });

export const fenceAgent = (): CustomResource =>
  customResource({
    kind: 'FenceAgent',
    scope: 'Cluster',
    shortNames: ['fag'],
    categories: ['mainstay'],
    resource: FenceAgentResource,
    columns: [
      column('Level', 'integer', '.spec.level', 'Lower ones are tried first.'),
      column('Program', 'string', '.spec.command[0]', 'What switches nodes off.'),
      column('Nodes', 'string', '.status.summary', 'In which state its nodes are.'),
      column('Ready', 'string', '.status.conditions[?(@.type=="Ready")].reason', 'Whether something needs a person.'),
    ],
  });

export const customResources = (): readonly CustomResource[] => [
  postgresCluster(),
  mysqlCluster(),
  clusterOperation(),
  fenceAgent(),
];

function customResource(of: Kind): CustomResource {
  const { kind, scale, selectableFields } = of;
  const schema = rootSchema(structuralSchema(specAndStatus(of.resource)));
  const singular = kind.toLowerCase();
  const plural = `${singular}s`;
  return {
    kind,
    plural,
    schema,
    definition: {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: {
        name: `${plural}.${apiGroup}`,
        labels: { 'app.kubernetes.io/name': 'mainstay', 'app.kubernetes.io/part-of': 'mainstay' },
      },
      spec: {
        group: apiGroup,
        scope: of.scope ?? 'Namespaced',
        names: {
          kind,
          listKind: `${kind}List`,
          plural,
          singular,
          shortNames: of.shortNames,
          categories: of.categories,
        },
        versions: [
          {
            name: 'v1alpha1',
            served: true,
            storage: true,
            subresources: { status: {}, ...(scale && { scale }) },
            ...(selectableFields && { selectableFields: selectableFields.map((jsonPath) => ({ jsonPath })) }),
            additionalPrinterColumns: [
              ...of.columns,
              column('Age', 'date', '.metadata.creationTimestamp', 'Time since it was made.'),
            ],
            schema: { openAPIV3Schema: schema },
          },
        ],
      },
    },
  };
}

export const generatedMark = 'Generated by `make generate` from operator/api; never edit by hand.';

export function toYaml(resource: CustomResource): string {
  return `# ${generatedMark}\n${stringify(resource.definition, { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' })}`;
}

/** The same within the chart: only if wanted, and left in place when the release goes, for the data's sake. */
export function toChartTemplate(resource: CustomResource): string {
  const yaml = toYaml(resource);
  if (yaml.includes('{{')) throw new Error(`${resource.kind}: "{{" in a CRD would be read by Helm`);
  const annotated = yaml.replace(
    /\nmetadata:\n/,
    '\nmetadata:\n  {{- if .Values.crds.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n',
  );
  return `{{- if .Values.crds.enabled }}\n${annotated}{{- end }}\n`;
}

/** apiVersion, kind and metadata are the API server's; their schemas say no more than their types. */
function rootSchema({ properties, ...root }: StructuralSchema): StructuralSchema {
  return {
    ...root,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      ...properties,
    },
  };
}

/** What is ours: the rest of the object has constraints that structural schemas can't express and don't need. */
function specAndStatus(resource: Kind['resource']): z.ZodType {
  const { spec, status } = resource.shape;
  return z.object({ spec, status }).meta(resource.meta() ?? {});
}

function column(name: string, type: string, jsonPath: string, description: string, priority = 0): object {
  return { name, type, jsonPath, description, ...(priority > 0 && { priority }) };
}
