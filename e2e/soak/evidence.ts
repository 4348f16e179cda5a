/** What a violation leaves beside the usual dump of logs and objects: etcd's history, and every data directory. Local cluster only. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { request } from 'undici';
import { z } from 'zod';
import type { ApiServer } from '../../hack/testbed/api-server.ts';
import { tryRun } from '../../hack/testbed/command.ts';
import type { InstancePod } from '../../hack/testbed/database-cluster.ts';
import { systemNamespace } from '../../hack/testbed/deployment.ts';
import { etcdMembers } from '../../hack/testbed/etcd-members.ts';
import { volumeFolder } from '../../hack/testbed/volume-disks.ts';

const copyMs = 120_000;
/** A watch never ends by itself; it has said everything old when it falls silent. */
const silentMs = 2_000;

/** As they are at that moment: databases and etcd run on. What can't be had is noted, and keeps nothing else from being kept. */
export async function keepEvidence(
  api: ApiServer,
  namespace: string,
  instances: () => Promise<readonly InstancePod[]>,
  folder: string,
): Promise<void> {
  const volumes = path.join(folder, 'volumes');
  await mkdir(volumes, { recursive: true });
  const notes: string[] = [];
  const attempt = async (what: string, work: () => Promise<void>): Promise<void> => {
    await work().catch((error: unknown) => notes.push(`${what}: ${String(error)}`));
  };
  const keepVolume = (node: string, inNamespace: string, claim: string): Promise<void> =>
    attempt(`volume ${claim}`, async () => {
      const from = await volumeFolder(node, inNamespace, claim);
      const archive = path.join(volumes, `${claim}.tar.gz`);
      const args = ['--create', '--gzip', '--file', archive, '--directory', from, '.'];
      const { code, stderr } = await tryRun('tar', args, { timeoutMs: copyMs });
      // 1: a file changed while it was read.
      if (code !== 0 && code !== 1) throw new Error(stderr);
    });
  await attempt('etcd', async () => {
    const { members, leader } = await etcdMembers(api);
    await attempt('history of etcd', async () => {
      const lines = await historyOf((await leader()).url, `/mainstay/${namespace}/`);
      await writeFile(path.join(folder, 'etcd-history.jsonl'), lines.map((line) => `${line}\n`).join(''));
    });
    for (const { pod, node } of members) await keepVolume(node, systemNamespace, `data-${pod}`);
  });
  await attempt('instances', async () => {
    for (const pod of await instances()) await keepVolume(pod.node, namespace, pod.name);
  });
  if (notes.length > 0) await writeFile(path.join(folder, 'not-kept.txt'), `${notes.join('\n')}\n`);
}

const Event = z.object({
  type: z.string().optional(),
  kv: z.object({ key: z.string(), value: z.string().optional(), mod_revision: z.string().optional() }),
});
const Watched = z.object({
  result: z.object({ compact_revision: z.string().optional(), events: z.array(Event).optional() }),
});

/** Every change under the prefix since etcd's last compaction, a JSON object each. */
export async function historyOf(url: string, prefix: string): Promise<readonly string[]> {
  const lines: string[] = [];
  let from = '1';
  for (;;) {
    const compacted = await watch(url, prefix, from, (line) => lines.push(line));
    if (compacted === undefined) return lines;
    lines.push(JSON.stringify({ compactedUpTo: Number(compacted) }));
    from = compacted;
  }
}

/** Resolves with the oldest revision there is, if `from` is older. */
async function watch(
  url: string,
  prefix: string,
  from: string,
  found: (line: string) => void,
): Promise<string | undefined> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), silentMs);
  try {
    const { body } = await request(`${url}/v3/watch`, {
      method: 'POST',
      signal: silence.signal,
      body: JSON.stringify({
        create_request: { key: base64(prefix), range_end: base64(endOf(prefix)), start_revision: from },
      }),
    });
    let rest = '';
    for await (const piece of body.setEncoding('utf8')) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), silentMs);
      const lines = (rest + String(piece)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const { events = [], compact_revision: compacted } = Watched.parse(JSON.parse(line)).result;
        if (compacted !== undefined && compacted !== '0') return compacted;
        for (const event of events) found(recordOf(event));
      }
    }
  } catch (error) {
    if (!silence.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
  return undefined;
}

function recordOf({ type = 'PUT', kv }: z.output<typeof Event>): string {
  const value = kv.value === undefined ? {} : { value: text(kv.value) };
  return JSON.stringify({ revision: Number(kv.mod_revision), type, key: text(kv.key), ...value });
}

const base64 = (plain: string): string => Buffer.from(plain).toString('base64');
const text = (encoded: string): string => Buffer.from(encoded, 'base64').toString('utf8');
/** The first key behind all that begin with it. */
const endOf = (prefix: string): string =>
  prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
