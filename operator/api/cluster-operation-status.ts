/** What the operator reports about a ClusterOperation. */
import { z } from 'zod';
import { Condition } from './cluster-status.ts';
import { described } from './rules.ts';

const text = (maximum: number) => z.string().max(maximum);
const time = (description: string) => described(text(64).exactOptional(), description, [], { format: 'date-time' });

export const ClusterOperationStatusSchema = z.object({
  observedGeneration: described(
    z.int().min(-1).default(-1),
    'Generation of the spec that this status is about; −1 until the operator has seen the operation.',
  ),
  summary: described(text(64).exactOptional(), 'Where it stands, in a word or two for people; the wording may change.'),
  message: described(text(1024).exactOptional(), 'What it does or waits for, what it did, or why it failed.'),
  startedAt: time('When it was begun; absent if it never was.'),
  finishedAt: time('When it was over.'),
  deadline: time('When it must be over.'),
  clusterUid: described(text(64).exactOptional(), 'UID of the cluster that it was begun on.'),
  conditions: described(
    z.array(Condition).max(16).exactOptional(),
    'Conditions: Complete, Failed, Reconciling, Stalled. Complete or Failed is True once it is over.',
    [],
    { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] },
  ),
});
