/** What etcd's members keep on their disks: copied, put back, or lost. Local cluster only. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { ApiServer } from './api-server.ts';
import type { ClusterAccess } from './cluster-access.ts';
import { run } from './command.ts';
import { systemNamespace } from './deployment.ts';
import { etcdMembers } from './etcd-members.ts';
import { etcdOf, signalTo } from './pod-processes.ts';
import { notYet, seconds, until, yes } from './until.ts';
import { volumeFolder } from './volume-disks.ts';

export interface EtcdData {
  /** As a power cut would leave it at this moment, on all members alike; the returned function makes it their data again. */
  readonly copy: () => Promise<() => Promise<void>>;
  readonly wipe: () => Promise<void>;
}

const statefulSet = 'mainstay-etcd';

export function etcdDataOf(access: ClusterAccess, api: ApiServer, signal: AbortSignal): EtcdData {
  const inNamespace = ['--namespace', systemNamespace];
  const scale = async (replicas: number): Promise<void> => {
    await access.kubectl(['scale', ...inNamespace, `statefulset/${statefulSet}`, `--replicas=${replicas}`]);
  };
  const folders = async (): Promise<readonly string[]> =>
    Promise.all(
      (await etcdMembers(api)).members.map(async ({ pod, node }) =>
        path.join(await volumeFolder(node, systemNamespace, `data-${pod}`), 'data'),
      ),
    );
  const whileDown = async (work: () => Promise<void>): Promise<void> => {
    const { length } = (await etcdMembers(api)).members;
    await scale(0);
    try {
      await until(
        'no member of etcd',
        async () => {
          const left = (await etcdMembers(api)).members.length;
          return left === 0 ? yes(undefined) : notYet(`${left}`);
        },
        { within: seconds(60), signal },
      );
      await work();
    } finally {
      await scale(length);
    }
    await until(
      'etcd with all its members and a leader',
      async () => {
        const etcd = await etcdMembers(api);
        await etcd.leader();
        return etcd.members.length === length ? yes(undefined) : notYet(`${etcd.members.length} members`);
      },
      { within: seconds(90), signal },
    );
  };
  return {
    copy: async () => {
      const data = await folders();
      const members = await Promise.all((await etcdMembers(api)).members.map(({ podUid }) => etcdOf(podUid)));
      const copyOf = (folder: string): string => `${folder}.copy`;
      signalTo(members, 'SIGSTOP');
      try {
        for (const folder of data) {
          await rm(copyOf(folder), { recursive: true, force: true });
          await run('cp', ['--archive', folder, copyOf(folder)]);
        }
      } finally {
        signalTo(members, 'SIGCONT');
      }
      return () =>
        whileDown(async () => {
          for (const folder of data) {
            await rm(folder, { recursive: true });
            await run('mv', [copyOf(folder), folder]);
          }
        });
    },
    wipe: async () => {
      const data = await folders();
      await whileDown(async () => {
        for (const folder of data) await rm(folder, { recursive: true });
      });
    },
  };
}
