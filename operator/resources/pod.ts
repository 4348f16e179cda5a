import type {
  V1Affinity,
  V1EnvVar,
  V1Pod,
  V1SecurityContext,
  V1Toleration,
  V1Volume,
  V1VolumeProjection,
} from '@kubernetes/client-node';
import type { InstanceName } from '../api/cluster-state.ts';
import type { DatabaseCluster } from '../api/database-cluster.ts';
import type { Wire } from '../platform/wire.ts';
import { profileOf } from '../engines/profiles.ts';
import type { Installation } from './installation.ts';
import { dataVersion } from '../api/database-cluster.ts';
import { intentHash } from './intent.ts';
import { annotations, instanceLabels, podSelector } from './labels.ts';
import { agentPort, secretNames, serviceNames, volumeName, type VolumeContent } from './names.ts';
import { ownerReference } from './owner.ts';
import { containerResources } from './pod-resources.ts';

export interface PodFacts {
  readonly installation: Installation;
  readonly image: string;
  /** Identity of the data, part of the prefix in etcd. */
  readonly dataUid: string;
  /** Of the volumes that it mounts. */
  readonly volumeSerial?: number | undefined;
}

const hostname = 'kubernetes.io/hostname';

/** The Pod of one instance. Bare: any instance can go, and a Pod is replaced only when our intent changes. */
export function podFor(cluster: DatabaseCluster, instance: InstanceName, facts: PodFacts): Wire<V1Pod> {
  const { namespace, generation } = cluster.metadata;
  const wanted = intent(cluster, instance, facts);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: instance,
      namespace,
      labels: { ...wanted.labels, ...instanceLabels(cluster, instance) },
      annotations: {
        ...wanted.annotations,
        [annotations.intent]: intentHash(wanted),
        [annotations.inputs]: podInputs(cluster, facts),
        [annotations.generation]: String(generation),
        [annotations.resources]: JSON.stringify(cluster.spec.resources ?? null),
      },
      ownerReferences: [ownerReference(cluster)],
    },
    spec: wanted.spec,
  };
}

/** Hash that the instance's Pod should carry. */
export function podIntent(cluster: DatabaseCluster, instance: InstanceName, facts: PodFacts): string {
  return intentHash(intent(cluster, instance, facts));
}

/**
 * Hash of what users and administrators decide about Pods. Beside `podIntent` it tells a change of theirs from one that an
 * upgrade of the operator brings (its images, what it writes into Pods), for which no database needs to stop.
 */
export function podInputs(
  cluster: DatabaseCluster,
  { installation, dataUid, volumeSerial = 1 }: Omit<PodFacts, 'image'>,
): string {
  const { image, pod, resources, affinity } = cluster.spec;
  const profile = profileOf(cluster);
  return intentHash({
    image: image ?? { of: dataVersion(cluster) },
    pod: { ...pod },
    resources,
    affinity,
    log: profile.logVolume(cluster) !== undefined,
    init: profile.initFiles(cluster),
    etcd: installation.etcdEndpoints,
    guarded: installation.etcdCredentials !== undefined,
    dataUid,
    ...(volumeSerial > 1 && { volumeSerial }),
  });
}

/** Everything whose change replaces the Pod, and nothing else. */
function intent(cluster: DatabaseCluster, instance: InstanceName, facts: PodFacts) {
  const { name } = cluster.metadata;
  const { pod, affinity } = cluster.spec;
  const { requests, limits } = containerResources(cluster);
  const resources = { ...(requests && { requests: { ...requests } }), ...(limits && { limits: { ...limits } }) };
  const profile = profileOf(cluster);
  return {
    labels: { ...pod?.labels },
    annotations: { ...pod?.annotations },
    spec: {
      serviceAccountName: name,
      // The agent's container mounts one; the others have no use for it.
      automountServiceAccountToken: false,
      hostname: instance,
      subdomain: serviceNames.pods(name),
      restartPolicy: 'Always',
      // The agent hands over, then stops the database; a Pod that is killed earlier is a crash, not a hand-over.
      terminationGracePeriodSeconds: 60,
      enableServiceLinks: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: profile.user,
        runAsGroup: profile.user,
        fsGroup: profile.user,
        // A change of owner on each file of a large volume would take longer than any failover.
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      ...(pod?.priorityClassName !== undefined && { priorityClassName: pod.priorityClassName }),
      ...(affinity.nodeSelector !== undefined && { nodeSelector: { ...affinity.nodeSelector } }),
      affinity: spread(cluster),
      tolerations: tolerations(cluster),
      initContainers: [
        {
          name: 'install-agent',
          image: facts.installation.mainstayImage,
          imagePullPolicy: 'IfNotPresent',
          command: ['/opt/mainstay/node', '/opt/mainstay/agent.mjs', 'install', '/mainstay'],
          securityContext: restricted(),
          // The same as the database's: costs nothing, and keeps a Guaranteed Pod guaranteed.
          resources,
          volumeMounts: [{ name: 'mainstay', mountPath: '/mainstay' }],
        },
      ],
      containers: [
        {
          name: profile.engine,
          image: facts.image,
          imagePullPolicy: 'IfNotPresent',
          command: ['bash', '/mainstay/init', '/mainstay/node', ...smallHeap, '/mainstay/agent.mjs', 'run'],
          env: environment(cluster, instance, facts),
          ports: [
            { name: profile.engine, containerPort: profile.port, protocol: 'TCP' },
            { name: 'agent', containerPort: agentPort, protocol: 'TCP' },
          ],
          livenessProbe: {
            httpGet: { path: '/livez', port: 'agent' },
            initialDelaySeconds: 5,
            periodSeconds: 5,
            timeoutSeconds: 3,
            failureThreshold: 6,
          },
          readinessProbe: {
            httpGet: { path: '/readyz', port: 'agent' },
            periodSeconds: 1,
            timeoutSeconds: 1,
            failureThreshold: 3,
          },
          resources,
          securityContext: restricted(),
          volumeMounts: [
            { name: 'data', mountPath: '/var/lib/mainstay' },
            ...(profile.logVolume(cluster) ? [{ name: 'wal', mountPath: walVolume }] : []),
            { name: 'mainstay', mountPath: '/mainstay', readOnly: true },
            { name: 'run', mountPath: '/run/mainstay' },
            { name: 'tmp', mountPath: '/tmp' },
            { name: 'shm', mountPath: '/dev/shm' },
            { name: 'token', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true },
            { name: 'system', mountPath: '/etc/mainstay/system', readOnly: true },
            { name: 'tls', mountPath: '/etc/mainstay/tls', readOnly: true },
            ...(hasInitFiles(cluster) ? [{ name: 'init', mountPath: '/etc/mainstay/init', readOnly: true }] : []),
            ...(withEtcdSecret(facts) ? [{ name: 'etcd', mountPath: etcdCredentials, readOnly: true }] : []),
          ],
        },
      ],
      volumes: volumes(cluster, instance, facts),
    },
  };
}

/**
 * Node sizes its heap by the machine; the agent lives beside a database, whose memory it is. What it computes is little, so
 * that optimising compilers cost more than they save: together 123 → 91 MB resident in a trial.
 */
const smallHeap: readonly string[] = [
  '--max-semi-space-size=1',
  '--max-old-space-size=96',
  '--optimize-for-size',
  '--no-maglev',
  '--no-turbofan',
];

function environment(cluster: DatabaseCluster, instance: InstanceName, facts: PodFacts): Wire<V1EnvVar[]> {
  const { name, namespace } = cluster.metadata;
  return [
    { name: 'MAINSTAY_ENGINE', value: profileOf(cluster).engine },
    { name: 'MAINSTAY_NAMESPACE', value: namespace },
    { name: 'MAINSTAY_CLUSTER', value: name },
    { name: 'MAINSTAY_CLUSTER_UID', value: facts.dataUid },
    // One heap of malloc for all of Node's threads, which gives back what is free: 5 MB in a trial.
    { name: 'MALLOC_ARENA_MAX', value: '1' },
    { name: 'MALLOC_MMAP_THRESHOLD_', value: '65536' },
    { name: 'MALLOC_TRIM_THRESHOLD_', value: '65536' },
    { name: 'MAINSTAY_INSTANCE', value: instance },
    { name: 'MAINSTAY_NODE', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'spec.nodeName' } } },
    { name: 'MAINSTAY_POD_IP', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } },
    { name: 'MAINSTAY_ETCD_ENDPOINTS', value: facts.installation.etcdEndpoints.join(',') },
    ...(withEtcdSecret(facts) ? [{ name: 'MAINSTAY_ETCD_CREDENTIALS', value: etcdCredentials }] : []),
    { name: 'MAINSTAY_SERVICE_RW', value: serviceNames.primary(name) },
    ...(profileOf(cluster).logVolume(cluster) ? [{ name: 'MAINSTAY_WAL_VOLUME', value: walVolume }] : []),
    ...(profileOf(cluster).electsItself(cluster) ? [{ name: 'MAINSTAY_TOPOLOGY', value: 'Group' }] : []),
  ];
}

const etcdCredentials = '/etc/mainstay/etcd';
/** That there is one, not what is in it: the agents see by themselves that it was renewed. */
const withEtcdSecret = ({ installation }: PodFacts): boolean => installation.etcdCredentials !== undefined;

/** Where the volume of the write-ahead log is, if there is one. */
const walVolume = '/var/lib/mainstay-wal';

/** Can't change after the first data are made, so that no Pod is replaced for it; optional, so that none depends on it later. */
const hasInitFiles = (cluster: DatabaseCluster): boolean => profileOf(cluster).initFiles(cluster).length > 0;

/** Numbered in their order. */
const initSources = (cluster: DatabaseCluster): Wire<V1VolumeProjection[]> =>
  profileOf(cluster)
    .initFiles(cluster)
    .map(({ configMap, secret }, index) => {
      const { name = '', key = '' } = configMap ?? secret ?? {};
      const source = { name, items: [{ key, path: String(index) }], optional: true };
      return secret === undefined ? { configMap: source } : { secret: source };
    });

function volumes(cluster: DatabaseCluster, instance: InstanceName, facts: PodFacts): Wire<V1Volume[]> {
  const {
    metadata: { name },
  } = cluster;
  const { volumeSerial: serial = 1 } = facts;
  const claim = (holds: VolumeContent) => ({ claimName: volumeName({ instance, holds, serial }) });
  return [
    { name: 'data', persistentVolumeClaim: claim('data') },
    ...(profileOf(cluster).logVolume(cluster) ? [{ name: 'wal', persistentVolumeClaim: claim('wal') }] : []),
    { name: 'mainstay', emptyDir: {} },
    // Sockets, passwords and keys, and what of the database's log is not yet told: on no disk, and never waiting for one.
    { name: 'run', emptyDir: { medium: 'Memory' } },
    { name: 'tmp', emptyDir: {} },
    // Parallel queries share memory here; the runtime's default of 64 MiB makes them fail.
    { name: 'shm', emptyDir: { medium: 'Memory' } },
    { name: 'token', projected: { defaultMode: 0o440, sources: tokenSources } },
    { name: 'system', secret: { secretName: secretNames.system(name), defaultMode: 0o440 } },
    ...(hasInitFiles(cluster)
      ? [{ name: 'init', projected: { defaultMode: 0o440, sources: initSources(cluster) } }]
      : []),
    { name: 'tls', secret: { secretName: secretNames.certificates(name), defaultMode: 0o440 } },
    ...(withEtcdSecret(facts)
      ? [{ name: 'etcd', secret: { secretName: secretNames.etcd(name), defaultMode: 0o440 } }]
      : []),
  ];
}

/** As Kubernetes itself would mount it. */
const tokenSources: Wire<V1VolumeProjection[]> = [
  { serviceAccountToken: { path: 'token', expirationSeconds: 3607 } },
  { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
  { downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] } },
];

/** What the restricted Pod Security Standard asks of a container, and a read-only root. */
function restricted(): Wire<V1SecurityContext> {
  return {
    allowPrivilegeEscalation: false,
    privileged: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    capabilities: { drop: ['ALL'] },
    seccompProfile: { type: 'RuntimeDefault' },
  };
}

function spread(cluster: DatabaseCluster): Wire<V1Affinity> {
  const { nodeSpread, topologyKey } = cluster.spec.affinity;
  const apart = (key: string) => ({
    topologyKey: key,
    labelSelector: { matchLabels: podSelector(cluster.metadata.name) },
  });
  const zones = topologyKey === hostname ? [] : [{ weight: 50, podAffinityTerm: apart(topologyKey) }];
  return {
    podAntiAffinity:
      nodeSpread === 'Required'
        ? {
            requiredDuringSchedulingIgnoredDuringExecution: [apart(hostname)],
            ...(zones.length > 0 && { preferredDuringSchedulingIgnoredDuringExecution: zones }),
          }
        : {
            preferredDuringSchedulingIgnoredDuringExecution: [
              { weight: 100, podAffinityTerm: apart(hostname) },
              ...zones,
            ],
          },
  };
}

/**
 * A lost node's Pod stays: its volume is there, nobody may replace it before the node is proven dead, and when the node
 * comes back the kubelet restarts it in place. Deleting it after the default 300 s would only delay that.
 */
function tolerations(cluster: DatabaseCluster): Wire<V1Toleration[]> {
  const own = cluster.spec.affinity.tolerations ?? [];
  const patient = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']
    .filter((key) => !own.some((toleration) => toleration.key === key))
    .map((key) => ({ key, operator: 'Exists', effect: 'NoExecute' }));
  return [...own.map((toleration) => ({ ...toleration })), ...patient];
}
