import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { layout } from '../../../operator/engines/postgres/layout.ts';
import { postgresqlConf } from '../../../operator/engines/postgres/config.ts';
import { definitionFor } from '../../../operator/resources/definition.ts';
import { sampleCluster } from '../../../operator/resources/sample-cluster.ts';
import { patroniConfig, patroniSettings, sharedParameters } from './patroni-config.ts';

test('Patroni’s servers get Mainstay’s parameters, but for what each arranges for itself', () => {
  const definition = { ...definitionFor(sampleCluster()), parameters: { work_mem: "it's" } };
  const own = postgresqlConf(definition, layout('/v', '18'));
  const shared = sharedParameters(own);
  expect(shared).toMatchObject({ max_connections: '200', wal_sender_timeout: '5s', fsync: 'on', work_mem: "it's" });
  expect(Object.keys(shared).filter((name) => /^(port|hba_file|primary_|restore_|log_dir|logging)/.test(name))).toEqual(
    [],
  );
});

test.each(patroniSettings)('$name: what Patroni demands of them holds', (settings) => {
  expect(settings.loopWait + 2 * settings.retryTimeout).toBeLessThanOrEqual(settings.ttl);
  const text = patroniConfig({ name: 'a', address: '10.9.0.20' }, settings, ['10.9.0.20:2379'], { work_mem: '4MB' });
  expect(parse(text)).toMatchObject({
    etcd3: { hosts: ['10.9.0.20:2379'] },
    bootstrap: { dcs: { ttl: settings.ttl, synchronous_mode: true, postgresql: { parameters: { work_mem: '4MB' } } } },
    postgresql: { listen: '10.9.0.20:5432' },
  });
});
