import { describe, expect, test } from '@jest/globals';
import type { DatabaseCluster } from '../../api/database-cluster.ts';
import fc from 'fast-check';
import { keys } from '../../api/cluster-state.ts';
import { keptRecords } from './decide.ts';
import {
  abort,
  atTime,
  create,
  handOver,
  look,
  loseStatus,
  newOperations,
  observed,
  refuse,
  restarted,
  type Operations,
} from './modelled-operations.ts';

const switchover = (to?: string) => ({ type: 'Switchover', switchover: to === undefined ? {} : { to } });
const statusOf = (on: Operations, name = 'op') => on.objects.get(name)?.status;
const ends = (on: Operations, name = 'op') => {
  const over = statusOf(on, name)?.conditions?.find(
    ({ type, status }) => /Complete|Failed/.test(type) && status === 'True',
  );
  return over && [over.type, over.reason, over.message];
};
const waits = (on: Operations, name = 'op') => {
  const condition = statusOf(on, name)?.conditions?.find(({ type }) => type === 'Reconciling');
  return [condition?.status, condition?.reason];
};

describe('a switchover', () => {
  test('is asked for once, followed to its end, and leaves the cluster alone then', () => {
    const on = newOperations();
    create(on, 'op', switchover('orders-2'));
    look(on);
    expect(on.requests.get(keys.switchover)?.value).toMatchObject({
      id: 'operation-1',
      from: 'orders-1',
      to: 'orders-2',
      deadline: new Date(on.world.now + 60_000).toISOString(),
    });
    expect(statusOf(on)).toMatchObject({ summary: 'Running', startedAt: '2026-11-21T08:00:00Z', clusterUid: /./ });
    expect(ends(on)).toBeUndefined();
    handOver(on);
    look(on);
    expect(ends(on)).toEqual(['Complete', 'Succeeded', 'orders-2 took over from orders-1 in epoch 2.']);
    expect(look(on)).toEqual([]);
    expect(on.begun).toEqual(['op']);
  });

  test('without a candidate goes to the fittest', () => {
    const on = newOperations();
    create(on, 'op', { type: 'Switchover' });
    look(on);
    handOver(on);
    look(on);
    expect(ends(on)).toEqual(['Complete', 'Succeeded', 'orders-2 took over from orders-1 in epoch 2.']);
  });

  test.each<[string, (on: Operations) => void, string[]]>([
    [
      'to nobody of the cluster',
      (on) => create(on, 'op', switchover('orders-7')),
      ['Failed', 'Refused', 'orders-7 is no instance of orders'],
    ],
    [
      'to the primary',
      (on) => create(on, 'op', switchover('orders-1')),
      ['Complete', 'Succeeded', 'orders-1 is primary already'],
    ],
    [
      'refused by the agent',
      (on) => {
        create(on, 'op', switchover('orders-2'));
        look(on);
        refuse(on, keys.switchover, 'too few');
      },
      ['Failed', 'Refused', 'too few'],
    ],
    [
      'that another wins',
      (on) => {
        create(on, 'op', switchover('orders-2'));
        look(on);
        handOver(on, 'orders-3');
      },
      ['Failed', 'Unsuccessful', 'orders-3 has become primary, not orders-2'],
    ],
    [
      'that the former primary wins',
      (on) => {
        create(on, 'op', switchover());
        look(on);
        handOver(on, 'orders-1');
      },
      ['Failed', 'Unsuccessful', 'orders-1 has become primary again'],
    ],
    [
      'that nobody takes up',
      (on) => {
        create(on, 'op', switchover());
        look(on);
        on.world.now += 70_000;
      },
      ['Failed', 'DeadlineExceeded', 'withdrawn'],
    ],
    [
      'that the operator sees too late',
      (on) => {
        create(on, 'op', switchover());
        on.world.now += 61_000;
      },
      ['Failed', 'DeadlineExceeded', 'did not begin'],
    ],
    [
      'called off while it stands',
      (on) => {
        create(on, 'op', switchover());
        look(on);
        abort(on, 'op');
      },
      ['Failed', 'Aborted', 'called off'],
    ],
    [
      'whose record is gone',
      (on) => {
        create(on, 'op', switchover());
        look(on);
        on.records.clear();
      },
      ['Failed', 'RecordLost', 'etcd does not know'],
    ],
    [
      'whose cluster goes',
      (on) => {
        create(on, 'op', switchover());
        look(on);
        on.clusterExists = false;
      },
      ['Failed', 'ClusterGone', 'deleted'],
    ],
  ])('%s', (_, happens, [type = '', reason = '', message = '']) => {
    const on = newOperations();
    happens(on);
    look(on);
    expect(ends(on)).toEqual([type, reason, expect.stringContaining(message)]);
    if (reason !== 'ClusterGone' && reason !== 'RecordLost') expect(on.requests.size).toBe(0);
    const before = statusOf(on);
    on.world.now += 3_600_000;
    look(on);
    expect(statusOf(on)).toEqual(before);
  });

  test('that is under way is not called off: going on is the shortest way back', () => {
    const on = newOperations();
    create(on, 'op', switchover());
    look(on);
    const { runtime } = on.world;
    on.world.runtime = { ...runtime, members: new Map([...runtime.members].filter(([name]) => name !== 'orders-1')) };
    abort(on, 'op');
    look(on);
    expect(statusOf(on)?.message).toContain('too late to call it off');
    expect(on.requests.size).toBe(1);
  });

  test('whose object is deleted while it stands is withdrawn', () => {
    const on = newOperations();
    create(on, 'op', switchover());
    look(on);
    on.objects.delete('op');
    look(on);
    expect([on.requests.size, on.records.get('op')?.record?.reason]).toEqual([0, 'Aborted']);
  });
});

test('one whose cluster was deleted and came back with its data holds nobody up', () => {
  const on = newOperations();
  create(on, 'op', switchover());
  look(on);
  on.clusterExists = false;
  look(on);
  expect(ends(on)?.[1]).toBe('ClusterGone');
  on.clusterExists = true;
  create(on, 'next', switchover());
  look(on);
  look(on);
  expect(on.begun).toEqual(['op', 'next']);
});

test.each<[string, (on: Operations) => void, string]>([
  [
    'there is no such cluster',
    (on) => {
      on.clusterExists = false;
    },
    'ClusterNotFound',
  ],
  [
    'it is paused',
    (on) => {
      const { cluster } = on.world;
      on.world.cluster = { ...cluster, spec: { ...cluster.spec, paused: true } } as DatabaseCluster;
    },
    'ClusterPaused',
  ],
  [
    'etcd is silent',
    (on) => {
      on.world.etcdAnswers = false;
    },
    'RuntimeUnknown',
  ],
  [
    'nobody leads',
    (on) => {
      on.world.runtime = { ...on.world.runtime, leader: undefined };
    },
    'NotReady',
  ],
  [
    'an operator that nobody knows has asked',
    (on) => {
      on.requests.set(keys.switchover, { id: 'x', modRevision: 1, value: {} });
    },
    'NotReady',
  ],
  [
    'another is under way',
    (on) => {
      create(on, 'a', switchover());
      look(on);
    },
    'OtherOperation',
  ],
])('a switchover waits while %s', (_, happens, reason) => {
  const on = newOperations();
  happens(on);
  create(on, 'op', switchover('orders-2'));
  look(on);
  expect(waits(on)).toEqual(['True', reason]);
  expect(on.begun).not.toContain('op');
});

test('one at a time, the oldest first', () => {
  const on = newOperations();
  create(on, 'b', switchover('orders-2'));
  create(on, 'c', switchover('orders-3'));
  on.world.now += 1_000;
  create(on, 'a', switchover('orders-1'));
  for (let round = 0; round < 8; round += 1) {
    look(on);
    handOver(on);
  }
  expect(on.begun).toEqual(['b', 'c', 'a']);
  expect(['a', 'b', 'c'].map((name) => ends(on, name)?.[0])).toEqual(['Complete', 'Complete', 'Complete']);
});

test('one that only another operator knows holds up the others until its deadline', () => {
  const on = newOperations();
  create(on, 'a', switchover());
  look(on);
  const kept = on.records.get('a');
  if (kept?.record) on.records.set('a', { ...kept, record: { ...kept.record, type: 'Polish', request: undefined } });
  on.requests.clear();
  on.world.now += 20_000;
  create(on, 'b', switchover());
  look(on);
  expect(waits(on, 'b')).toEqual(['True', 'OtherOperation']);
  on.world.now += 50_000;
  look(on);
  look(on);
  expect([ends(on, 'a')?.[1], on.begun]).toEqual(['DeadlineExceeded', ['a', 'b']]);
});

test('a dry run says what would be, and does nothing', () => {
  const on = newOperations();
  create(on, 'op', { ...switchover(), dryRun: true });
  expect(look(on)).toEqual([]);
  expect(ends(on)).toEqual(['Complete', 'DryRunPassed', 'It could begin now: orders-1 hands over to orders-2.']);
  create(on, 'bad', { ...switchover('orders-9'), dryRun: true });
  expect(look(on)).toEqual([]);
  expect(ends(on, 'bad')?.[1]).toBe('Refused');
});

describe('carried out once', () => {
  test('though its status is lost', () => {
    const on = newOperations();
    create(on, 'op', switchover());
    look(on);
    handOver(on);
    look(on);
    const before = statusOf(on);
    loseStatus(on, 'op');
    look(on);
    expect(statusOf(on)).toMatchObject({
      message: before?.message,
      startedAt: before?.startedAt,
      finishedAt: before?.finishedAt,
    });
    expect(on.begun).toEqual(['op']);
  });

  test('though its object is made anew, by Git or a restored backup', () => {
    const on = newOperations();
    create(on, 'op', switchover());
    look(on);
    handOver(on);
    look(on);
    on.objects.delete('op');
    create(on, 'op', switchover());
    look(on);
    expect(ends(on)?.[1]).toBe('AlreadyCarriedOut');
    expect(ends(on)?.[2]).toContain('make one with another name');
    expect(on.begun).toEqual(['op']);
  });
});

describe('a restart', () => {
  const restart = (instance?: string) => ({ type: 'Restart', restart: instance === undefined ? {} : { instance } });
  /** Lets agents do what is asked of them until nothing is; returns what was asked. */
  const letRun = (on: Operations): readonly string[] => {
    const asked: string[] = [];
    for (let round = 0; round < 20; round += 1) {
      look(on);
      asked.push(...on.requests.keys());
      for (const instance of ['orders-1', 'orders-2', 'orders-3']) restarted(on, instance);
      handOver(on);
      on.world.now += 3_000;
    }
    return asked;
  };

  test('takes replicas first, then the primary after a switchover', () => {
    const on = newOperations();
    create(on, 'op', restart());
    expect(letRun(on)).toEqual([
      'requests/restart/orders-3',
      'requests/restart/orders-2',
      'requests/switchover',
      'requests/restart/orders-1',
    ]);
    expect(ends(on)).toEqual(['Complete', 'Succeeded', 'Restarted: orders-3, orders-2, orders-1.']);
  });

  test.each(['orders-1', 'orders-2'])('of %s alone is in place', (instance) => {
    const on = newOperations();
    create(on, 'op', restart(instance));
    expect(letRun(on)).toEqual([`requests/restart/${instance}`]);
    expect(ends(on)).toEqual(['Complete', 'Succeeded', `Restarted: ${instance}.`]);
  });

  test('waits while the instance is not back, and says so', () => {
    const on = newOperations();
    create(on, 'op', restart());
    look(on);
    const { runtime } = on.world;
    on.world.runtime = { ...runtime, members: new Map([...runtime.members].filter(([name]) => name !== 'orders-3')) };
    restarted(on, 'orders-3');
    look(on);
    expect(statusOf(on)).toMatchObject({ summary: 'Running 0/3', message: 'Waiting until orders-3 is back.' });
    on.world.runtime = runtime;
    look(on);
    expect([...on.requests.keys()]).toEqual(['requests/restart/orders-2']);
    expect(statusOf(on)?.summary).toBe('Running 1/3');
  });

  test('that is called off ends between two instances', () => {
    const on = newOperations();
    create(on, 'op', restart());
    look(on);
    restarted(on, 'orders-3');
    abort(on, 'op');
    look(on);
    expect(ends(on)?.slice(1)).toEqual(['Aborted', 'Done: orders-3. Left: orders-1, orders-2. It was called off.']);
    expect(on.requests.size).toBe(0);
  });

  test('that an agent refuses has failed', () => {
    const on = newOperations();
    create(on, 'op', restart('orders-2'));
    look(on);
    refuse(on, keys.restart('orders-2'), 'its deadline is over');
    look(on);
    expect(ends(on)?.[1]).toBe('Refused');
  });

  test('does not make writes wait', () => {
    const on = newOperations();
    const { runtime } = on.world;
    if (runtime.sync)
      on.world.runtime = {
        ...runtime,
        sync: { ...runtime.sync, members: [{ instance: 'orders-2', incarnation: 'x' }] },
      };
    create(on, 'op', restart('orders-2'));
    look(on);
    expect(statusOf(on)?.message).toBe('writes would have to wait for orders-2.');
    expect(on.requests.size).toBe(0);
  });
});

/** What the agent of an instance tells of itself. */
function tell(on: Operations, instance: string, change: object): void {
  const { runtime } = on.world;
  const members = [...runtime.members].map(([name, member]): [string, typeof member] => [
    name,
    name === instance ? { ...member, ...change } : member,
  ]);
  on.world.runtime = { ...runtime, members: new Map(members) };
}

describe('a reinitialization', () => {
  const reinitialize = (instance: string) => ({ type: 'Reinitialize', reinitialize: { instance } });

  test('asks for the data that are there now to be replaced, and ends when the new ones follow', () => {
    const on = newOperations();
    create(on, 'op', reinitialize('orders-2'));
    look(on);
    const key = keys.reinitialize('orders-2');
    expect(on.requests.get(key)?.value).toMatchObject({ incarnation: 'orders-2' });
    tell(on, 'orders-2', { state: 'cloning', incarnation: 'new', message: '40 %' });
    look(on);
    expect(statusOf(on)?.message).toBe('orders-2 is cloning: 40 %.');
    abort(on, 'op');
    look(on);
    expect(statusOf(on)?.message).toContain('too late to call it off');
    tell(on, 'orders-2', { state: 'streaming' });
    on.requests.delete(key);
    look(on);
    expect(ends(on)).toEqual(['Complete', 'Succeeded', 'orders-2 has new data, and follows.']);
  });

  test('is refused for the primary, and where writes would wait', () => {
    const on = newOperations();
    create(on, 'primary', reinitialize('orders-1'));
    look(on);
    expect(ends(on, 'primary')?.[2]).toBe('orders-1 is primary: switch over first.');
    const { runtime } = on.world;
    if (runtime.sync)
      on.world.runtime = {
        ...runtime,
        sync: { ...runtime.sync, members: [{ instance: 'orders-2', incarnation: 'x' }] },
      };
    create(on, 'last', reinitialize('orders-2'));
    look(on);
    expect(ends(on, 'last')?.[2]).toContain('all writes would wait until orders-2 is back');
    expect(on.requests.size).toBe(0);
  });
});

describe('a fence', () => {
  const fence = (instance: string, more = {}) => ({ type: 'Fence', fence: { instance, ...more } });
  const withConsequence = (outcome: 'failover' | 'unaffected' | 'writes-stop') => {
    const on = newOperations();
    const ifLost = new Map(['orders-1', 'orders-2', 'orders-3'].map((name) => [name, { outcome }] as const));
    on.world.runtime = { ...on.world.runtime, explanation: { summary: '', ifLost } };
    return on;
  };

  test('stands until it is taken away', () => {
    const on = withConsequence('unaffected');
    create(on, 'op', fence('orders-2'));
    look(on);
    tell(on, 'orders-2', { state: 'stopped' });
    look(on);
    expect(ends(on)?.slice(0, 2)).toEqual(['Complete', 'Succeeded']);
    expect([...on.requests.keys()]).toEqual(['fences/orders-2']);

    create(on, 'again', fence('orders-2'));
    look(on);
    expect(ends(on, 'again')).toEqual(['Complete', 'Succeeded', 'orders-2 is fenced already.']);

    create(on, 'un', { type: 'Unfence', unfence: { instance: 'orders-2' } });
    look(on);
    expect([on.requests.size, statusOf(on, 'un')?.message]).toEqual([0, 'Waiting until orders-2 is back.']);
    tell(on, 'orders-2', { state: 'streaming' });
    look(on);
    expect(ends(on, 'un')).toEqual(['Complete', 'Succeeded', 'The database of orders-2 runs again.']);
  });

  test('of the primary is complete when another leads', () => {
    const on = withConsequence('failover');
    create(on, 'op', fence('orders-1'));
    look(on);
    tell(on, 'orders-1', { state: 'stopped' });
    look(on);
    expect(ends(on)).toBeUndefined();
    on.world.runtime = { ...on.world.runtime, leader: undefined };
    look(on);
    expect(ends(on)?.[0]).toBe('Complete');
  });

  test('that stops writes is refused until that is accepted', () => {
    const on = withConsequence('writes-stop');
    create(on, 'op', fence('orders-2'));
    look(on);
    expect(ends(on)?.slice(1)).toEqual([
      'Refused',
      'without orders-2: writes wait for replicas. To fence it all the same, ask again with acceptOutage.',
    ]);
    create(on, 'accepted', fence('orders-2', { acceptOutage: true }));
    look(on);
    expect(on.requests.size).toBe(1);
  });

  test('of a primary whose successor would have no replica is refused', () => {
    const on = withConsequence('failover');
    tell(on, 'orders-3', { state: 'stopped' });
    create(on, 'op', fence('orders-1'));
    look(on);
    expect(ends(on)?.slice(1)).toEqual(['Refused', expect.stringContaining('writes wait for replicas there')]);
  });

  test('that is called off is taken away', () => {
    const on = withConsequence('unaffected');
    create(on, 'op', fence('orders-2'));
    look(on);
    abort(on, 'op');
    look(on);
    expect([ends(on)?.[1], on.requests.size]).toEqual(['Aborted', 0]);
  });
});

describe('a forced failover', () => {
  const failover = (change = {}) => ({ type: 'Failover', failover: { to: 'orders-2', ...change } });
  const withoutPrimary = () => {
    const on = newOperations();
    const { runtime } = on.world;
    on.world.runtime = { ...runtime, leader: undefined };
    return on;
  };

  test('is not for a cluster with a primary', () => {
    const on = newOperations();
    create(on, 'op', failover());
    look(on);
    expect(ends(on)).toEqual(['Failed', 'Refused', 'orders-1 serves as primary: ask for a Switchover.']);
  });

  test('asks for the loss to be accepted only if the person has', () => {
    for (const acceptDataLoss of [false, true]) {
      const on = withoutPrimary();
      create(on, 'op', failover({ acceptDataLoss, othersAreOff: true }));
      look(on);
      expect(on.requests.get(keys.failover)?.value).toMatchObject({ to: 'orders-2', acceptDataLoss, fenced: true });
    }
  });

  test('does not wait for a switchover that can’t begin', () => {
    const on = withoutPrimary();
    create(on, 'waits', switchover());
    create(on, 'op', failover());
    look(on);
    expect(on.begun).toEqual(['op']);
  });
});

test('an adoption names the etcd that is meant', () => {
  const on = newOperations();
  create(on, 'wrong', { type: 'Adopt', adopt: { etcdClusterId: '8' } });
  create(on, 'right', { type: 'Adopt', adopt: { etcdClusterId: '7', without: ['orders-3'] } });
  look(on);
  expect(ends(on, 'wrong')?.[2]).toContain('the etcd of the operator is 7, not 8');
  expect(on.requests.get(keys.adopt)?.value).toMatchObject({ etcdClusterId: '7', without: ['orders-3'] });
});

test('an object goes when its time is over, its record stays', () => {
  const on = newOperations();
  create(on, 'op', { ...switchover('orders-1'), ttlSecondsAfterFinished: 60 });
  look(on);
  on.world.now += 59_000;
  look(on);
  expect(on.objects.size).toBe(1);
  on.world.now += 2_000;
  look(on);
  expect([on.objects.size, on.records.size]).toEqual([0, 1]);
});

test('old records are forgotten, the oldest first, never one under way or with an object', () => {
  const on = newOperations();
  for (let index = 0; index < keptRecords + 10; index += 1) {
    create(on, `op-${index}`, switchover('orders-1'));
    look(on);
    on.world.now += 1_000;
    if (index > 0) on.objects.delete(`op-${index}`);
  }
  look(on);
  expect(on.records.size).toBe(keptRecords);
  expect([on.records.has('op-0'), on.records.has('op-1'), on.records.has('op-109')]).toEqual([true, false, true]);
});

test('whatever happens, each name is begun at most once, one at a time, and what is over stays as it is', () => {
  const names = ['a', 'b', 'c'];
  const anyName = fc.constantFrom(...names);
  const step = fc.oneof(
    fc.record({
      does: fc.constant('create' as const),
      name: anyName,
      to: fc.constantFrom(undefined, 'orders-1', 'orders-2', 'orders-3'),
    }),
    fc.record({ does: fc.constantFrom('delete' as const, 'abort' as const, 'lose-status' as const), name: anyName }),
    fc.record({
      does: fc.constantFrom(
        'look' as const,
        'look-and-die' as const,
        'hand-over' as const,
        'refuse' as const,
        'etcd' as const,
        'cluster' as const,
      ),
    }),
    fc.record({ does: fc.constant('pass' as const), milliseconds: fc.integer({ min: 1, max: 40_000 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const on = newOperations();
      const finished = new Map<string, unknown>();
      for (const one of steps) {
        switch (one.does) {
          case 'create':
            if (!on.objects.has(one.name)) create(on, one.name, switchover(one.to));
            break;
          case 'delete':
            finished.delete(on.objects.get(one.name)?.metadata.uid ?? '');
            on.objects.delete(one.name);
            break;
          case 'abort':
            abort(on, one.name);
            break;
          case 'lose-status':
            finished.delete(on.objects.get(one.name)?.metadata.uid ?? '');
            loseStatus(on, one.name);
            break;
          case 'look':
            look(on);
            break;
          case 'look-and-die':
            look(on, { statuses: false });
            break;
          case 'hand-over':
            handOver(on);
            break;
          case 'refuse':
            refuse(on, keys.switchover, 'no');
            break;
          case 'etcd':
            on.world.etcdAnswers = !on.world.etcdAnswers;
            break;
          case 'cluster':
            on.clusterExists = !on.clusterExists;
            break;
          case 'pass':
            on.world.now += one.milliseconds;
            break;
        }
        expect(new Set(on.begun).size).toBe(on.begun.length);
        expect([...on.records.values()].filter(({ record }) => record?.state === 'running').length).toBeLessThan(2);
        for (const { metadata, status } of on.objects.values()) {
          const outcome = status.conditions
            ?.filter(({ status: is }) => is === 'True')
            .map(({ type, reason }) => [type, reason]);
          if (status.finishedAt === undefined) continue;
          expect(finished.get(metadata.uid) ?? outcome).toEqual(outcome);
          finished.set(metadata.uid, outcome);
        }
      }
      // In the end everything is over, and nothing is left to do.
      on.world.etcdAnswers = true;
      on.clusterExists = true;
      look(on);
      handOver(on);
      look(on);
      on.world.now += 200_000;
      look(on);
      look(on);
      expect([...on.objects.keys()].filter((name) => ends(on, name) === undefined)).toEqual([]);
      expect([...on.records.values()].some(({ record }) => record?.state === 'running')).toBe(false);
      expect(on.requests.size).toBe(0);
      expect(look(on)).toEqual([]);
      expect(observed(on).operations.every(({ status }) => status.observedGeneration > 0)).toBe(true);
      expect(atTime(on)).toBeDefined();
    }),
    { numRuns: 150 },
  );
});
