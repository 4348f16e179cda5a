/** A node is lost: what is done to it, by whom, in which order, and when nothing is. */
import { describe, expect, test } from '@jest/globals';
import { parseFenceAgent } from '../../api/fence-agent.ts';
import type { FenceCall } from '../../resources/fence-job.ts';
import { decideFencing, judgeNodes, pauseMs, type FencingAction, type Verdict } from './decide.ts';
import type { FencedNode, FenceJobState, FencingFacts, InstanceThere } from './facts.ts';

const start = Date.parse('2026-11-21T08:00:00Z');
const later = start + 61_000;

const agent = (name: string, spec: object = {}) =>
  parseFenceAgent({
    apiVersion: 'mainstay.dev/v1alpha1',
    kind: 'FenceAgent',
    metadata: { name, uid: name, generation: 1 },
    spec: {
      image: 'fence-agents:4',
      command: ['fence_ipmilan'],
      nodes: ['n1', 'n2', 'n3'].map((node) => ({ name: node, plug: node.slice(1) })),
      ...spec,
    },
  });
const node = (ready: boolean, more: Partial<FencedNode> = {}): FencedNode => ({
  uid: 'u',
  ready,
  since: start,
  outOfService: false,
  fenced: undefined,
  ...more,
});
const lost = { name: 'shop/orders-1', lease: 'none' } as const;

const facts = (more: Partial<FencingFacts> = {}): FencingFacts => ({
  now: later,
  agents: [agent('power')],
  nodes: new Map([
    ['n1', node(false)],
    ['n2', node(true)],
    ['n3', node(true)],
  ]),
  jobs: [],
  instances: new Map([['n1', [lost]]]),
  ...more,
});
const verdictOn = (given: FencingFacts, name = 'n1'): Verdict | undefined =>
  judgeNodes(given).find((verdict) => verdict.node === name);
const calls = (given: FencingFacts): readonly string[] =>
  decideFencing(given).map((action) =>
    action.type === 'call' ? `${action.call.step} ${action.call.node}` : `${action.type} ${action.node}`,
  );

describe('a node is left alone', () => {
  const instances = (...there: readonly InstanceThere[]) => new Map([['n1', there]]);
  test.each<[string, Partial<FencingFacts>, Verdict['state'], RegExp]>([
    ['it is ready', { nodes: new Map([['n1', node(true)]]) }, 'Healthy', /ready/],
    ['it has not been away for long', { now: start + 59_000 }, 'Waiting', /after 60 s/],
    ['nothing of ours is on it', { instances: new Map() }, 'Held', /no instance/],
    [
      'an instance holds a lease: it is alive behind a broken network',
      { instances: instances(lost, { name: 'shop/users-2', lease: 'held' }) },
      'Held',
      /shop\/users-2 on it still holds a lease/,
    ],
    ['etcd is silent', { instances: instances({ ...lost, lease: 'unknown' }) }, 'Held', /etcd can’t be read/],
    [
      'most nodes are not ready',
      {
        nodes: new Map([
          ['n1', node(false)],
          ['n2', node(false)],
          ['n3', node(true)],
        ]),
      },
      'Held',
      /2 of 3 nodes/,
    ],
    [
      'another one is fenced',
      {
        nodes: new Map([
          ['n1', node(false)],
          ['n2', node(false, { fenced: { agent: 'power', incident: 'x', at: start } })],
          ...['n3', 'n4', 'n5'].map((name) => [name, node(true)] as const),
        ]),
      },
      'Held',
      /n2 is fenced or being fenced, and spec.atMostNodes is 1/,
    ],
    [
      'somebody else has marked it',
      { nodes: new Map([['n1', node(false, { outOfService: true })]]) },
      'Held',
      /Somebody else/,
    ],
    ['there is no such node', { nodes: new Map() }, 'Held', /no such node/],
  ])('%s', (_, more, state, message) => {
    const verdict = verdictOn(facts(more));
    expect(verdict).toMatchObject({ node: 'n1', state });
    expect(verdict?.message).toMatch(message);
    expect(verdict?.action).toBeUndefined();
  });
});

test('of two nodes lost at once, one is fenced', () => {
  const nodes = new Map([
    ['n1', node(false)],
    ['n2', node(false)],
    ...['n3', 'n4', 'n5'].map((name) => [name, node(true)] as const),
  ]);
  const instances = new Map(['n1', 'n2'].map((name) => [name, [lost]] as const));
  expect(calls(facts({ nodes, instances }))).toEqual(['off n1']);
  const two = [agent('power', { atMostNodes: 2 })];
  expect(calls(facts({ nodes, instances, agents: two }))).toEqual(['off n1', 'off n2']);
});

/** Carries out what is decided, every call ending as `answers` says, until nothing is left to do. */
function play(
  given: FencingFacts,
  answers: (call: FenceCall) => 'complete' | 'failed',
  afterwards: (world: FencingFacts, action: FencingAction | undefined) => FencingFacts = (world) => world,
): { readonly told: readonly string[]; readonly last: Verdict | undefined } {
  const told: string[] = [];
  let world = given;
  for (let round = 0; round < 60; round += 1) {
    const [action] = decideFencing(world);
    let nodes = new Map(world.nodes);
    let { jobs } = world;
    if (action?.type === 'call') {
      const { call } = action;
      const state = answers(call);
      told.push(`${call.agent} ${call.step} ${call.attempt}: ${state}`);
      jobs = [...jobs, { call, state, endedAt: world.now } satisfies FenceJobState];
    } else if (action) {
      told.push(action.type);
      const before = nodes.get(action.node) ?? node(false);
      const fenced = action.type === 'mark' ? action.mark : undefined;
      nodes = new Map(nodes).set(action.node, { ...before, fenced, outOfService: fenced !== undefined });
    }
    world = afterwards({ ...world, nodes, jobs, now: world.now + pauseMs }, action);
  }
  return { told, last: verdictOn(world) };
}

/** Its Pods go as soon as it is marked, and it is ready again when it was switched on. */
const asInLife = (world: FencingFacts, action: FencingAction | undefined): FencingFacts => {
  const instances = action?.type === 'mark' ? new Map() : world.instances;
  const isOn = action?.type === 'call' && action.call.step === 'on';
  const n1 = world.nodes.get('n1') ?? node(false);
  return {
    ...world,
    instances,
    nodes: isOn ? new Map(world.nodes).set('n1', { ...n1, ready: true, since: world.now }) : world.nodes,
  };
};

test('off, proven off, marked, on, unmarked', () => {
  const { told, last } = play(facts(), () => 'complete', asInLife);
  expect(told).toEqual(['power off 1: complete', 'power verify 1: complete', 'mark', 'power on 1: complete', 'unmark']);
  expect(last?.state).toBe('Healthy');
});

test('what is not proven off is never marked; the next level is asked', () => {
  const agents = [agent('network', { level: 3, attempts: 1 }), agent('power', { attempts: 2 })];
  const { told } = play(
    facts({ agents }),
    ({ agent: name, step }) => (name === 'power' && step === 'verify' ? 'failed' : 'complete'),
    asInLife,
  );
  expect(told).toEqual([
    'power off 1: complete',
    'power verify 1: failed',
    'power off 2: complete',
    'power verify 2: failed',
    'network off 1: complete',
    'network verify 1: complete',
    'mark',
    'network on 1: complete',
    'unmark',
  ]);
});

test('when nobody can prove it, it ends, and says what to do', () => {
  const { told, last } = play(facts(), () => 'failed');
  expect(told).toEqual([1, 2, 3].map((attempt) => `power off ${attempt}: failed`));
  expect(last).toMatchObject({ state: 'Failed' });
  expect(last?.message).toContain('kubectl taint node n1 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute');
});

test('a lease that comes back while it is being switched off keeps it from being marked', () => {
  const { told, last } = play(
    facts(),
    () => 'complete',
    (world) => ({ ...world, instances: new Map([['n1', [{ ...lost, lease: 'held' as const }]]]) }),
  );
  expect(told).toEqual(['power off 1: complete']);
  expect(last?.state).toBe('Held');
});

test('a node that stays off by wish is not switched on', () => {
  const { told, last } = play(facts({ agents: [agent('power', { restore: 'Never' })] }), () => 'complete', asInLife);
  expect(told).toEqual(['power off 1: complete', 'power verify 1: complete', 'mark']);
  expect(last).toMatchObject({ state: 'Fenced' });
});

test('lost once more after it was back, it is another case', () => {
  const old = play(facts(), () => 'failed');
  expect(old.last?.state).toBe('Failed');
  const again = facts({
    nodes: new Map(facts().nodes).set('n1', node(false, { since: start + 1 })),
    jobs: [
      {
        call: { agent: 'power', node: 'n1', incident: `u@${start}`, step: 'off', attempt: 1 },
        state: 'failed',
        endedAt: start,
      },
    ],
  });
  expect(calls(again)).toEqual(['off n1']);
});
