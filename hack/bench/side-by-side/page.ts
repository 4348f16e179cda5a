/** docs/benchmarks/side-by-side.md, its plots, and the short form in the README: all of it from the records, nothing from memory. */
import { inSeconds, markdownTable } from '../markdown.ts';
import type { Published } from '../results.ts';
import { percentile } from '../statistics.ts';
import { cases, type Case } from './cases.ts';
import { kubernetesTable } from './kubernetes.ts';
import { availabilityPlot } from './plot.ts';
import type { BenchRecord, CostRecord } from './record.ts';
import { betterThanMainstay, contendersIn, costsIn, labelOf, summariesOf, type Summary } from './summary.ts';

export interface PageInput {
  readonly records: readonly BenchRecord[];
  /** Measured on the local cluster. */
  readonly cluster: Published['series'];
}

/** Where plots are, from the page. */
const plotFile = (name: string): string => `side-by-side/${name}.svg`;

export function plotsOf(records: readonly BenchRecord[]): ReadonlyMap<string, string> {
  return new Map(
    measured(records).map(({ what, summaries }) => [plotFile(what.name), availabilityPlot(what.title, summaries)]),
  );
}

export function sideBySidePage({ records, cluster }: PageInput): string {
  const all = measured(records);
  const loads = records.map(({ load }) => load);
  const dates = records.map(({ date }) => date.slice(0, 10)).toSorted();
  return [
    '# Side by side with Patroni',
    '',
    '<!-- Written by hack/bench/side-by-side; edit nothing here. -->',
    '',
    ...verdict(all, costsIn(records)),
    '',
    '## How it was measured',
    '',
    `\`make bench\` on one machine (${[...new Set(records.map(({ machine }) => machine))].join('; ')}), ${dates[0] ?? 'never'} to ${dates.at(-1) ?? 'never'}: ` +
      'each line of [side-by-side.jsonl](side-by-side.jsonl) is one run, and this page is made of nothing else. ' +
      `Load average of the machine as runs began: median ${percentile(loads, 50)}, at most ${Math.max(...loads)}, on two cores; ` +
      'where it is above two, other work took time from everything here, and all outages are longer than on a machine of its own.',
    '',
    '- Three nodes, each a network namespace on one switch with a member of etcd and an instance; a node that is lost takes its member ' +
      'of etcd with it. No Kubernetes, so no Service, no TLS, no operator.',
    '- Both run the same PostgreSQL programs, from one root file system, with the parameters that Mainstay sets by default; what each ' +
      'system arranges for itself (who follows whom, where logs go) is left to it. Both replicate synchronously: Mainstay `Strict`, ' +
      'one of two replicas; Patroni `synchronous_mode: true`.',
    '- Patroni is Debian’s package with etcd v3; ttl, loop_wait and retry_timeout as named; `use_pg_rewind`, `use_slots`, ' +
      '`use_unix_socket` and new copies where a rewind fails, as Debian’s configuration has them; base backups with a fast checkpoint, as ' +
      'Mainstay’s. All else default: no watchdog, no `failsafe_mode`.',
    '- Mainstay’s agent is the bundle that images hold, started by the command of its Pod.',
    '- All three clusters are up all the time, and are struck in turn; the client runs against one of them at a time.',
    '- The client ([hack/writer](../../hack/writer)) writes a row every 10 ms, gives up a write after a second, and connects anew to ' +
      'whichever of the three addresses says that it is not in recovery: a URI of several hosts with ' +
      '`target_session_attrs=read-write`, all asked at once. No proxy, no health checks of either system.',
    '- Outage: the longest time without an acknowledged write, from the fault until all three instances were back. A fault that is not ' +
      'dealt with within 60 s is ended, and its outage counts as that at least (“≥”). Lost: acknowledged, and not there when all is read ' +
      'back at the end.',
    '- Redundant: from the end of the fault (node switched on again, process continued; from the fault, where it ends by itself) until ' +
      'both replicas stream, as synchronous members where they are such, by the word of the databases and of etcd. “–”: nothing was interrupted.',
    '',
    `Versions: ${versionsOf(records)}.`,
    '',
    ...all.flatMap(caseSection),
    ...costSection(costsIn(records)),
    '',
    '## Through a Service and Pods: CloudNativePG',
    '',
    'Not the harness above: here both ran on the local Kubernetes, and the client came through the `-rw` Service. Mainstay’s column is ' +
      '[failover.json](failover.json) (`make bench-cluster`). CloudNativePG’s is 1.30.0 with PostgreSQL 18.6 and its defaults ' +
      '(`synchronous: any 1`, `dataDurability: required`), measured once by hand on 2026-11-21 with n of 1 to 3, no raw data of single ' +
      'runs kept; no acknowledged write was lost. Untuned, and its operator on a node that was never hurt.',
    '',
    ...markdownTable(kubernetesTable(cluster)),
    '',
    'Whoever has its manifest and images can repeat that: `make bench PEER=cnpg` ([how](README.md)).',
    '',
  ].join('\n');
}

/** For the README: every case in a line, and how it compares. */
export function shortTable(records: readonly BenchRecord[]): string {
  const contenders = contendersIn(records);
  return markdownTable([
    ['What happened to the primary', ...contenders.map(labelOf), 'Writes lost', 'Runs of each'],
    ...measured(records).map(({ what, summaries }) => [
      what.title,
      ...contenders.map((contender) => {
        const own = summaries.find((one) => labelOf(one.contender) === labelOf(contender));
        return own === undefined ? '–' : `${outage(own, own.p50)} (max ${inSeconds(own.max)})`;
      }),
      summaries.map(({ lost }) => String(lost)).join(' / '),
      [...new Set(summaries.map(({ runs }) => runs.length))].join(' / '),
    ]),
  ]).join('\n');
}

interface MeasuredCase {
  readonly what: Case;
  readonly summaries: readonly Summary[];
}

const measured = (records: readonly BenchRecord[]): readonly MeasuredCase[] =>
  cases
    .map((what) => ({ what, summaries: summariesOf(records, what.name) }))
    .filter(({ summaries }) => summaries.length > 0);

/** Bad news first. */
function verdict(all: readonly MeasuredCase[], costs: readonly CostRecord[]): readonly string[] {
  const slower = all.flatMap(({ what, summaries }) =>
    betterThanMainstay(summaries).map(
      (one) =>
        `- **${what.title}**: ${labelOf(one.contender)} is out for ${outage(one, one.p50)} (median), Mainstay for ` +
        `${inSeconds(summaries.find(({ contender }) => contender.system === 'Mainstay')?.p50 ?? 0)}.`,
    ),
  );
  const lost = all.flatMap(({ what, summaries }) =>
    summaries
      .filter((one) => one.lost > 0)
      .map(
        (one) => `- **${what.title}**: ${labelOf(one.contender)} lost ${one.lost} of ${one.acked} acknowledged writes.`,
      ),
  );
  const wrong = all.flatMap(({ what, summaries }) =>
    summaries.flatMap(({ contender, runs, failed }) => [
      ...[...new Set(runs.flatMap(({ violations }) => violations))].map(
        (violation) => `- **${what.title}**: ${labelOf(contender)}: ${violation}`,
      ),
      ...failed.map(
        ({ failure }) => `- **${what.title}**: a run of ${labelOf(contender)} could not be judged: ${failure}`,
      ),
    ]),
  );
  const lines = [...slower, ...dearer(costs)];
  return [
    ...(lines.length === 0
      ? [
          'Mainstay’s median outage is the shortest in every case below, or no more than 0.1 s longer, and its agent costs no more.',
        ]
      : ['Where Mainstay is behind:', '', ...lines]),
    '',
    ...(lost.length === 0 ? ['No acknowledged write was lost, by either system.'] : ['Lost writes:', '', ...lost]),
    ...(wrong.length === 0 ? [] : ['', 'What else must not be:', '', ...wrong]),
  ];
}

function dearer(costs: readonly CostRecord[]): readonly string[] {
  const primaryOf = ({ agents }: CostRecord): CostRecord['agents'][number] | undefined =>
    agents.find(({ role }) => role === 'primary');
  const worded = (cost: CostRecord): string => {
    const own = primaryOf(cost);
    return (
      `${own?.residentMiB.toFixed(0) ?? '–'} MiB resident and ${own?.cpuPercent.toFixed(1) ?? '–'} % of a core, ` +
      `${cost.etcdWritesPerMinute} writes and ${cost.etcdRequestsPerMinute} messages to etcd a minute`
    );
  };
  return (['rest', 'load'] as const).flatMap((under) => {
    const [own, ...others] = contendersIn(costs).flatMap((contender) =>
      costs.filter((one) => one.under === under && labelOf(one) === labelOf(contender)),
    );
    if (own?.system !== 'Mainstay') return [];
    const cheaper = others.filter(
      (one) =>
        (primaryOf(one)?.residentMiB ?? Infinity) < (primaryOf(own)?.residentMiB ?? 0) ||
        (primaryOf(one)?.cpuPercent ?? Infinity) < (primaryOf(own)?.cpuPercent ?? 0) ||
        one.etcdRequestsPerMinute < own.etcdRequestsPerMinute,
    );
    if (cheaper.length === 0) return [];
    const peers = cheaper.map((one) => `${labelOf(one)} ${worded(one)}`).join('; ');
    return [
      `- **cost ${under === 'rest' ? 'at rest' : 'under load'}**, beside the primary: Mainstay ${worded(own)}; ${peers}.`,
    ];
  });
}

function caseSection({ what, summaries }: MeasuredCase): readonly string[] {
  return [
    `## ${what.title[0]?.toUpperCase() ?? ''}${what.title.slice(1)} (\`${what.name}\`)`,
    '',
    ...markdownTable([
      ['', 'n', 'p50', 'p95', 'max', 'acknowledged', 'lost', 'redundant, median', 'another primary', 'failed runs'],
      ...summaries.map((one) => [
        labelOf(one.contender),
        String(one.runs.length),
        outage(one, one.p50),
        outage(one, one.p95),
        outage(one, one.max),
        String(one.acked),
        String(one.lost),
        one.redundancy === undefined ? '–' : `${one.redundancy.toFixed(1)} s`,
        `${one.runs.filter(({ replaced }) => replaced).length} of ${one.runs.length}`,
        String(one.failed.length),
      ]),
    ]),
    '',
    ...(what.remark === undefined ? [] : [what.remark, '']),
    ...goalLines({ what, summaries }),
    `![${what.title}: availability over time](${plotFile(what.name)})`,
    '',
  ];
}

function goalLines({ what: { goalMs, whereTimeGoes }, summaries }: MeasuredCase): readonly string[] {
  const own = summaries.find(({ contender }) => contender.system === 'Mainstay');
  if (goalMs === undefined || own === undefined) return [];
  const missed = own.max > goalMs;
  return [
    `Goal for Mainstay: at most ${inSeconds(goalMs)}. Measured: at most ${inSeconds(own.max)}` +
      `${missed ? ', missed' : ''} (load average as its runs began: ${own.runs.map(({ load }) => load).join(', ')}).`,
    '',
    ...(missed && whereTimeGoes !== undefined ? [whereTimeGoes, ''] : []),
  ];
}

/** A censored outage was longer than we had patience for. */
function outage({ runs }: Summary, milliseconds: number): string {
  const censored = runs.some((run) => run.censored && run.outage_ms === milliseconds);
  return `${censored ? '≥ ' : ''}${inSeconds(milliseconds)}`;
}

function costSection(costs: readonly CostRecord[]): readonly string[] {
  if (costs.length === 0) return [];
  const roles = ['primary', 'replica'] as const;
  return [
    '## What it costs',
    '',
    'In the same run: everything that runs beside the databases of one instance (agent, its shell, its PID 1), over ' +
      `${costs[0]?.seconds ?? 0} s at rest and under pgbench (TPC-B-like, 4 clients). *Own* leaves pages of files out, which others may share. ` +
      'Etcd: transactions that wrote, and messages from clients, of one cluster, all members together.',
    '',
    ...markdownTable([
      [
        '',
        'beside',
        'RSS',
        'own',
        'CPU',
        'etcd: writes a minute',
        'messages a minute',
        'transactions a second',
        'load average',
      ],
      ...costs.flatMap((cost) =>
        roles.map((role, index) => {
          const own = cost.agents.filter((agent) => agent.role === role);
          const most = (part: (agent: (typeof own)[number]) => number): number => Math.max(0, ...own.map(part));
          const first = index === 0;
          return [
            first ? `${labelOf(cost)}, ${cost.under === 'rest' ? 'at rest' : 'under load'}` : '',
            role === 'primary' ? 'the primary' : 'a replica (the costlier)',
            `${most(({ residentMiB }) => residentMiB).toFixed(0)} MiB`,
            `${most(({ ownMiB }) => ownMiB).toFixed(0)} MiB`,
            `${most(({ cpuPercent }) => cpuPercent).toFixed(1)} %`,
            first ? String(cost.etcdWritesPerMinute) : '',
            first ? String(cost.etcdRequestsPerMinute) : '',
            first ? (cost.transactionsPerSecond?.toFixed(0) ?? '') : '',
            first ? String(cost.load) : '',
          ];
        }),
      ),
    ]),
  ];
}

function versionsOf(records: readonly BenchRecord[]): string {
  const all = new Map<string, Set<string>>();
  for (const { versions } of records)
    for (const [program, version] of Object.entries(versions))
      all.set(program, (all.get(program) ?? new Set()).add(version));
  return [...all].map(([program, versions]) => `${program} ${[...versions].join(', ')}`).join('; ');
}
