/**
 * Which node is fenced, and what comes next: off → proven off → out of service → (instances leave) → on → ready again.
 * Level-triggered: what was done is read from the Jobs and from the mark on the node.
 */
import type { FenceAgent, FencingState } from '../../api/fence-agent.ts';
import type { FenceCall, FenceStep } from '../../resources/fence-job.ts';
import type { FencedMark, FencedNode, FenceJobState, FencingFacts, InstanceThere } from './facts.ts';

export type FencingAction =
  | { readonly type: 'call'; readonly agent: FenceAgent; readonly call: FenceCall }
  /** Instances may then be made elsewhere: the one step that must never be wrong. */
  | { readonly type: 'mark'; readonly node: string; readonly mark: FencedMark }
  | { readonly type: 'unmark'; readonly node: string };

export interface Verdict {
  readonly node: string;
  /** Who acts, or would. */
  readonly agent: string;
  readonly state: FencingState;
  readonly message: string;
  readonly action?: FencingAction;
}

/** Between one failed call and the next. */
export const pauseMs = 10_000;
/** How long instances are given to leave a fenced node before it is switched on all the same. */
const leavingMs = 120_000;

/** One for each node that an agent names, in the order of their names. */
export function judgeNodes(facts: FencingFacts): readonly Verdict[] {
  const names = new Set(facts.agents.flatMap(({ spec }) => spec.nodes.map(({ name }) => name)));
  const busy = new Set([...names].filter((name) => isBusy(facts, name)));
  return [...names].toSorted().map((name) => {
    const verdict = judge(facts, name, busy);
    // Those that come later in this very round must see it.
    if (verdict.action?.type === 'call') busy.add(name);
    return verdict;
  });
}

export const decideFencing = (facts: FencingFacts): readonly FencingAction[] =>
  judgeNodes(facts).flatMap(({ action }) => action ?? []);

/** Lowest level first. */
export const agentsOf = (facts: Pick<FencingFacts, 'agents'>, node: string): readonly FenceAgent[] =>
  facts.agents
    .filter(({ spec }) => spec.nodes.some(({ name }) => name === node))
    .toSorted((a, b) => a.spec.level - b.spec.level || (a.metadata.name < b.metadata.name ? -1 : 1));

function judge(facts: FencingFacts, name: string, busy: ReadonlySet<string>): Verdict {
  const agents = agentsOf(facts, name);
  const [first] = agents;
  const node = facts.nodes.get(name);
  const say = (state: FencingState, message: string, action?: FencingAction): Verdict => ({
    node: name,
    agent: node?.fenced?.agent ?? first?.metadata.name ?? '',
    state,
    message,
    ...(action && { action }),
  });
  if (!node || !first) return say('Held', 'There is no such node.');
  if (node.fenced) return judgeFenced(facts, name, { ...node, fenced: node.fenced }, say);
  if (node.ready) return say('Healthy', 'The node is ready.');
  if (node.outOfService) return say('Held', 'Somebody else has marked it out of service.');
  const unreadyMs = facts.now - node.since;
  if (unreadyMs < first.spec.unreadySeconds * 1000)
    return say('Waiting', `Not ready; it is fenced after ${first.spec.unreadySeconds} s of that.`);

  const there = facts.instances.get(name) ?? [];
  const held = holdsLease(there);
  if (held !== undefined) return say('Held', held);
  const incident = incidentOf(node);
  if (callsOf(facts, name, incident).length === 0) {
    const obstacle = whyNotBegin(facts, there, first, busy);
    if (obstacle !== undefined) return say('Held', obstacle);
  }
  return switchOff(facts, name, incident, agents);
}

/** Of a node on which nothing was done yet. */
function whyNotBegin(
  { nodes }: FencingFacts,
  there: readonly InstanceThere[],
  { spec }: FenceAgent,
  busy: ReadonlySet<string>,
): string | undefined {
  if (there.length === 0) return 'Not ready, and no instance is on it: nothing would be gained.';
  const unready = [...nodes.values()].filter(({ ready }) => !ready).length;
  if (unready * 2 > nodes.size)
    return `${unready} of ${nodes.size} nodes are not ready: that looks like a fault of the network or of the API server, not of one node.`;
  if (busy.size >= spec.atMostNodes)
    return `${[...busy].toSorted().join(', ')} is fenced or being fenced, and spec.atMostNodes is ${spec.atMostNodes}.`;
  return undefined;
}

/** An agent that renews its lease is alive: its node may be cut off from Kubernetes, but not from the databases' etcd. */
function holdsLease(there: readonly InstanceThere[]): string | undefined {
  const alive = there.filter(({ lease }) => lease === 'held').map(({ name }) => name);
  if (alive.length > 0) return `${alive.join(', ')} on it still holds a lease in etcd, so the node is alive.`;
  const unknown = there.filter(({ lease }) => lease === 'unknown').map(({ name }) => name);
  if (unknown.length > 0) return `etcd can’t be read: nobody knows whether ${unknown.join(', ')} on it holds a lease.`;
  return undefined;
}

function switchOff(facts: FencingFacts, node: string, incident: string, agents: readonly FenceAgent[]): Verdict {
  for (const agent of agents) {
    const { name } = agent.metadata;
    const verdict = (state: FencingState, message: string, action?: FencingAction): Verdict => ({
      node,
      agent: name,
      state,
      message,
      ...(action && { action }),
    });
    for (let attempt = 1; attempt <= agent.spec.attempts; attempt += 1) {
      const which = `${name}, level ${agent.spec.level}, attempt ${attempt} of ${agent.spec.attempts}`;
      const ask = (step: FenceStep): FencingAction => ({
        type: 'call',
        agent,
        call: { agent: name, node, incident, step, attempt },
      });
      const state = (step: FenceStep): FenceJobState | undefined =>
        callsOf(facts, node, incident).find(
          ({ call }) => call.agent === name && call.step === step && call.attempt === attempt,
        );
      const off = state('off');
      if (!off) {
        const lastEnd = Math.max(...callsOf(facts, node, incident).map(({ endedAt }) => endedAt), 0);
        if (facts.now - lastEnd < pauseMs) return verdict('Fencing', `Switched off again in a moment (${which}).`);
        return verdict('Fencing', `It is being switched off (${which}).`, ask('off'));
      }
      if (off.state === 'running') return verdict('Fencing', `It is being switched off (${which}).`);
      if (off.state === 'failed') continue;
      const verify = state('verify');
      if (!verify) return verdict('Fencing', `Asking whether it is off (${which}).`, ask('verify'));
      if (verify.state === 'running') return verdict('Fencing', `Asking whether it is off (${which}).`);
      if (verify.state === 'failed') continue;
      return verdict('Fenced', `Proven off by ${which}; its instances may run elsewhere.`, {
        type: 'mark',
        node,
        mark: { agent: name, incident, at: facts.now },
      });
    }
  }
  const [last] = agents.slice(-1);
  return {
    node,
    agent: last?.metadata.name ?? '',
    state: 'Failed',
    message:
      'No agent could switch it off and prove it. Look at the logs of the Jobs fence-off-… and fence-verify-… in the operator’s namespace; ' +
      `once the cause is gone, delete them to try again. If you know that it is off: kubectl taint node ${node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`,
  };
}

/** Of one that we marked: it comes back, or stays off. */
function judgeFenced(
  facts: FencingFacts,
  name: string,
  node: FencedNode & { readonly fenced: FencedMark },
  say: (state: FencingState, message: string, action?: FencingAction) => Verdict,
): Verdict {
  const { agent: by, incident, at } = node.fenced;
  if (node.ready) return say('Returning', 'It is ready again; the mark is taken away.', { type: 'unmark', node: name });
  const there = facts.instances.get(name) ?? [];
  const names = there.map((instance) => instance.name).join(', ');
  if (there.length > 0 && facts.now - at < leavingMs)
    return say('Fenced', `Proven off by ${by}; waiting until ${names} is gone from it.`);
  const agent = facts.agents.find(({ metadata }) => metadata.name === by);
  if (!agent || agent.spec.restore === 'Never')
    return say('Fenced', `Proven off by ${by}. Switch it on when you like; once it is ready the mark goes.`);
  for (let attempt = 1; attempt <= agent.spec.attempts; attempt += 1) {
    const call: FenceCall = { agent: by, node: name, incident, step: 'on', attempt };
    const on = callsOf(facts, name, incident).find(
      (job) => job.call.agent === by && job.call.step === 'on' && job.call.attempt === attempt,
    );
    if (!on) {
      const lastEnd = Math.max(
        ...callsOf(facts, name, incident)
          .filter(({ call: { step } }) => step === 'on')
          .map(({ endedAt }) => endedAt),
        0,
      );
      if (facts.now - lastEnd < pauseMs) return say('Returning', 'Switched on again in a moment.');
      return say('Returning', `It is being switched on (${by}, attempt ${attempt} of ${agent.spec.attempts}).`, {
        type: 'call',
        agent,
        call,
      });
    }
    if (on.state === 'running') return say('Returning', `It is being switched on (${by}, attempt ${attempt}).`);
    if (on.state === 'complete') return say('Returning', 'It was switched on; waiting until it is ready.');
  }
  return say(
    'Failed',
    `Proven off by ${by}, which could not switch it on again. Do so by hand; once it is ready the mark goes.`,
  );
}

/** Fenced, or with a call about it that is not long past. */
function isBusy(facts: FencingFacts, name: string): boolean {
  const node = facts.nodes.get(name);
  if (!node) return false;
  if (node.fenced) return true;
  return !node.ready && callsOf(facts, name, incidentOf(node)).length > 0;
}

/** A node that was ready in between is another case. */
const incidentOf = ({ uid, since }: FencedNode): string => `${uid}@${since}`;

const callsOf = ({ jobs }: FencingFacts, node: string, incident: string): readonly FenceJobState[] =>
  jobs.filter(({ call }) => call.node === node && call.incident === incident);
