import { expect, test } from '@jest/globals';
import { readSettings } from './settings.ts';

const given = {
  MAINSTAY_ETCD_ENDPOINTS: 'http://a:2379, http://b:2379',
  MAINSTAY_ETCD_CREDENTIALS: '/etc/mainstay/etcd',
  MAINSTAY_IMAGE: 'mainstay:1',
  MAINSTAY_POSTGRES_IMAGE_18: 'postgres:18',
  'MAINSTAY_MYSQL_IMAGE_9.7': 'mysql:9.7',
  MAINSTAY_POSTGRES_IMAGE_17: '',
  MAINSTAY_NODES: 'false',
  MAINSTAY_FENCING: 'true',
  POD_NAME: 'operator-1',
  POD_NAMESPACE: 'mainstay',
};

test('reads the environment', () => {
  expect(readSettings(given)).toEqual({
    installation: {
      etcdUserPerCluster: false,
      mainstayImage: 'mainstay:1',
      images: { postgres: { '18': 'postgres:18' }, mysql: { '9.7': 'mysql:9.7' } },
      etcdEndpoints: ['http://a:2379', 'http://b:2379'],
    },
    etcdCredentials: '/etc/mainstay/etcd',
    watchNamespace: undefined,
    nodes: false,
    fencing: true,
    podName: 'operator-1',
    podNamespace: 'mainstay',
    kubeconfig: undefined,
    httpPort: 8080,
  });
});

test('names everything that is missing', () => {
  expect(() => readSettings({})).toThrow(/MAINSTAY_ETCD_ENDPOINTS.*MAINSTAY_IMAGE.*POD_NAME/);
});
