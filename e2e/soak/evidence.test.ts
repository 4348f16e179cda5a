import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Dcs } from '../../operator/dcs/dcs.ts';
import { etcdDcs } from '../../operator/dcs/etcd.ts';
import { findEtcdBinary, startEtcd, type LocalEtcd } from '../../operator/dcs/local-etcd.ts';
import { systemClock } from '../../operator/platform/clock.ts';
import { historyOf } from './evidence.ts';

const binary = await findEtcdBinary();

(binary === undefined ? describe.skip : describe)('what etcd’s history leaves', () => {
  let etcd: LocalEtcd;
  let dcs: Dcs;
  const written: number[] = [];
  const url = (): string => etcd.urls[0] ?? '';
  const revisionsIn = (lines: readonly string[]) =>
    lines.map((line) => (JSON.parse(line) as { revision?: number }).revision).filter((one) => one !== undefined);

  beforeAll(async () => {
    etcd = await startEtcd(binary ?? '', { size: 1 });
    dcs = etcdDcs({ endpoints: etcd.urls, clock: systemClock });
    for (const value of ['one', 'two', 'three']) {
      const result = await dcs.txn([], [{ put: '/mainstay/shop/epoch', value }], { milliseconds: 5_000 });
      if (result.outcome === 'applied') written.push(result.revision);
      await dcs.txn([], [{ put: '/mainstay/shopping/epoch', value: 'of another cluster' }], { milliseconds: 5_000 });
    }
  }, 60_000);
  afterAll(async () => {
    await dcs.close();
    await etcd.stop();
  }, 30_000);

  test('every change under the prefix, in order', async () => {
    const lines = await historyOf(url(), '/mainstay/shop/');
    expect(revisionsIn(lines)).toEqual(written);
    expect(lines.map((line) => (JSON.parse(line) as { value?: string }).value)).toEqual(['one', 'two', 'three']);
  });

  test('what is left after a compaction, which is said', async () => {
    await etcd.compact(written[1] ?? 0);
    const lines = await historyOf(url(), '/mainstay/shop/');
    expect(lines[0]).toBe(JSON.stringify({ compactedUpTo: written[1] }));
    expect(revisionsIn(lines)).toEqual(written.slice(1));
  });
});
