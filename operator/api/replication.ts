/** `spec.replication`: how replicas get their data. */
import { z } from 'zod';
import { quantityValue } from './quantity.ts';
import { described } from './rules.ts';

const least = '1Mi';

export const Replication = z.object({
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
