/** `spec.replication`: how replicas get their data. */
import { z } from 'zod';
import { quantityValue } from './quantity.ts';
import { described, matching } from './rules.ts';

const least = '1Mi';

const delayPattern = /^([1-9][0-9]{0,5}s|[1-9][0-9]{0,3}m|[1-9][0-9]?h|[1-4][0-9]{2}h|Never)$/;
const secondsOf = { s: 1, m: 60, h: 3600 } as const;

/** Undefined: never. */
export function replacementDelayMs({
  replaceLostVolumesAfter: delay,
}: z.output<typeof Replication>): number | undefined {
  if (delay === 'Never') return undefined;
  return Number(delay.slice(0, -1)) * secondsOf[delay.slice(-1) as keyof typeof secondsOf] * 1000;
}

export const Replication = z.object({
  replaceLostVolumesAfter: described(
    z.string().max(8).default('10m'),
    'A volume that lives on one node is gone when that node’s object is deleted. After this time, as in "10m" (s, m or h), the instance gets a new one, cloned from another, ' +
      'if the primary serves and so has every write. Never: it waits for you. ' +
      '10m is the default because a node that was replaced by mistake, or registers again after a reboot, is back sooner, and cloning costs the others work.',
    [matching(delayPattern, 'is no delay: write it as in 10m or 2h, or Never')],
  ),
  cloneRate: described(
    z.string().min(1).max(32).default('100Mi'),
    'Bytes a second that a clone takes from its source at most, as in "50Mi", so that clients of the source hardly notice. ' +
      'A larger rate makes a replica whole sooner. More than 1Gi counts as 1Gi.',
    [
      {
        cel: `isQuantity(self) && quantity(self).compareTo(quantity('${least}')) >= 0`,
        message: `must be a rate of ${least} or more: write it as in "100Mi"`,
        messageCel: `'is ' + self + ' but must be a rate of ${least} or more: write it as in "100Mi"'`,
        holds: (self) => (quantityValue(self) ?? 0) >= (quantityValue(least) ?? 0),
        say: (self) => `is ${self} but must be a rate of ${least} or more: write it as in "100Mi"`,
      },
    ],
  ),
});
