/** docs/benchmarks/scale.md and the figures behind it. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { format } from 'prettier';
import { repository } from '../testbed/cluster-access.ts';

export interface Size {
  readonly clusters: number;
  readonly grownBy: number;
  readonly growSeconds: number;
  readonly startSeconds: number;
  readonly residentMegabytes: number;
  readonly peakMegabytes: number;
  readonly idleCpuPercent: number;
  readonly idleRequestsPerClusterHour: number;
  readonly idleReconcilesPerClusterHour: number;
  readonly changeP50Ms: number;
  readonly changeP99Ms: number;
  readonly allAtOnceP99Ms: number;
}

const folder = path.join(repository, 'docs/benchmarks');

export async function publish(sizes: readonly Size[]): Promise<void> {
  const commit = await promisify(execFile)('git', ['describe', '--always', '--dirty'], { cwd: repository });
  const kept = {
    machine: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    load: Math.round((loadavg()[2] ?? 0) * 10) / 10,
    date: new Date().toISOString().slice(0, 10),
    commit: commit.stdout.trim(),
    sizes,
  };
  await writeFile(path.join(folder, 'scale.json'), await format(JSON.stringify(kept), { parser: 'json' }));
  await writeFile(path.join(folder, 'scale.md'), await format(pageFor(kept), { parser: 'markdown' }));
}

export interface Published {
  readonly machine: string;
  readonly load: number;
  readonly date: string;
  readonly commit: string;
  readonly sizes: readonly Size[];
}

export function pageFor({ machine, load, date, commit, sizes }: Published): string {
  const columns: readonly (readonly [string, (size: Size) => string])[] = [
    ['clusters', ({ clusters }) => String(clusters)],
    ['change seen p50 / p99 ms', ({ changeP50Ms, changeP99Ms }) => `${changeP50Ms} / ${changeP99Ms}`],
    ['all changed at once, p99 ms', ({ allAtOnceP99Ms }) => String(allAtOnceP99Ms)],
    ['start s', ({ startSeconds }) => String(startSeconds)],
    ['RSS MB (peak)', ({ residentMegabytes, peakMegabytes }) => `${residentMegabytes} (${peakMegabytes})`],
    ['CPU at rest %', ({ idleCpuPercent }) => String(idleCpuPercent)],
    ['requests per cluster and hour at rest', ({ idleRequestsPerClusterHour }) => String(idleRequestsPerClusterHour)],
    ['looks per cluster and hour at rest', ({ idleReconcilesPerClusterHour }) => String(idleReconcilesPerClusterHour)],
    ['new clusters ready a minute', ({ grownBy, growSeconds }) => String(Math.round((grownBy / growSeconds) * 60))],
  ];
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    '# What the operator costs, by the number of clusters',
    '',
    '<!-- Written by hack/scale; edit nothing here. -->',
    '',
    `Measured by \`make bench-scale\` on ${date} (${commit}) on one machine (${machine}; load average of its last quarter of an hour: ${load}) that also runs the API server, its etcd and everything else. ` +
      'API server and etcd are real; kubelets, volumes and agents are played by one process that writes the same statuses and the same keys, each member anew once a minute as real agents do. Clusters of three instances; the operator is one process, started as in its image.',
    '',
    ...(load > cpus().length
      ? [
          '**The machine had other work meanwhile**: times are those of a starved API server, to be measured again on a quiet machine.',
          '',
        ]
      : []),
    row(columns.map(([title]) => title)),
    row(columns.map(() => '---')),
    ...sizes.map((size) => row(columns.map(([, cell]) => cell(size)))),
    '',
    '- **Change seen**: from the answer to a user’s change until `status.observedGeneration` says that the operator has acted on it; 300 changes, 10 a second. Goal: p99 ≤ 5,000 ms.',
    '- **All changed at once**: the same when every cluster is changed in the same moment.',
    '- **Start**: from the start of the process until every cluster has been looked at once and none waits. Goal: ≤ 60 s.',
    '- **RSS**: of the process after the rest; in parentheses the most it ever was. Goal: ≤ 250 MB.',
    '- **At rest**: a while in which nobody changes anything. Requests are all that the operator sends to the API server, its lease (1 a second) and watches that are opened anew included. Goal: CPU ≤ 2 % of a core.',
    '',
  ].join('\n');
}
