/** Everything the controller of clusters can do to the world. */
import type { InstanceName } from '../../api/cluster-state.ts';
import type { FilesPlan } from '../../certificates/plan.ts';
import type { VolumeId } from '../../resources/names.ts';
import type { ContainerResources } from '../../resources/pod-resources.ts';
import type { Desired, OnceObject, optionalKinds } from './desired-objects.ts';

/** An object as it was seen: a deletion holds only for exactly that. */
export interface Seen {
  readonly uid: string;
  readonly resourceVersion: string;
}

export type PodRemoval =
  /** Has ended (evicted, node shut down) and will not run again. */
  | 'ended'
  /** Its node is proven off or gone, so it can't be running. */
  | 'node-lost'
  /** The spec has changed. */
  | 'outdated'
  /** The instance is beyond spec.instances and no longer counts. */
  | 'surplus'
  /** Another volume shall be made for it. */
  | 'volume-replacement'
  | 'hibernated'
  | 'cluster-deleted';

/** Services and people tell instances apart by it. */
export type RoleLabel = 'primary' | 'replica' | 'delayed-replica';

export type Action =
  | { readonly type: 'apply'; readonly desired: Desired }
  /** `isLost`: the cluster has had one, with other passwords. */
  | { readonly type: 'create-once'; readonly object: OnceObject; readonly isLost: boolean }
  /** Its own user of etcd, and the Secret by which the agents know it. */
  | { readonly type: 'give-etcd-login' }
  | { readonly type: 'make-authority' }
  | { readonly type: 'write-certificates'; readonly plan: FilesPlan }
  | {
      readonly type: 'set-owners';
      readonly kind: 'EndpointSlice' | 'Secret' | 'Pod';
      readonly name: string;
      readonly owners: readonly object[];
    }
  | {
      readonly type: 'delete-object';
      readonly kind: (typeof optionalKinds)[number];
      readonly name: string;
      readonly seen: Seen;
    }
  | (VolumeId & {
      readonly type: 'apply-volume';
      readonly desired: Desired;
      readonly what: 'create' | 'resize' | 'retain' | 'update';
    })
  /** In place of another, which stays as it is. */
  | (VolumeId & {
      readonly type: 'replace-volume';
      readonly desired: Desired;
      readonly because: 'another-class' | 'lost';
      /** Claim of the other, and the class of the new one; undefined: the default, or none there. */
      readonly former: string | undefined;
      readonly storageClass: string | undefined;
    })
  /** One that was replaced: nobody uses it any more, and it stays. */
  | (VolumeId & { readonly type: 'keep-volume'; readonly seen: Seen; readonly supersededBy: string })
  | { readonly type: 'create-pod'; readonly instance: InstanceName; readonly object: object }
  /** Other resources while it runs; its annotations say so afterwards. */
  | {
      readonly type: 'resize-pod';
      readonly instance: InstanceName;
      readonly uid: string;
      readonly resources: ContainerResources;
      readonly annotations: Readonly<Record<string, string>>;
    }
  | { readonly type: 'announce-certificates'; readonly instance: InstanceName; readonly fingerprint: string }
  | { readonly type: 'announce-passwords'; readonly instance: InstanceName; readonly digest: string }
  | { readonly type: 'label-role'; readonly instance: InstanceName; readonly role: RoleLabel }
  | {
      readonly type: 'publish-definition';
      readonly text: string;
      /** Of the definition it replaces; undefined if there was none. */
      readonly modRevision: number | undefined;
    }
  | { readonly type: 'publish-declaration'; readonly text: string; readonly modRevision: number | undefined }
  /** Its addresses hold another password than it does. */
  | { readonly type: 'complete-application-secret' }
  | {
      readonly type: 'request-switchover';
      readonly from: InstanceName;
      readonly to: InstanceName;
      readonly reason: SwitchoverReason;
    }
  /** Its database shall end and start anew in place. */
  | {
      readonly type: 'request-restart';
      readonly instance: InstanceName;
      readonly id: string;
      readonly reason: string;
    }
  | { readonly type: 'withdraw-restart'; readonly instance: InstanceName; readonly modRevision: number }
  /** A request past its deadline that no agent has answered. */
  | { readonly type: 'withdraw-switchover'; readonly from: InstanceName; readonly modRevision: number }
  | { readonly type: 'add-finalizer' }
  | { readonly type: 'remove-finalizer' }
  /** Forgets the cluster in etcd. */
  | { readonly type: 'delete-state' }
  | {
      readonly type: 'delete-pod';
      readonly instance: InstanceName;
      readonly seen: Seen;
      readonly why: PodRemoval;
      /** Its node, to be looked at once more before a Pod is removed by force. */
      readonly node: string | undefined;
    }
  | (VolumeId & { readonly type: 'delete-volume'; readonly seen: Seen; readonly why: VolumeRemoval });

export type VolumeRemoval =
  /** The instance is beyond spec.instances. */
  | 'surplus'
  /** Another is in its place, and follows. */
  | 'replaced'
  /** Nothing was ever written to it. */
  | 'never-used';

export type SwitchoverReason =
  'PodReplacement' | 'VolumeReplacement' | 'ScaleIn' | 'NodeDrain' | 'Failback' | 'PendingRestart';

/** What can't be taken back: at most one of these at a time. */
export type RiskyAction = Extract<Action, { readonly type: 'delete-pod' | 'delete-volume' }>;

export const isRisky = (action: Action): action is RiskyAction =>
  action.type === 'delete-pod' || action.type === 'delete-volume';
