/** etcd, API server, controller manager and scheduler, as processes of the host. */
import { join } from 'node:path';
import { apiIsReady } from './api.ts';
import { binFolder, controlPlaneCgroup, gateway, serviceCidr, stateFolder } from './layout.ts';
import { certificateFile, keyFile, kubeconfigOf } from './pki.ts';
import { isRunning, kill, start, waitFor, type Daemon, type StartedDaemon } from './process.ts';

const etcdUrl = 'http://127.0.0.1:12379';
const ca = certificateFile('ca');

const etcd = daemon('etcd', [
  `--data-dir=${join(stateFolder, 'etcd')}`,
  `--listen-client-urls=${etcdUrl}`,
  `--advertise-client-urls=${etcdUrl}`,
  '--listen-peer-urls=http://127.0.0.1:12380',
  '--initial-advertise-peer-urls=http://127.0.0.1:12380',
  '--initial-cluster=default=http://127.0.0.1:12380',
  // The control plane isn't what is tested for durability, and the databases need the disk.
  '--unsafe-no-fsync',
]);

const apiServer = daemon('kube-apiserver', [
  `--etcd-servers=${etcdUrl}`,
  '--bind-address=0.0.0.0',
  `--advertise-address=${gateway}`,
  '--secure-port=6443',
  `--tls-cert-file=${certificateFile('apiserver')}`,
  `--tls-private-key-file=${keyFile('apiserver')}`,
  `--client-ca-file=${ca}`,
  `--kubelet-client-certificate=${certificateFile('admin')}`,
  `--kubelet-client-key=${keyFile('admin')}`,
  `--kubelet-certificate-authority=${ca}`,
  // Node names resolve nowhere.
  '--kubelet-preferred-address-types=InternalIP',
  `--service-account-key-file=${keyFile('service-accounts')}`,
  `--service-account-signing-key-file=${keyFile('service-accounts')}`,
  '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
  `--service-cluster-ip-range=${serviceCidr}`,
  '--authorization-mode=Node,RBAC',
  '--enable-admission-plugins=NodeRestriction',
  '--allow-privileged',
]);

const controllerManager = daemon('kube-controller-manager', [
  `--kubeconfig=${kubeconfigOf('controller-manager')}`,
  `--service-account-private-key-file=${keyFile('service-accounts')}`,
  `--root-ca-file=${ca}`,
  `--cluster-signing-cert-file=${ca}`,
  `--cluster-signing-key-file=${keyFile('ca')}`,
  '--use-service-account-credentials',
  '--leader-elect=false',
]);

const scheduler = daemon('kube-scheduler', [`--kubeconfig=${kubeconfigOf('scheduler')}`, '--leader-elect=false']);

export const controlPlane: readonly Daemon[] = [etcd, apiServer, controllerManager, scheduler];

/** Kills the API server alone: what runs goes on, but nobody is told of anything any more. */
export async function killApiServer(signal: AbortSignal): Promise<void> {
  await kill(apiServer, signal);
}

export async function startApiServer(signal: AbortSignal): Promise<void> {
  if (!isRunning(apiServer)) start(apiServer);
  await apiServerReady([], signal);
}

/** Resolves when the API server is ready; the others catch up by themselves. */
export async function startControlPlane(signal: AbortSignal): Promise<void> {
  const needed = [start(etcd), start(apiServer)];
  await apiServerReady(needed, signal);
  start(controllerManager);
  start(scheduler);
}

async function apiServerReady(daemons: readonly StartedDaemon[], signal: AbortSignal): Promise<void> {
  await waitFor('API server', async () => (await apiIsReady(signal)) || undefined, {
    timeoutMs: 90_000,
    signal,
    daemons,
  });
}

function daemon(name: string, args: readonly string[]): Daemon {
  return { name, cgroup: controlPlaneCgroup, command: join(binFolder, name), args };
}
