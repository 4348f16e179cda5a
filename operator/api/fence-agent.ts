/** The FenceAgent resource: how to switch nodes off so that nobody can doubt it. The one source of its CRD and types. */
import { z } from 'zod';
import { MainstayError } from '../platform/errors.ts';
import { Condition } from './cluster-status.ts';
import type { DeepReadonly } from './deep-readonly.ts';
import { objectMeta } from './object-meta.ts';
import { apiVersion } from './api-group.ts';
import { described, matching, type Rule } from './rules.ts';

/** As a pattern, not as CEL, whose cost would be beyond what the API server allows for so many. */
const oneLine = /^[^\n\r]*$/;
const parameterName = /^[a-z][a-z0-9_-]{0,62}$/;
/** What we say ourselves: another value would ask for something else, or of somebody else. */
const ownParameters = ['action', 'plug', 'port'];

const parameters = (what: string) =>
  described(
    z.record(z.string(), z.string().max(512).regex(oneLine)).default({}),
    what,
    [
      {
        cel: ownParameters.map((name) => `!('${name}' in self)`).join(' && '),
        message:
          'names a parameter that is no word of lower-case letters, or action, plug or port: those are set by Mainstay (the plug by spec.nodes[].plug)',
        holds: (self) => Object.keys(self).every((name) => parameterName.test(name) && !ownParameters.includes(name)),
      } satisfies Rule<Readonly<Record<string, string>>>,
    ],
    { maxProperties: 32 },
  );

const secretName = (what: string) => described(z.string().min(1).max(253).exactOptional(), what);

const FencedNode = z.object({
  name: described(z.string().min(1).max(253), 'Name of the node.'),
  plug: described(
    z.string().max(253).regex(oneLine).exactOptional(),
    'What the device calls it: an outlet, a virtual machine, an id.',
  ),
  parameters: parameters('Parameters for this node alone, such as ip where every node has a device of its own.'),
  secretName: secretName('A Secret like spec.secretName, for this node alone.'),
});

const Spec = z.object({
  image: described(z.string().min(1).max(512), 'Image that holds the program, and a shell at /bin/sh.', [
    matching(/^[a-zA-Z0-9][a-zA-Z0-9._:@/-]*$/, 'is no image: write it as in registry.example/fence-agents:4'),
  ]),
  command: described(
    z
      .array(described(z.string().min(1).max(4096), 'A word of it.'))
      .min(1)
      .max(16),
    'A program of the FenceAgentAPI and its arguments, as in ["fence_ipmilan"]. What to do, and all parameters, reach it on its standard input.',
    [],
    { 'x-kubernetes-list-type': 'atomic' },
  ),
  parameters: parameters('Parameters of the program, as in lanplus: "1". Passwords belong into the Secret.'),
  secretName: secretName(
    'A Secret in the operator’s namespace with further parameters by name, such as username and password. They reach the program on its standard input only.',
  ),
  nodes: described(z.array(FencedNode).min(1).max(500), 'The nodes that it can switch off.', [], {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
  }),
  level: described(
    z.int().min(1).max(9).default(1),
    'Where several agents name a node, the lowest level is tried first; the next one only when it has failed for good. Power first, then storage, then network.',
  ),
  unreadySeconds: described(
    z.int().min(10).max(86_400).default(60),
    'Seconds for which a node must not have been ready. Failover doesn’t wait for this: fencing only brings the lost instances’ volumes to other nodes.',
  ),
  attempts: described(z.int().min(1).max(10).default(3), 'How often it is tried before the next level is.'),
  timeoutSeconds: described(z.int().min(5).max(3600).default(120), 'Seconds that each call of the program may take.'),
  atMostNodes: described(
    z.int().min(1).max(50).default(1),
    'Never fence one more node while so many are fenced or being fenced, by whichever agent.',
  ),
  restore: described(
    z.enum(['Automatic', 'Never']).default('Automatic'),
    'Automatic: the node is switched on again once its instances have left. Never: that is left to people. Either way the taint goes when the node is ready again.',
  ),
});

export const fencingStates = ['Healthy', 'Waiting', 'Held', 'Fencing', 'Fenced', 'Returning', 'Failed'] as const;

const NodeStatus = z.object({
  name: described(z.string().max(253), 'Name of the node.'),
  state: described(
    z.enum(fencingStates),
    'Healthy: ready. Waiting: not ready, and not long enough. Held: it may not be fenced; the message says why. Fencing: being switched off. ' +
      'Fenced: proven off. Returning: switched on, or back. Failed: nothing could switch it off or on.',
  ),
  message: described(z.string().max(1024), 'Why.'),
  since: described(z.string().max(64), 'Since when it has been in this state.', [], { format: 'date-time' }),
});

const Status = z.object({
  observedGeneration: described(
    z.int().min(-1).default(-1),
    'Generation of the spec that this status is about; −1 until the operator has seen it.',
  ),
  summary: described(z.string().max(256).exactOptional(), 'What is going on, for people; the wording may change.'),
  fenced: described(z.int().min(0).exactOptional(), 'How many of its nodes are proven off.'),
  nodes: described(z.array(NodeStatus).max(500).exactOptional(), 'Each node, and why it was or wasn’t fenced.', [], {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
  }),
  conditions: described(z.array(Condition).max(16).exactOptional(), 'Conditions: Ready, Stalled.', [], {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  }),
});

export const FenceAgentResource = described(
  z.object({
    apiVersion: z.literal(apiVersion),
    kind: z.literal('FenceAgent'),
    metadata: z.object(objectMeta),
    spec: described(Spec, 'How nodes are switched off.'),
    status: described(Status.prefault({}), 'What is; written by the operator only.'),
  }),
  'A way to switch lost nodes off and to prove it, so that what ran there may run elsewhere. Needs fencing.enabled in the chart.',
);

/** One with all defaults filled in. */
export type FenceAgent = DeepReadonly<z.output<typeof FenceAgentResource>>;
export type FenceAgentStatus = FenceAgent['status'];
export type FencingState = (typeof fencingStates)[number];

/** Reads a resource as the API server or a file has it, filling defaults; throws ResourceInvalid with every problem found. */
export function parseFenceAgent(value: unknown): FenceAgent {
  const result = FenceAgentResource.safeParse(value);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${issue.path.join('.') || 'object'}: ${issue.message}`);
  throw new MainstayError('ResourceInvalid', `FenceAgent is invalid: ${problems.join('; ')}`, { cause: result.error });
}
