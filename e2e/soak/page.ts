/** docs/benchmarks/soak.md: what the published soaks have done and seen. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { format } from 'prettier';
import { testedEngines } from '../../hack/testbed/engines.ts';
import type { FaultTally, Tally } from './tally.ts';

export interface PublishedSoak {
  readonly date: string;
  readonly seed: number;
  readonly minutes: number;
  readonly tallies: readonly Tally[];
}

const folder = path.join(import.meta.dirname, '../../docs/benchmarks');
const kept = path.join(folder, 'soak.json');
export const soakPageFile = path.join(folder, 'soak.md');

/** Adds to those that were published before: a soak that went wrong stays on the page. */
export async function publishSoak(soak: Omit<PublishedSoak, 'date'>): Promise<void> {
  const all = [...(await publishedSoaks()), { date: new Date().toISOString().slice(0, 10), ...soak }];
  await mkdir(folder, { recursive: true });
  await writeFile(kept, await format(JSON.stringify(all), { parser: 'json', printWidth: 120 }));
  await writeFile(soakPageFile, await soakPage(all));
}

export function publishedSoaks(): Promise<readonly PublishedSoak[]> {
  return readFile(kept, 'utf8').then(
    (text) => JSON.parse(text) as readonly PublishedSoak[],
    () => [],
  );
}

export async function soakPage(soaks: readonly PublishedSoak[]): Promise<string> {
  const lines = [
    '# Overlapping faults',
    '',
    '<!-- Written by e2e/soak/page.ts from soak.json, to which `make soak PUBLISH=1` adds; edit nothing here. -->',
    '',
    'What `make soak` has counted on the local cluster: three instances, Strict. A round: some seconds in which nothing is wrong, then one to three faults drawn ' +
      'from a seed ([schedule.ts](../../e2e/soak/schedule.ts)), most of which overlap, then everything is healed. A client writes over three connections and reads ' +
      'through `-rw`, `-ro` and `-r` all the time. Checked in each round: every acknowledged write is there once and in order, a late acknowledgement of an ' +
      'older epoch only if the newer log holds it, nothing acknowledged by a deposed primary ([verdict.ts](../../hack/writer/verdict.ts)); no read shows what was not yet sent, lacks ' +
      'an acknowledged write that stands before one it shows, or goes back on its connection, and `-rw` is never older than a deposed primary may be ' +
      '([reads.ts](../../hack/writer/reads.ts)); afterwards every instance holds the same rows; nobody is replaced while nothing is wrong or only others are hurt; ' +
      'with one instance hurt, somebody else serves ([round.ts](../../e2e/soak/round.ts)). After six rounds all their tables are read once more. ' +
      'The first violation ends the soak and keeps logs, etcd’s history and all data directories. ' +
      'Which faults there are: [the catalogue](../compatibility/fault-catalogue.md). One machine with 2 cores does all of it at once: outages are longer than ' +
      '[those measured with care](failover.md).',
    '',
    ...(soaks.length === 0 ? ['None was published yet.', ''] : soaks.toReversed().flatMap(soakLines)),
  ];
  return format(lines.join('\n'), { parser: 'markdown', printWidth: 120 });
}

function soakLines({ date, seed, minutes, tallies }: PublishedSoak): readonly string[] {
  return [
    `## ${date}, seed ${seed}, ${minutes} min`,
    '',
    row('', ...tallies.map(({ engine }) => testedEngines[engine].product)),
    row('---', ...tallies.map(() => '---')),
    ...counted.map(([what, count]) => row(what, ...tallies.map(count))),
    '',
    ...tallies.flatMap(faultLines),
  ];
}

const counted: readonly (readonly [string, (tally: Tally) => string])[] = [
  ['Violations', ({ violations }) => `${violations}`],
  ['Acknowledged writes', ({ acked }) => `${acked}`],
  ['… of them lost', ({ lost }) => `${lost}`],
  ['… acknowledged late, and there', ({ late }) => `${late}`],
  ['Writes without an answer', ({ unknown }) => `${unknown}`],
  ['Rounds, with overlapping faults', ({ rounds, overlapping }) => `${rounds}, ${overlapping}`],
  ['Changes of primary', ({ failovers }) => `${failovers}`],
  ['Reads through -rw, -ro, -r', ({ reads }) => `${reads.rw}, ${reads.ro}, ${reads.r}`],
  ['Shown by a replica, never acknowledged, and gone', ({ vanishedReads }) => `${vanishedReads}`],
  ['-ro behind, at most', ({ worstLagMs }) => seconds(worstLagMs)],
  ['All instances follow again after the last fault, at most', ({ slowestRecoveryMs }) => seconds(slowestRecoveryMs)],
];

function faultLines({ engine, byFault }: Tally): readonly string[] {
  return [
    `### Faults on ${testedEngines[engine].product}`,
    '',
    row('Fault', 'Made', 'Not made: target gone', 'Longest outage, alone', '… beside others'),
    row('---', '---', '---', '---', '---'),
    ...Object.entries(byFault)
      .toSorted(([a], [b]) => a.localeCompare(b))
      .map(([fault, { made, missed, ...outages }]) =>
        row(
          fault,
          ...[`${made}`, missed === 0 ? '' : `${missed}`],
          ...outagesOf({ made, missed, ...outages }).map((longest) => (longest === null ? '' : seconds(longest))),
        ),
      ),
    '',
  ];
}

const outagesOf = ({ longestOutageAloneMs, longestOutageBesideOthersMs }: FaultTally): readonly (number | null)[] => [
  longestOutageAloneMs,
  longestOutageBesideOthersMs,
];

function row(...cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
