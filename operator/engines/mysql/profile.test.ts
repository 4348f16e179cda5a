import { expect, test } from '@jest/globals';
import { parseMySQLCluster } from '../../api/mysql-cluster.ts';
import { lockedSettings } from './config.ts';
import { layout } from './layout.ts';
import { mysqlProfile } from './profile.ts';

const cluster = (spec: object) =>
  parseMySQLCluster({
    apiVersion: 'mainstay.dev/v1alpha1',
    kind: 'MySQLCluster',
    metadata: { name: 'orders' },
    spec: { storage: { size: '20Gi' }, ...spec },
  });

// The user's own init_connect is put behind the agent's.
const locked = Object.keys(lockedSettings(layout('/v'), 1))
  .map((name) => name.replace(/^loose_/, ''))
  .filter((name) => name !== 'init_connect');

test.each(locked)('%s, which the agent sets, is refused in the spec', (name) => {
  expect(() => cluster({ mysql: { parameters: { [name]: '1' } } })).toThrow(/spec\.mysql\.parameters/);
});

test('the buffer pool follows from the memory, within what a container has', () => {
  const limits = { memory: '8Gi' };
  const large = cluster({ resources: { limits } });
  expect(mysqlProfile.definition(large, mysqlProfile.settings(large))).toEqual({
    defaults: { innodb_buffer_pool_size: '5589958656', innodb_redo_log_capacity: '1073741824' },
  });
  const generous = cluster({ resources: { requests: limits, limits: { memory: '4Ti' } } });
  const settings = mysqlProfile.settings(large);
  expect(mysqlProfile.definition(generous, settings)).toEqual(mysqlProfile.definition(large, settings));
  const small = cluster({});
  expect(mysqlProfile.definition(small, mysqlProfile.settings(small))).toEqual({});
  const greedy = cluster({ resources: { limits }, mysql: { parameters: { innodb_buffer_pool_size: '7G' } } });
  expect(mysqlProfile.settingsProblems(greedy)).toEqual([expect.stringContaining('at most three quarters')]);
});

test('an application finds the primary by the Secret', () => {
  const access = { host: 'orders-rw.shop.svc', everyHost: 'x', database: 'app', user: 'app', password: 'a/b' };
  expect(mysqlProfile.addresses(access)).toMatchObject({ uri: 'mysql://app:a%2Fb@orders-rw.shop.svc:3306/app' });
});
