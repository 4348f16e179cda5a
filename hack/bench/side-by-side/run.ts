/** One fault on one system: whole, a client that writes, the fault, its end, whole again, every acknowledged write looked up. */
import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { notYet, seconds, until, yes } from '../../testbed/until.ts';
import { notableGapMs, type LedgerState, type MarkState } from '../../writer/ledger.ts';
import { violationsOf } from '../../writer/verdict.ts';
import type { Case } from './cases.ts';
import { startClient, type Client } from './client.ts';
import type { RunRecord } from './record.ts';
import type { Site, SiteNode } from './site.ts';

const mark = 'strike';
/** A fault that is not dealt with by then is ended, and the run censored. */
export const patienceMs = seconds(60);
/** What is to interrupt service has done so by then. */
const interruptedWithinMs = seconds(15);
/** Patroni looks at things every ten seconds; a copy of a database this small takes two. */
const wholeMs = seconds(180);
const steadyWrites = 200;

export async function strikeOnce(site: Site, what: Case, number: number, folder: string): Promise<RunRecord> {
  const { system, signal } = site;
  await site.whole(wholeMs);
  const primary = await site.primary();
  await placeEtcdLeader(site, what, primary);
  const [load = 0] = loadavg();
  const date = new Date().toISOString();
  await using cleanUp = new AsyncDisposableStack();
  const client = await startClient(
    site.nodes.map(({ address }) => address),
    `writes_${Date.now()}`,
    folder,
    signal,
  );
  cleanUp.defer(client.end);
  await client.acknowledgedAgain({ within: patienceMs, writes: steadyWrites });
  await client.mark(mark);

  const struckAt = performance.now();
  const heal = await what.strike(site, primary);
  let healed = heal === undefined;
  const healOnce = async (): Promise<void> => {
    if (healed) return;
    healed = true;
    await heal?.();
  };
  cleanUp.defer(healOnce);
  const outcome = await dealtWith(site, what, primary, client, struckAt);
  const endedAt = heal === undefined ? struckAt : performance.now();
  await healOnce();
  await client.acknowledgedAgain({ within: wholeMs });
  await site.whole(wholeMs);
  const redundancyMs = performance.now() - endedAt;
  const successor = await site.primary();

  const report = await client.stop();
  const since = sinceStrike(report.state);
  return {
    kind: 'run',
    system: system.name,
    settings: system.settings,
    versions: system.versions,
    machine: system.machine,
    date,
    load: round(load),
    case: what.name,
    run: number,
    outage_ms: since.longestGap?.milliseconds ?? 0,
    censored: outcome === 'not within our patience',
    gaps: gapsSince(report.state),
    acked: report.acked,
    lost: report.lost,
    unknown: report.state.unknown,
    violations: [...violationsOf({ ...report, lost: 0, lateLost: [] })],
    replaced: successor.name !== primary.name,
    ...(outcome !== 'never interrupted' && { redundancy_s: round(redundancyMs / 1_000) }),
  };
}

async function dealtWith(
  site: Site,
  { over }: Case,
  primary: SiteNode,
  client: Client,
  struckAt: number,
): Promise<'over' | 'never interrupted' | 'not within our patience'> {
  if (typeof over === 'object') {
    await delay(Math.max(0, over.afterMs - (performance.now() - struckAt)), undefined, { signal: site.signal });
    return 'over';
  }
  return until(
    'service back',
    async () => {
      if (performance.now() - struckAt > patienceMs) return yes('not within our patience');
      const state = await client.state();
      if ((state.sinceLastAckMs ?? Infinity) >= notableGapMs) return notYet('nothing is acknowledged');
      if (over === 'interrupted') {
        const interrupted = (sinceStrike(state).longestGap?.milliseconds ?? 0) >= notableGapMs;
        const quiet = performance.now() - struckAt > interruptedWithinMs;
        if (interrupted) return yes('over');
        return quiet ? yes('never interrupted') : notYet('not interrupted yet');
      }
      const leader = await site.system.primary();
      return leader !== undefined && leader !== primary.name ? yes('over') : notYet(`led by ${leader ?? 'nobody'}`);
    },
    { within: 2 * patienceMs, signal: site.signal, everyMs: 50 },
  );
}

function sinceStrike({ marks }: LedgerState): MarkState {
  const since = marks[mark];
  if (since === undefined) throw new Error('the writer does not know when the fault was');
  return since;
}

/** In milliseconds since the fault, by the writer's clock. */
export function gapsSince(state: LedgerState): [number, number][] {
  const struck = Date.parse(sinceStrike(state).at);
  return state.gaps
    .map(({ from, to }): [number, number] => [Date.parse(from) - struck, Date.parse(to) - struck])
    .filter(([, to]) => to > 0);
}

async function placeEtcdLeader({ etcd }: Site, { etcdLeader }: Case, { name }: SiteNode): Promise<void> {
  if (etcdLeader === undefined) return;
  const beside = etcdLeader === 'beside the primary';
  const now = await etcd.leader();
  if ((now.node === name) === beside) return;
  const member = etcd.members.find((one) => (one.node === name) === beside);
  if (member === undefined) throw new Error(`no member of etcd ${etcdLeader}`);
  await etcd.giveLeadershipTo(member);
}

const round = (value: number): number => Math.round(value * 100) / 100;
