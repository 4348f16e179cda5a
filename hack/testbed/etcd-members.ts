/** The etcd that the chart brings, seen from this machine by the addresses of its Pods: it answers with the API server down too. */
import type { V1Pod } from '@kubernetes/client-node';
import { request } from 'undici';
import { z } from 'zod';
import type { ApiServer } from './api-server.ts';
import { systemNamespace } from './deployment.ts';
import { notYet, seconds, until, yes } from './until.ts';

export interface EtcdMember {
  readonly pod: string;
  readonly podUid: string;
  readonly node: string;
  readonly url: string;
  readonly ip: string;
  readonly metricsUrl: string;
}

export interface EtcdMembers {
  readonly members: readonly EtcdMember[];
  readonly leader: () => Promise<EtcdMember>;
  /** As it calls itself; another after it was made anew. */
  readonly clusterId: () => Promise<string>;
  /** Resolves when that member leads. */
  readonly giveLeadershipTo: (member: EtcdMember) => Promise<void>;
  /** Requests that the members have answered since they started, by method, all members together. */
  readonly requests: () => Promise<ReadonlyMap<string, number>>;
}

const selector = 'app.kubernetes.io/component=etcd';
const callMs = 2_000;

const Status = z.object({
  leader: z.string().optional(),
  header: z.object({ member_id: z.string(), cluster_id: z.string() }),
});

/** As they are now: a member whose Pod is replaced has another address. */
export async function etcdMembers(api: ApiServer): Promise<EtcdMembers> {
  const list = await api.get<{ readonly items: readonly V1Pod[] }>(
    `/api/v1/namespaces/${systemNamespace}/pods?labelSelector=${encodeURIComponent(selector)}`,
  );
  const members = (list?.items ?? [])
    .filter((pod) => pod.status?.podIP !== undefined)
    .map((pod) => ({
      pod: pod.metadata?.name ?? '',
      podUid: pod.metadata?.uid ?? '',
      node: pod.spec?.nodeName ?? '',
      ip: pod.status?.podIP ?? '',
      url: `http://${pod.status?.podIP ?? ''}:2379`,
      metricsUrl: `http://${pod.status?.podIP ?? ''}:2381/metrics`,
    }));
  const idOf = async (member: EtcdMember): Promise<string> => (await statusOf(member)).header.member_id;
  const leader = async (): Promise<EtcdMember> => {
    for (const member of members) {
      const status = await statusOf(member).catch(() => undefined);
      // A member leads if the leader that it knows is itself.
      if (status?.leader !== undefined && status.leader === status.header.member_id) return member;
    }
    throw new Error('no member of etcd leads');
  };

  return {
    members,
    leader,
    clusterId: async () => (await statusOf(await leader())).header.cluster_id,
    giveLeadershipTo: async (member) => {
      const targetID = await idOf(member);
      await until(
        `etcd led by ${member.pod}`,
        async () => {
          const now = await leader();
          if (now.pod === member.pod) return yes(undefined);
          await post(`${now.url}/v3/maintenance/transfer-leadership`, { targetID });
          return notYet(`led by ${now.pod}`);
        },
        { within: seconds(30) },
      );
    },
    requests: async () => {
      const total = new Map<string, number>();
      for (const member of members) {
        const { body } = await request(member.metricsUrl, { signal: AbortSignal.timeout(callMs) });
        for (const [method, count] of handled(await body.text())) total.set(method, (total.get(method) ?? 0) + count);
      }
      return total;
    },
  };
}

/** Messages received by each gRPC method; the JSON gateway calls gRPC, so it is counted too. A stream's every message counts. */
export function handled(metrics: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const line of metrics.split('\n')) {
    const match = /^grpc_server_msg_received_total\{.*grpc_method="(\w+)".*\} (\S+)$/.exec(line);
    if (match?.[1] !== undefined) counts.set(match[1], (counts.get(match[1]) ?? 0) + Number(match[2]));
  }
  return counts;
}

async function statusOf(member: EtcdMember): Promise<z.output<typeof Status>> {
  return Status.parse(await post(`${member.url}/v3/maintenance/status`, {}));
}

async function post(url: string, body: object): Promise<unknown> {
  const answer = await request(url, {
    method: 'POST',
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(callMs),
  });
  const text = await answer.body.text();
  if (answer.statusCode !== 200) throw new Error(`${url}: ${answer.statusCode} ${text.slice(0, 200)}`);
  return JSON.parse(text);
}
