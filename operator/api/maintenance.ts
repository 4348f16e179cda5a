/** When the operator may begin, of its own accord, what moves a primary or takes an instance away for a moment. */
import { z } from 'zod';
import { described, matching } from './rules.ts';

const Window = z.object({
  days: described(
    z
      .array(z.enum(['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']))
      .max(7)
      .default([]),
    'On which days it begins; every day if empty.',
    [],
    { 'x-kubernetes-list-type': 'set' },
  ),
  start: described(z.string().max(5), 'When it begins, as in "02:30".', [
    matching(/^([01][0-9]|2[0-3]):[0-5][0-9]$/, 'is no time of day: write it as in 02:30'),
  ]),
  durationMinutes: described(z.int().min(15).max(1440), 'How long it is open. What has begun by its end is finished.'),
});

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

export const maintenance = described(
  z
    .object({
      windows: described(z.array(Window).max(16).default([]), 'At any time if there is none.', [], {
        'x-kubernetes-list-type': 'atomic',
      }),
      timeZone: described(
        z.string().min(1).max(64).default('UTC'),
        'Time zone of the windows, as in "Europe/Berlin".',
        [
          {
            // Only the use of it tells whether there is such a zone.
            cel: "self.matches('^[A-Za-z0-9_+/-]+$') && timestamp('2000-01-01T00:00:00Z').getHours(self) >= 0",
            message: 'is no time zone: write it as in Europe/Berlin',
            holds: (self) => isTimeZone(self),
          },
        ],
      ),
    })
    .prefault({}),
  'When the operator may replace Pods after an upgrade of its own (operatorUpgrades: ReplacePods) and give the lead back to a preferred instance (failover.failback). ' +
    'What you change, ask for or drain, and every failover, waits for no window.',
);
