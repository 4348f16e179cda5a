/** `report`: everything that helps whoever helps, in one archive, secrets left out. What may not be read is noted, not fatal. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { profileOf } from '../engines/profiles.ts';
import { clusterNamed, operationsOf } from './clusters.ts';
import {
  deployments,
  endpointSlices,
  events,
  nodes,
  persistentVolumeClaims,
  podDisruptionBudgets,
  pods,
  secrets,
  services,
  type ApiObject,
  type ResourceKind,
} from '../kubernetes/kinds.ts';
import { exitCodes, type Command, type Session, type World } from './command.ts';
import { redactedObject, redactedText } from './redact.ts';
import { statusText } from './status.ts';

export const report: Command = {
  name: 'report',
  summary: 'an archive for whoever helps you: objects, events and logs, secrets left out',
  details:
    'Values of Secrets, passwords in URIs and settings, tokens and private keys are replaced. Logs may quote your SQL:\nlook before you send. What you may not read is left out and noted in problems.txt.',
  operands: [{ name: 'CLUSTER' }],
  options: [
    { name: 'file', value: 'FILE', description: 'where to; mainstay-report-CLUSTER-TIME.tar.gz by default' },
    { name: 'lines', value: 'LINES', description: 'lines of each log; 5000 by default' },
    { name: 'operator-namespace', value: 'NAME', description: 'where the operator runs; mainstay-system by default' },
  ],
  examples: ['kubectl mainstay report orders', 'kubectl mainstay report orders --file orders.tar.gz --lines 20000'],

  async run(input, world) {
    const session = await world.connect(input);
    const [name = ''] = input.operands;
    await clusterNamed(session, name, world.signal);
    const time = world.clock
      .wall()
      .toISOString()
      .replace(/\.\d+Z/, 'Z')
      .replaceAll(':', '');
    const title = `mainstay-report-${name}-${time}`;
    const file = input.values.get('file') ?? `${title}.tar.gz`;
    const parts = await gather(session, world, name, {
      lines: input.values.get('lines') ?? '5000',
      operatorNamespace: input.values.get('operator-namespace') ?? 'mainstay-system',
    });
    await archive(title, parts, path.resolve(file));
    world.out(`${file}: ${parts.size} files`);
    return exitCodes.ok;
  },
};

const agentPort = 8008;

async function gather(
  session: Session,
  { signal, clock }: World,
  name: string,
  { lines, operatorNamespace }: { readonly lines: string; readonly operatorNamespace: string },
): Promise<ReadonlyMap<string, string>> {
  const { client, transport, namespace } = session;
  const parts = new Map<string, string>();
  const problems: string[] = [];
  const part = async (file: string, read: () => Promise<string>): Promise<void> => {
    try {
      parts.set(file, await read());
    } catch (error) {
      signal.throwIfAborted();
      problems.push(`${file}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const json = (value: unknown): string => `${JSON.stringify(redactedObject(value), undefined, 2)}\n`;
  const ofCluster = `mainstay.dev/cluster=${name}`;
  const list = async <T extends ApiObject>(kind: ResourceKind<T>, labelSelector?: string, where = namespace) =>
    (await client.list(kind, { ...(kind.namespaced && { namespace: where }), labelSelector }, { signal })).items;
  const logOf = async (where: string, pod: string, container: string, previous: boolean): Promise<string> => {
    const request = {
      verb: 'get',
      method: 'GET',
      path: `/api/v1/namespaces/${where}/pods/${pod}/log`,
      query: { container, tailLines: lines, timestamps: true, ...(previous && { previous }) },
      idempotent: true,
    } as const;
    const text: string[] = [];
    for await (const line of transport.lines(request, { signal })) text.push(redactedText(line));
    return `${text.join('\n')}\n`;
  };

  let container = '';
  await part('status.txt', async () => {
    const cluster = await clusterNamed(session, name, signal);
    const operations = await operationsOf(session, name, signal).catch(() => []);
    container = profileOf(cluster).engine;
    parts.set('cluster.json', json(cluster));
    return `${redactedText(statusText(cluster, operations, clock.wall().getTime()))}\n`;
  });
  await part('operations.json', async () => json(await operationsOf(session, name, signal)));
  for (const kind of [
    persistentVolumeClaims,
    services,
    endpointSlices,
    podDisruptionBudgets,
    secrets,
  ] as ResourceKind<ApiObject>[])
    await part(`${kind.plural}.json`, async () => json(await list(kind, ofCluster)));
  await part('nodes.json', async () => json(await list(nodes)));
  await part('events.json', async () =>
    json(
      (await list(events)).filter(
        ({ regarding }) => regarding?.name === name || regarding?.name?.startsWith(`${name}-`),
      ),
    ),
  );
  let instances: readonly string[] = [];
  await part('pods.json', async () => {
    const found = await list(pods, ofCluster);
    instances = found.map(({ metadata }) => metadata?.name ?? '');
    return json(found);
  });
  for (const instance of instances) {
    await part(`${instance}/log.jsonl`, () => logOf(namespace, instance, container, false));
    await part(`${instance}/log-before-restart.jsonl`, () => logOf(namespace, instance, container, true));
    for (const answer of ['health', 'explain'])
      await part(`${instance}/${answer}.json`, async () => {
        const proxied = `/api/v1/namespaces/${namespace}/pods/${instance}:${agentPort}/proxy/${answer}`;
        const request = { verb: 'get', method: 'GET', path: proxied, idempotent: false } as const;
        return json(await transport.call(request, { signal, timeoutMs: 3_000 }));
      });
  }
  const component = 'app.kubernetes.io/name=mainstay';
  await part('operator/deployments.json', async () => json(await list(deployments, component, operatorNamespace)));
  await part('operator/pods.json', async () => {
    const found = await list(pods, component, operatorNamespace);
    for (const { metadata, spec } of found)
      for (const container of spec?.containers ?? [])
        await part(`operator/${metadata?.name ?? ''}-${container.name}.log`, () =>
          logOf(operatorNamespace, metadata?.name ?? '', container.name, false),
        );
    return json(found);
  });
  if (problems.length > 0) parts.set('problems.txt', `${problems.map(redactedText).join('\n')}\n`);
  return parts;
}

async function archive(title: string, parts: ReadonlyMap<string, string>, file: string): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'mainstay-report-'));
  try {
    for (const [name, text] of parts) {
      const target = path.join(folder, title, name);
      await mkdir(path.dirname(target), { recursive: true });
      await writeFile(target, text, { mode: 0o600 });
    }
    await promisify(execFile)('tar', ['-czf', file, '-C', folder, title], { timeout: 120_000 });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
