/** Worlds in which the protocol, or the model of it, once failed: they must hold for ever. */
import type { Options } from './simulate.ts';

export interface Regression {
  readonly what: string;
  readonly seed: number;
  readonly options: Options;
}

const three = { instances: ['a', 'b', 'c'], durability: { mode: 'Strict', acknowledgements: 1 } } as const;
const two = { instances: ['a', 'b'], durability: { mode: 'Strict', acknowledgements: 1 } } as const;

export const regressions: readonly Regression[] = [
  {
    what: 'with one promise as a quorum, a bad link raised the epoch every two seconds',
    seed: 1,
    options: {
      shape: two,
      schedule: [{ at: 10, kind: 'bad-link', on: 'replica', milliseconds: 30_000, form: 0 }],
    },
  },
  {
    what: 'a noFailover instance had founded the cluster, and nobody could lead after it had stopped alone',
    seed: 716,
    options: {
      shape: {
        instances: ['a', 'b', 'c'],
        durability: { mode: 'Preferred', acknowledgements: 1 },
        tags: {
          a: { priority: 0, noFailover: true, noSync: false },
          b: { priority: 0, noFailover: true, noSync: false },
        },
      },
      faults: ['container-death'],
    },
  },
  {
    what: 'a transaction decided from the old etcd lands in the restored one',
    seed: 254,
    options: { shape: three, faults: ['etcd-restored', 'agent-stall', 'partition', 'late-transactions'] },
  },
  {
    what: 'an adoption took an epoch that the primary had claimed for itself',
    seed: 875,
    options: { shape: three, faults: ['etcd-restored', 'lease-revoked', 'volume-lost', 'bad-link'] },
  },
  {
    what: 'a rewound instance waited for a primary that was gone',
    seed: 1465,
    options: { shape: three, faults: ['container-death', 'database-crash', 'instance-lost', 'pause'] },
  },
  {
    what: 'an instance was scaled in and out again while its volume was being deleted',
    seed: 336,
    options: { faults: ['partition', 'scale', 'lost-answers', 'instance-lost'] },
  },
  {
    what: 'an instance that was giving up leadership, its watch dead, never looked at etcd again',
    seed: 141,
    options: { shape: three, faults: ['disk-stall', 'lost-watch', 'etcd-restored', 'agent-stall'] },
  },
  {
    what: 'slow answers of etcd alone change no primary',
    seed: 2,
    options: { shape: three, faults: ['slow-etcd'] },
  },
  { what: 'an adoption compared positions of two histories', seed: 4107, options: {} },
  { what: 'a fenced instance let go of leadership while it was being promoted', seed: 777_241, options: {} },
  { what: 'an instance that counted replaced its data on what was said of its former data', seed: 803, options: {} },
  { what: 'what was sent before a restore was known landed in it', seed: 50_154, options: {} },
  {
    what: 'a surplus instance was removed although an emptied etcd did not tell whether it held the only data',
    seed: 3682,
    options: {},
  },
  { what: 'a late word of a streaming member made it count while its data were replaced', seed: 7823, options: {} },
  {
    what: 'one that etcd had lost sight of was counted anew while it was about to replace its data',
    seed: 1,
    options: {
      shape: three,
      schedule: [
        { at: 0, kind: 'reinitialize', on: 'b', milliseconds: 60_000, form: 0 },
        { at: 500, kind: 'partition', on: 'b', milliseconds: 20_000, form: 0.35 / 3 },
      ],
    },
  },
  {
    what: 'the only replica that was left waited for minutes with its copy, because it had been copied often',
    seed: 1,
    options: {
      shape: three,
      schedule: [
        ...[0, 16, 32, 48, 70, 100, 140, 215].map(
          (at) => ({ at: at * 1000, kind: 'reinitialize', on: 'replica', milliseconds: 100_000, form: 0 }) as const,
        ),
        { at: 216_000, kind: 'instance-lost', on: 'other replica', milliseconds: 0, form: 0 },
      ],
      chaos: 225_000,
    },
  },
  {
    what: 'a rewind that never reached its source, lost meanwhile, spoilt the last data there were',
    seed: 1000,
    options: {
      shape: { ...three, durability: { mode: 'Async', acknowledgements: 1 } },
      faults: ['pause', 'instance-lost', 'database-hang', 'agent-stall', 'etcd-leader-change', 'fenced'],
    },
  },
  {
    what: 'a primary answered an alarm, and etcd took that in only when the fault was over',
    seed: 21_512,
    options: {},
  },
];
