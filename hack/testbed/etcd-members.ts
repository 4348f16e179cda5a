/** The etcd that the chart brings, seen from this machine by the addresses of its Pods: it answers with the API server down too. */
import type { V1Pod } from '@kubernetes/client-node';
import { request } from 'undici';
import { z } from 'zod';
import type { ApiServer } from './api-server.ts';
import { systemNamespace } from './deployment.ts';
import { notYet, seconds, until, yes } from './until.ts';

/** Where a member answers, and on which node it runs. */
export interface EtcdAddress {
  readonly node: string;
  readonly url: string;
  readonly metricsUrl: string;
}

export interface EtcdMember extends EtcdAddress {
  readonly pod: string;
  readonly podUid: string;
  readonly ip: string;
}

export interface EtcdMembers<Member extends EtcdAddress = EtcdMember> {
  readonly members: readonly Member[];
  readonly leader: () => Promise<Member>;
  /** As it calls itself; another after it was made anew. */
  readonly clusterId: () => Promise<string>;
  /** Of the cluster's history; each transaction that writes makes one more. */
  readonly revision: () => Promise<number>;
  /** Resolves when that member leads. */
  readonly giveLeadershipTo: (member: EtcdAddress) => Promise<void>;
  /** Requests that the members have answered since they started, by method, all members together. */
  readonly requests: () => Promise<ReadonlyMap<string, number>>;
}

const selector = 'app.kubernetes.io/component=etcd';
const callMs = 2_000;

const Status = z.object({
  leader: z.string().optional(),
  header: z.object({ member_id: z.string(), cluster_id: z.string(), revision: z.coerce.number().default(0) }),
});

/** As they are now: a member whose Pod is replaced has another address. */
export async function etcdMembers(api: ApiServer): Promise<EtcdMembers> {
  const list = await api.get<{ readonly items: readonly V1Pod[] }>(
    `/api/v1/namespaces/${systemNamespace}/pods?labelSelector=${encodeURIComponent(selector)}`,
  );
  return etcdMembersAt(
    (list?.items ?? [])
      .filter((pod) => pod.status?.podIP !== undefined)
      .map((pod) => ({
        pod: pod.metadata?.name ?? '',
        podUid: pod.metadata?.uid ?? '',
        node: pod.spec?.nodeName ?? '',
        ip: pod.status?.podIP ?? '',
        url: `http://${pod.status?.podIP ?? ''}:2379`,
        metricsUrl: `http://${pod.status?.podIP ?? ''}:2381/metrics`,
      })),
  );
}

export function etcdMembersAt<Member extends EtcdAddress>(members: readonly Member[]): EtcdMembers<Member> {
  const idOf = async (member: EtcdAddress): Promise<string> => (await statusOf(member)).header.member_id;
  const leader = async (): Promise<Member> => {
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
    revision: async () => (await statusOf(await leader())).header.revision,
    giveLeadershipTo: async (member) => {
      const targetID = await idOf(member);
      await until(
        `etcd led by the member on ${member.node}`,
        async () => {
          const now = await leader();
          if (now.url === member.url) return yes(undefined);
          await post(`${now.url}/v3/maintenance/transfer-leadership`, { targetID });
          return notYet(`led by the one on ${now.node}`);
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

async function statusOf(member: EtcdAddress): Promise<z.output<typeof Status>> {
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
