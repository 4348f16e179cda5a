/** One strike: the cluster whole, clients writing, the fault, the gap, everything healed, every acknowledged write looked up. */
import { isAlive, databaseProcesses, type PodProcess } from '../testbed/pod-processes.ts';
import { seconds, notYet, until, yes } from '../testbed/until.ts';
import { startWriter, type FinalReport, type WriterPod } from '../testbed/writer.ts';
import type { Gap } from '../writer/ledger.ts';
import { violationsOf } from '../writer/verdict.ts';
import { agentLogs } from './agent-logs.ts';
import type { Arena } from './arena.ts';
import type { Fault, Heal, Run, Without } from './scenario.ts';
import { timeLine } from './time-line.ts';

const mark = 'strike';
/** Long enough for what fails over late; beyond, it does not. */
const patienceMs = seconds(60);
/** A steady stream before the fault. */
const steadyWrites = 200;
/** Finer than any deadline that it is compared with. */
const lookEveryMs = 10;
/** Agents log the beginning of an outage before clients notice it (a stop that was asked for, a node that was given up), and its end after. */
const beforeGapMs = 2_000;
const afterGapMs = 500;

export interface Occasion {
  readonly fault: Fault;
  readonly without: Without;
  readonly label: string;
  readonly number: number;
}

export async function strikeOnce(arena: Arena, occasion: Occasion): Promise<Run> {
  const { fault, without, number } = occasion;
  const nodes = await arena.nodes.names();
  const primary = await arena.leadFrom(nodes[number % nodes.length] ?? '');
  await placeEtcdLeader(arena, fault, primary.node);
  await using cleanUp = new AsyncDisposableStack();
  // In turn on the node that may and the one that may not become the next primary's.
  const others = nodes.filter((node) => node !== primary.node);
  const table = `writes_${Date.now()}`;
  const hosts = without.apiServer ? arena.instances().map(({ ip }) => ip) : [];
  const node = others[Math.floor(number / nodes.length) % others.length] ?? primary.node;
  const writer = await client(arena, { name: 'writer', node, table, hosts });
  cleanUp.defer(writer.remove);
  const old = arena.instances().find(({ name }) => name === primary.instance)?.ip ?? '';
  const rival =
    fault.rivalClient === true
      ? await client(arena, { name: 'rival', node: primary.node, table: `${table}_rival`, hosts: [old] })
      : undefined;
  if (rival !== undefined) cleanUp.defer(rival.remove);

  if (without.apiServer) {
    cleanUp.defer(arena.nodes.startApi);
    await arena.nodes.stopApi();
  }
  for (const one of [writer, rival]) await one?.acknowledgedAgain({ within: patienceMs, writes: steadyWrites });
  const before = (await arena.runtime()).epoch;
  await Promise.all([writer.mark(mark), rival?.mark(mark)]);

  const death = watchDeath(await databaseProcesses(primary.podUid));
  cleanUp.defer(death.stop);
  let healed = false;
  const heal: Heal = await fault.strike(arena, primary);
  const healOnce = async (): Promise<void> => {
    if (healed) return;
    healed = true;
    // A node boots with an API server only.
    if (without.apiServer) await arena.nodes.startApi();
    await heal();
  };
  cleanUp.defer(healOnce);
  if (fault.keepsPrimary !== true) await newEpoch(arena, before);
  await writer.acknowledgedAgain({ within: patienceMs });
  await healOnce();
  await arena.whole();

  // Also what happened while the old primary came back.
  const after = await arena.runtime();
  const rivalReport = await rival?.stop();
  const report = await writer.stop();
  checkRows(report);
  if (rivalReport !== undefined) checkRows(rivalReport);
  const gap = report.state.marks[mark]?.longestGap;
  if (gap == null) throw new Error('the writer saw no write since the strike');
  const logs = await agentLogs(
    arena.orders.namespace,
    new Date(Date.parse(gap.from) - beforeGapMs),
    new Date(Date.parse(gap.to) + afterGapMs),
  );
  return {
    scenario: occasion.label,
    run: number,
    at: report.state.marks[mark]?.at ?? gap.from,
    node: primary.node,
    primary: primary.instance,
    successor: after.leader?.instance ?? '',
    outageMs: gap.milliseconds,
    from: gap.from,
    to: gap.to,
    epochs: after.epoch - before,
    acked: report.acked,
    unknown: report.state.unknown,
    lost: report.lost + (rivalReport?.lost ?? 0),
    ...lastWordOfOldPrimary(rivalReport, gap),
    ...(death.at() === undefined ? {} : { oldDatabaseDeadMs: (death.at() ?? 0) - Date.parse(gap.from) }),
    steps: timeLine(logs, gap),
  };
}

/** When the postmaster was gone: a process that is killed says nothing, so it is looked at. */
function watchDeath([postmaster]: readonly PodProcess[]): {
  readonly at: () => number | undefined;
  readonly stop: () => void;
} {
  let at: number | undefined;
  const timer = setInterval(() => {
    if (postmaster !== undefined && isAlive(postmaster)) return;
    at = Date.now();
    clearInterval(timer);
  }, lookEveryMs);
  return { at: () => at, stop: () => clearInterval(timer) };
}

function lastWordOfOldPrimary(rival: FinalReport | undefined, gap: Gap): Pick<Run, 'oldPrimaryMs'> {
  const last = rival?.state.lastAckAt;
  return last == null ? {} : { oldPrimaryMs: Date.parse(last) - Date.parse(gap.from) };
}

async function placeEtcdLeader(arena: Arena, fault: Fault, node: string): Promise<void> {
  if (fault.etcdLeader === undefined) return;
  const beside = fault.etcdLeader === 'beside the primary';
  const etcd = arena.etcd();
  const now = await etcd.leader();
  if ((now.node === node) === beside) return;
  const member = etcd.members.find((one) => (one.node === node) === beside);
  if (member === undefined) throw new Error(`no member of etcd ${fault.etcdLeader}`);
  await etcd.giveLeadershipTo(member);
}

function client(
  arena: Arena,
  options: {
    readonly name: string;
    readonly node: string;
    readonly table: string;
    readonly hosts: readonly string[];
  },
): Promise<WriterPod> {
  const { namespace, name: cluster } = arena.orders;
  return startWriter(arena, { namespace, cluster, reach: 'direct', ...options });
}

async function newEpoch(arena: Arena, before: number): Promise<void> {
  await until(
    'another epoch',
    async () => {
      const { epoch } = await arena.runtime();
      return epoch > before ? yes(undefined) : notYet(`still ${epoch}`);
    },
    { within: patienceMs, signal: arena.signal },
  );
}

/** Lost writes are counted; these would mean that the table is not what was written. */
function checkRows(report: FinalReport): void {
  const violations = violationsOf({ ...report, lost: 0, lateLost: [] });
  if (violations.length > 0) throw new Error(violations.join('; '));
}
