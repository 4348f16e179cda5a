/** A cluster whose group 4 is over, for tests. */
import { keys, type FailoverRequest, type PromiseRecord, type SyncState, type Voter } from '../../api/cluster-state.ts';
import { parseView, type ClusterView } from '../view.ts';

export const source = 'aaaaaaaa-0000-4000-8000-000000000000';
export const voter = (n: number, life = 1): Voter => ({ instance: `g-${n}`, incarnation: `life-${n}-${life}` });

export interface Promised {
  readonly n: number;
  readonly gtids: string;
  readonly life?: number;
  readonly epoch?: number;
}

/** What each of the three has said since. */
export function view(promises: readonly Promised[], failover?: FailoverRequest): ClusterView {
  const sync: SyncState = { epoch: 5, primary: voter(1), members: [voter(2), voter(3)], acknowledgements: 1 };
  const values: Readonly<Record<string, object | number>> = {
    [keys.definition]: {
      generation: 1,
      engine: 'mysql',
      version: '9.7',
      instances: ['g-1', 'g-2', 'g-3'],
      durability: { mode: 'Strict', acknowledgements: 1 },
      parameters: {},
      application: { database: 'app', owner: 'app' },
      tags: { 'g-3': { priority: 10 } },
      group: { mode: 'SinglePrimary' },
    },
    [keys.initialize]: { systemIdentifier: 's', etcdClusterId: 'e', at: '' },
    [keys.epoch]: 5,
    [keys.group]: { number: 4, ...voter(1), right: 'r', at: '' },
    [keys.sync]: sync,
    ...(failover && { [keys.failover]: failover }),
    ...Object.fromEntries(
      promises.map(({ n, gtids, life, epoch = 5 }): [string, PromiseRecord] => [
        keys.promise(`g-${n}`),
        { ...voter(n, life), epoch, position: { epoch: 4, gtids } },
      ]),
    ),
  };
  const entries = Object.entries(values).map(
    ([key, value]) => [key, { value: JSON.stringify(value), modRevision: 1, lease: '' }] as const,
  );
  return parseView(new Map(entries), { revision: 1, clusterId: 'e' });
}
