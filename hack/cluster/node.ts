/** A node: containerd, kubelet and kube-proxy in a network namespace and a cgroup, with a disk that survives a power-off. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCgroup, killCgroup, processesIn, removeCgroup } from './cgroups.ts';
import { resolvConf } from './dns.ts';
import { binFolder, dnsAddress, layoutOf, podsCidr, type NodeLayout, type NodeName } from './layout.ts';
import { unmountBelow } from './mounts.ts';
import { createNodeNetwork, unplug } from './network.ts';
import { certificateFile, keyFile, kubeconfigOf } from './pki.ts';
import { run, start, waitFor, type Daemon } from './process.ts';

export const pauseImage = 'mainstay.dev/pause:1';

export function daemonsOf(name: NodeName): readonly Daemon[] {
  const node = layoutOf(name);
  return [containerd(node), kubelet(node), kubeProxy(node)];
}

export const isPoweredOn = (name: NodeName): boolean => processesIn(layoutOf(name).cgroup).length > 0;

/** Network, cgroup and containerd: as far as a node gets without a control plane. */
export async function bootNode(name: NodeName, signal: AbortSignal): Promise<void> {
  const node = layoutOf(name);
  writeConfiguration(node);
  createCgroup(node.cgroup);
  await createNodeNetwork(name, signal);
  const started = start(containerd(node));
  await waitFor(
    `containerd of ${name}`,
    async () => (existsSync(node.containerdSocket) ? ctr(name, ['version'], signal) : undefined),
    { timeoutMs: 30_000, signal, daemons: [started] },
  );
}

export function joinCluster(name: NodeName): void {
  const node = layoutOf(name);
  start(kubelet(node));
  start(kubeProxy(node));
}

/** Nothing of the node runs when this resolves, and nobody has heard a farewell: the cable is pulled before the first kill. */
export async function cutPower(name: NodeName): Promise<void> {
  const node = layoutOf(name);
  await unplug(name);
  await killCgroup(node.cgroup);
  // From here on what a reboot clears, and what containerd leaves outside its own folders.
  for (const socket of shimSockets(node)) rmSync(socket, { force: true });
  await unmountBelow([node.runtime, node.disk]);
  rmSync(node.runtime, { recursive: true, force: true });
  await removeCgroup(node.cgroup);
}

/** Runs containerd's client on the node. */
export async function ctr(name: NodeName, args: readonly string[], signal: AbortSignal): Promise<string> {
  return run('ctr', ['-a', layoutOf(name).containerdSocket, '-n', 'k8s.io', ...args], { signal, timeoutMs: 300_000 });
}

function shimSockets(node: NodeLayout): readonly string[] {
  const tasks = join(node.runtime, 'state', 'io.containerd.runtime.v2.task', 'k8s.io');
  if (!existsSync(tasks)) return [];
  return readdirSync(tasks).flatMap((task) => {
    const file = join(tasks, task, 'address');
    return existsSync(file)
      ? [
          readFileSync(file, 'utf8')
            .trim()
            .replace(/^unix:\/\//, ''),
        ]
      : [];
  });
}

function containerd(node: NodeLayout): Daemon {
  return inNode(node, 'containerd', 'containerd', ['-c', join(node.disk, 'containerd.toml')]);
}

function kubelet(node: NodeLayout): Daemon {
  return inNode(node, 'kubelet', join(binFolder, 'kubelet'), [
    `--config=${join(node.disk, 'kubelet.json')}`,
    `--kubeconfig=${kubeconfigOf(node.name)}`,
    `--root-dir=${join(node.disk, 'kubelet')}`,
    `--cert-dir=${join(node.disk, 'kubelet-pki')}`,
    `--hostname-override=${node.name}`,
    `--node-ip=${node.address}`,
    `--node-labels=topology.kubernetes.io/zone=${node.zone}`,
  ]);
}

function kubeProxy(node: NodeLayout): Daemon {
  return inNode(node, 'kube-proxy', join(binFolder, 'kube-proxy'), [
    `--kubeconfig=${kubeconfigOf('proxy')}`,
    '--proxy-mode=nftables',
    `--hostname-override=${node.name}`,
    `--cluster-cidr=${podsCidr}`,
    // These settings of the kernel belong to the host and can't be written from a namespace.
    '--conntrack-max-per-core=0',
    '--conntrack-tcp-timeout-established=0',
    '--conntrack-tcp-timeout-close-wait=0',
    `--healthz-bind-address=${node.address}:10256`,
    '--metrics-bind-address=127.0.0.1:10249',
  ]);
}

function inNode(node: NodeLayout, name: string, command: string, args: readonly string[]): Daemon {
  return { name, cgroup: node.cgroup, netns: node.netns, command, args };
}

function writeConfiguration(node: NodeLayout): void {
  const cni = join(node.disk, 'cni');
  mkdirSync(cni, { recursive: true });
  mkdirSync(join(node.disk, 'volumes'), { recursive: true });
  mkdirSync(node.runtime, { recursive: true });
  writeFileSync(join(cni, '10-mainstay.conflist'), JSON.stringify(cniConfiguration(node), null, 2));
  writeFileSync(join(node.disk, 'kubelet.json'), JSON.stringify(kubeletConfiguration(node), null, 2));
  writeFileSync(join(node.disk, 'containerd.toml'), containerdConfiguration(node, cni));
}

/** Routed, not bridged: traffic between Pods of a node then passes kube-proxy's rules without help from br_netfilter. */
function cniConfiguration(node: NodeLayout): object {
  return {
    cniVersion: '1.0.0',
    name: 'mainstay',
    plugins: [
      {
        type: 'ptp',
        ipMasq: false,
        ipam: {
          type: 'host-local',
          dataDir: join(node.disk, 'addresses'),
          ranges: [[{ subnet: node.podCidr }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
    ],
  };
}

function containerdConfiguration(node: NodeLayout, cni: string): string {
  return `version = 2
root = "${node.disk}/containerd"
state = "${node.runtime}/state"
# "opt" would make a folder in /opt.
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "${node.containerdSocket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  # Without CAP_SYS_RESOURCE runc can't lower oom_score_adj and would fail.
  restrict_oom_score_adj = true
  # Pods' namespaces belong to the node that made them, and go with it.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${cni}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "${node.runtime}/runc"
`;
}

function kubeletConfiguration(node: NodeLayout): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      x509: { clientCAFile: certificateFile('ca') },
      webhook: { enabled: true },
      anonymous: { enabled: false },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: certificateFile(node.name),
    tlsPrivateKeyFile: keyFile(node.name),
    clusterDNS: [dnsAddress],
    clusterDomain: 'cluster.local',
    resolvConf,
    containerRuntimeEndpoint: `unix://${node.containerdSocket}`,
    volumePluginDir: join(node.disk, 'volume-plugins'),
    // Each kubelet removes the logs of Pods that it doesn't know: in a folder shared by three, everybody's.
    podLogsDir: join(node.disk, 'pod-logs'),
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${node.cgroup}`,
    failCgroupV1: false,
    failSwapOn: false,
    // The three nodes share one machine: none may reserve or reclaim what belongs to all.
    enforceNodeAllocatable: [],
    localStorageCapacityIsolation: false,
    evictionHard: {
      'imagefs.available': '0%',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'memory.available': '100Mi',
    },
    imageGCHighThresholdPercent: 100,
    makeIPTablesUtilChains: false,
  };
}
