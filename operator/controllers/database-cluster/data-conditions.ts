/** What people see of disks and of damaged files: the worst of what the instances tell. */
import type { InstanceName, Member } from '../../api/cluster-state.ts';
import type { ConditionReason } from '../../api/conditions.ts';

interface Judged<T extends 'DiskPressure' | 'DataCorrupted'> {
  readonly type: T;
  readonly status: 'True' | 'False';
  readonly reason: ConditionReason<T>;
  readonly message: string;
}

/** Percent of a volume. */
const thresholds = { AlmostFull: 90, Filling: 80 } as const;

export function judgeDisks(members: readonly Member[]): Judged<'DiskPressure'> {
  const found = (reason: ConditionReason<'DiskPressure'>, messages: readonly string[]): Judged<'DiskPressure'> => ({
    type: 'DiskPressure',
    status: 'True',
    reason,
    message: messages.join(' '),
  });
  const full = members.filter(isFull);
  if (full.length > 0) return found('Full', [...full.map(fullText), makeRoom]);
  const readOnly = members.filter(({ failing }) => failing === 'DiskReadOnly');
  if (readOnly.length > 0)
    return found('ReadOnly', [
      `The file system of ${names(readOnly)} can only be read, as a rule since the kernel met an error of the disk: look at the node’s kernel log, then replace the volume (delete its claim and its Pod) or repair it.`,
    ]);
  for (const reason of ['AlmostFull', 'Filling'] as const) {
    const filling = members.flatMap(({ instance, disks = [] }) =>
      disks
        .filter(({ usedPercent }) => usedPercent >= thresholds[reason])
        .map(({ name, usedPercent, size }) => `${instance}: ${usedPercent} % of ${gibibytes(size)} used (${name}).`),
    );
    if (filling.length > 0) return found(reason, [...filling, makeRoom]);
  }
  return { type: 'DiskPressure', status: 'False', reason: 'EnoughRoom', message: 'All volumes have enough room.' };
}

const makeRoom =
  'Raise spec.storage.size (a volume grows while it is in use, if its storage class allows that), or delete data; look for replication slots and long transactions that hold the log back.';

const isFull = ({ failing, disks = [] }: Member): boolean =>
  failing === 'DiskFull' || disks.some(({ reserveLent }) => reserveLent === true);

function fullText({ instance, disks = [], keepsClientsFromWriting }: Member): string {
  const lent = disks.some(({ reserveLent }) => reserveLent === true) ? ', its reserve lent' : '';
  const writes = keepsClientsFromWriting
    ? ' Clients write only if they ask for it (SET transaction_read_only = off), so that there is room for clearing up.'
    : '';
  return `The disk of ${instance} is full${lent}.${writes}`;
}

export function judgeDamage(members: readonly Member[], primary: InstanceName | undefined): Judged<'DataCorrupted'> {
  const damaged = members.filter(({ corruption }) => corruption !== undefined);
  if (damaged.length === 0)
    return { type: 'DataCorrupted', status: 'False', reason: 'NoneFound', message: 'No damaged data has been found.' };
  const told = damaged.map(({ instance, corruption }) => {
    const databases = corruption?.databases ?? [];
    const where = databases.length === 0 ? '' : ` in ${databases.join(', ')}`;
    const repair =
      instance === primary
        ? 'It is the primary: switch over to a sound replica, and it takes a fresh copy by itself.'
        : corruption?.copyHelps
          ? 'It takes a fresh copy once the others can do without it.'
          : 'Whether a copy would help is not known: see its log.';
    return `${instance}${where}, since ${corruption?.since ?? ''}: ${corruption?.detail ?? ''}. ${repair}`;
  });
  return {
    type: 'DataCorrupted',
    status: 'True',
    reason: damaged.some(({ instance }) => instance === primary) ? 'PrimaryDamaged' : 'ReplicaDamaged',
    message: told.join(' '),
  };
}

const names = (members: readonly Member[]): string => members.map(({ instance }) => instance).join(', ');
const gibibytes = (bytes: number): string => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
