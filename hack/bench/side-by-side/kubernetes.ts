/** The table of what was measured through a Service and Pods: Mainstay's figures by `make bench-cluster`, CloudNativePG's once. */
import { percentile } from '../statistics.ts';
import { inSeconds } from '../markdown.ts';
import type { Published } from '../results.ts';

/** Seconds; what was measured once has no median. */
interface Measured {
  readonly n: number;
  readonly min: number;
  readonly median?: number;
  readonly max: number;
}

/**
 * CloudNativePG 1.30.0 with PostgreSQL 18.6 on this local cluster, 2026-11-21: the release's manifest, its operator's limits raised
 * and its operator on a node that was never hurt; three instances, `synchronous: any 1, dataDurability: required`, all else
 * default; the same writer through the `-rw` Service. Taken by hand; there is no raw data of single runs.
 */
const cloudNativePg: Readonly<Record<string, Measured | 'not back after 10 min'>> = {
  switchover: { n: 3, min: 8.54, median: 8.75, max: 8.79 },
  'postgres-killed': { n: 3, min: 9.4, median: 9.72, max: 10.27 },
  'agent-killed': { n: 2, min: 25.4, max: 26.1 },
  'node-lost': { n: 2, min: 104.6, max: 109.8 },
  'node-partitioned': { n: 1, min: 103, max: 103 },
  'postgres-stopped': 'not back after 10 min',
};

export function kubernetesTable(series: Published['series']): readonly (readonly string[])[] {
  return [
    ['Case', 'Mainstay p50', 'max', 'n', 'CloudNativePG min', 'median', 'max', 'n'],
    ...Object.entries(cloudNativePg).flatMap(([name, other]) => {
      const own = series[name];
      if (own === undefined || own.runs.length === 0) return [];
      const outages = own.runs.map((run) => run.outageMs);
      return [
        [
          own.title,
          inSeconds(percentile(outages, 50)),
          inSeconds(Math.max(...outages)),
          String(own.runs.length),
          ...(typeof other === 'string'
            ? [other, '–', '–', '1']
            : [
                `${other.min} s`,
                other.median === undefined ? '–' : `${other.median} s`,
                `${other.max} s`,
                String(other.n),
              ]),
        ],
      ];
    }),
  ];
}
