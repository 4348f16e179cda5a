/** What the operator reports about a cluster of any kind. Effective values stand here, never in the spec. */
import { z } from 'zod';
import { memberStates } from './cluster-state.ts';
import type { DeepReadonly } from './deep-readonly.ts';
import { described } from './rules.ts';

const text = (maximum: number) => z.string().max(maximum);
const time = (description: string) => described(text(64), description, [], { format: 'date-time' });

export const Condition = z.object({
  type: described(text(64), 'What the condition is about.'),
  status: described(z.enum(['True', 'False', 'Unknown']), 'Whether it holds.'),
  observedGeneration: described(z.int().min(0).exactOptional(), 'Generation of the spec that it was judged for.'),
  lastTransitionTime: time('When status last changed.'),
  reason: described(text(128), 'Why, in one word of the catalogue (docs/reference/conditions.md).'),
  message: described(text(2048), 'Why, for people, with what to do next.'),
});

export const InstanceStatus = z.object({
  name: described(text(63), 'Name of the instance, its Pod and its volume.'),
  role: described(z.enum(['primary', 'replica']).exactOptional(), 'Role; absent while the instance has none.'),
  state: described(
    z.enum([...memberStates, 'pending', 'unknown']),
    'What it is doing; "pending" before its agent has reported for the first time, "unknown" when the report is gone.',
  ),
  node: described(text(253).exactOptional(), 'Node it runs on.'),
  zone: described(text(63).exactOptional(), 'Zone of that node; the last one known while the node is gone.'),
  address: described(text(253).exactOptional(), 'Address of its Pod.'),
  position: described(text(1024).exactOptional(), 'Epoch and end of its log, as far as it is on disk.'),
  lagBytes: described(z.int().min(0).exactOptional(), 'How much of the primary’s log it does not have yet.'),
  lagTransactions: described(
    z.int().min(0).exactOptional(),
    'The same where a log is known by its transactions, as in MySQL.',
  ),
  copy: described(
    z
      .object({
        doneBytes: described(z.int().min(0), 'Bytes that are there.'),
        totalBytes: described(z.int().min(0), 'Bytes in all, as estimated at its beginning.'),
      })
      .exactOptional(),
    'How far its clone or rewind (state "cloning" or "rewinding") has come.',
  ),
  cutTail: described(
    z
      .object({
        transactions: described(z.int().min(0), 'How many there are.'),
        gtids: described(text(512), 'Which they are.'),
        at: described(text(64), 'When they were cut off, before the instance followed the new primary.'),
        file: described(text(1024), 'Where they are kept, on the instance’s volume.'),
      })
      .exactOptional(),
    'MySQL: transactions of a former primary that nobody was told of and the cluster went on without; shown until that file is removed.',
  ),
  sync: described(z.boolean(), 'Whether its acknowledgement counts for durability.'),
  ifLost: described(text(128).exactOptional(), 'What its loss would mean now, in few words; their wording may change.'),
  pendingRestart: described(
    z.array(text(128)).max(200).exactOptional(),
    'Parameters that wait for a restart of its database.',
    [],
    { 'x-kubernetes-list-type': 'set' },
  ),
  message: described(text(1024).exactOptional(), 'What it is waiting for or failing at.'),
});

export type Condition = DeepReadonly<z.output<typeof Condition>>;
export type InstanceStatus = DeepReadonly<z.output<typeof InstanceStatus>>;

export const ClusterStatusSchema = z.object({
  observedGeneration: described(
    z.int().min(-1).default(-1),
    'Generation of the spec that this status is about; −1 until the operator has seen the cluster.',
  ),
  summary: described(text(256).exactOptional(), 'One line for people; its wording may change.'),
  dataUid: described(
    text(64).exactOptional(),
    'Identity of the data: the UID of the first cluster that owned the volumes. Part of the prefix in etcd.',
  ),
  instances: described(z.int().min(0).exactOptional(), 'Instances that exist.'),
  readyInstances: described(z.int().min(0).exactOptional(), 'Instances that run and follow, the primary included.'),
  ready: described(text(16).exactOptional(), 'Ready and wanted instances, as in "3/3".'),
  selector: described(text(512).exactOptional(), 'Label selector of the Pods, for the scale subresource.'),
  primary: described(text(63).exactOptional(), 'Instance that leads; absent while nobody does.'),
  endpoint: described(text(320).exactOptional(), 'Where clients find the primary: host and port of the Service -rw.'),
  nodes: described(text(1024).exactOptional(), 'Nodes that instances run on, as in "n1,n2,n3".'),
  lag: described(
    text(32).exactOptional(),
    'How much of the primary’s log the replica that is furthest behind does not have yet, for people; absent while nobody knows.',
  ),
  version: described(
    text(16).exactOptional(),
    'Major version of the data, once there are any. An upgrade changes it; spec.version follows by your hand.',
  ),
  epoch: described(z.int().min(0).exactOptional(), 'Number of the current primary’s reign; grows with every change.'),
  timeline: described(
    z.int().min(0).exactOptional(),
    'Number of the branch of its log that the current epoch writes: PostgreSQL’s timeline, MySQL’s marker.',
  ),
  durability: described(
    z
      .object({
        mode: described(z.enum(['Strict', 'Preferred', 'Async']), 'Mode in effect.'),
        acknowledgements: described(z.int().min(0), 'Acknowledgements that each write needs, as asked for.'),
      })
      .exactOptional(),
    'Durability in effect, defaults resolved.',
  ),
  sync: described(
    z
      .object({
        members: described(z.array(text(63)).max(9), 'Instances whose acknowledgement counts.', [], {
          'x-kubernetes-list-type': 'set',
        }),
        acknowledgements: described(z.int().min(0), 'How many of them each write waits for now.'),
      })
      .exactOptional(),
    'The sync set, as it stands in etcd.',
  ),
  earlierPods: described(
    z.array(text(63)).max(18).exactOptional(),
    'Instances whose Pods an earlier operator made in another way than this one would; they run on (spec.operatorUpgrades).',
    [],
    { 'x-kubernetes-list-type': 'atomic' },
  ),
  disruption: described(
    z
      .object({
        allowed: described(
          z.int().min(0).max(1),
          'How many instances drains may take away: 0 from five seconds after it began to its end, else 1.',
        ),
        reason: described(
          z.enum(['NoSuccessor', 'SyncSetShort']),
          'NoSuccessor: no replica could take over from the primary. SyncSetShort: writes would wait without one of the replicas.',
        ),
        message: described(text(512), 'What that is about, for people.'),
        since: time('Since when.'),
        until: time('Until when drains are refused at the longest.'),
      })
      .exactOptional(),
    'What keeps the loss of one more instance from being harmless although all Pods are ready, and the PodDisruptionBudget from letting one go; absent: nothing.',
  ),
  volumes: described(
    z
      .object({
        data: described(text(32).exactOptional(), 'Of the data.'),
        wal: described(text(32).exactOptional(), 'Of the write-ahead logs, where they have volumes of their own.'),
      })
      .exactOptional(),
    'Size of the largest volume, as Kubernetes was asked for it: spec can’t ask for less.',
  ),
  parameters: described(
    z.record(z.string(), text(1024)).exactOptional(),
    'Values that the primary runs with, of the parameters that have a default of Mainstay’s or follow from memory, CPU and volume; those of the spec override each.',
    [],
    { maxProperties: 64 },
  ),
  lastFailover: described(
    z
      .object({
        epoch: described(z.int().min(0), 'Epoch that began.'),
        winner: described(text(63), 'Instance that became primary.'),
        reason: described(text(256), 'Why.'),
        at: time('When.'),
      })
      .exactOptional(),
    'The last change of primary, planned or not.',
  ),
  lastForcedFailover: described(
    z
      .object({
        epoch: described(z.int().min(0), 'Epoch that began.'),
        winner: described(text(63), 'Instance that became primary.'),
        missing: described(
          z.array(text(63)).max(18),
          'Instances that may have held acknowledged writes that it lacks.',
          [],
          {
            'x-kubernetes-list-type': 'set',
          },
        ),
        reason: described(text(256), 'Why, as given by the person who accepted the loss.'),
        at: time('When.'),
      })
      .exactOptional(),
    'The last failover that was forced with acknowledged writes at risk. It stays here; the condition LossAccepted says whether it is still the primary’s.',
  ),
  lastRequest: described(
    z
      .object({
        id: described(text(128), 'Which request.'),
        outcome: described(z.enum(['Done', 'Refused']), 'What became of it.'),
        reason: described(text(1024), 'Why.'),
        instance: described(text(63), 'Instance that answered.'),
        at: time('When.'),
      })
      .exactOptional(),
    'The last switchover, forced failover or adoption that was asked for and answered.',
  ),
  instancesStatus: described(z.array(InstanceStatus).max(18).exactOptional(), 'What is known of each instance.', [], {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
  }),
  conditions: described(
    z.array(Condition).max(16).exactOptional(),
    'Conditions: Ready, Reconciling, Stalled, Available, Degraded, SyncQuorumSatisfied, PendingRestart, CertificatesValid, LossAccepted.',
    [],
    { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] },
  ),
});
