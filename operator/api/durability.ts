/** `spec.durability`: how safe a write is when it is acknowledged. */
import { z } from 'zod';
import type { DeepReadonly } from './deep-readonly.ts';
import { described } from './rules.ts';

export const Durability = z.object({
  mode: described(
    z.enum(['Strict', 'Preferred', 'Async']).exactOptional(),
    'Strict: a write is acknowledged only when replicas hold it; without enough replicas, writes wait. ' +
      'Preferred: the same while replicas are there; without them, writes go on, with a warning in status. ' +
      'Async: replicas are never waited for; a failover can lose the last writes. ' +
      'Default: Strict from 3 instances on, else Preferred, because with 2 the loss of either would stop all writes.',
  ),
  acknowledgements: described(
    z.int().min(1).max(8).default(1),
    'How many replicas must hold a write before it is acknowledged. More survive more faults at once and cost latency.',
  ),
});

export type DurabilityMode = 'Strict' | 'Preferred' | 'Async';

/**
 * The durability that a spec asks for, defaults resolved: never more acknowledgements than there are replicas. In a group a
 * majority must have a write, whoever gave it.
 */
export function effectiveDurability(spec: {
  readonly instances: number;
  readonly durability: DeepReadonly<z.output<typeof Durability>>;
  readonly topology?: 'Replicas' | 'Group';
}): {
  readonly mode: DurabilityMode;
  readonly acknowledgements: number;
} {
  if (spec.topology === 'Group') return { mode: 'Strict', acknowledgements: Math.floor(spec.instances / 2) };
  const mode = spec.durability.mode ?? (spec.instances >= 3 ? 'Strict' : 'Preferred');
  const acknowledgements = mode === 'Async' ? 0 : Math.min(spec.durability.acknowledgements, spec.instances - 1);
  return { mode, acknowledgements };
}
