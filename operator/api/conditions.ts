/** Every condition of our resources with its reasons; docs/reference/conditions.md is generated from here. */

export type Catalogue = Readonly<
  Record<string, { readonly meaning: string; readonly reasons: Readonly<Record<string, string>> }>
>;

/** Of clusters. `status: True` of the condition means… ; the reasons say with which status they go. */
export const conditionTypes = {
  Ready: {
    meaning: 'A writable primary exists and the current generation of the spec has converged.',
    reasons: {
      Converged: 'True: everything asked for is there.',
      Hibernated: 'True: spec.hibernated is true and no instance runs, as asked for (Available is False).',
      Progressing: 'False: a change of the spec is being carried out, or the cluster is being made.',
      NoPrimary: 'False: no instance accepts writes.',
      Stalled: 'False: see the condition Stalled.',
      RuntimeUnknown: 'Unknown: etcd can’t be read, so nobody knows who is primary.',
    },
  },
  Reconciling: {
    meaning: 'Work towards the current generation of the spec is under way.',
    reasons: {
      Initializing: 'True: the first primary is being made.',
      CreatingInstances: 'True: instances are being created or cloned.',
      RemovingInstances: 'True: instances beyond spec.instances are leaving.',
      RestartingInstances: 'True: databases are being restarted one at a time; see the condition PendingRestart.',
      ReplacingInstances: 'True: Pods are being replaced one at a time, replicas first.',
      ResizingInstances:
        'True: instances get other resources one at a time while they run; the message says what is waited for.',
      ResizingVolumes: 'True: volumes are being enlarged.',
      ReplacingVolumes:
        'True: instances get new volumes one at a time, filled from the others; the message says which, and what is waited for.',
      Hibernating: 'True: Pods are leaving, replicas first, because of spec.hibernated.',
      Deleting: 'True: the cluster is being deleted.',
      Done: 'False: nothing to do.',
      Paused: 'False: spec.paused is true, so the operator changes nothing.',
    },
  },
  Stalled: {
    meaning: 'No progress without a person; the message says what to do. Failover goes on while it can.',
    reasons: {
      SpecInvalid: 'True: the stored spec does not match the schema of this operator.',
      ImageUnavailable: 'True: no image is known for this version, or it can’t be pulled.',
      NameConflict: 'True: an object that the cluster needs exists and belongs to somebody else.',
      VolumeConflict: 'True: retained volumes do not fit the spec.',
      VolumeNotExpandable:
        'True: the spec asks for larger volumes than there are, and their storage class can’t enlarge them.',
      VolumeNotReplaceable:
        'True: the storage class was changed, and the other instances could not do without one while its new volume is filled.',
      VolumeLost: 'True: a volume is gone with its node, and is not replaced by itself; the message says why.',
      PodsUnschedulable: 'True: no node takes an instance.',
      SecretUnusable: 'True: a Secret that spec.tls names can’t be used, and there are no former certificates.',
      SettingsRefused:
        'True: the settings of the spec hold something that the database would not take; the message names it. The former settings stay in force.',
      BootstrapFailed:
        'True: the first data can’t be made, most often because SQL of spec.bootstrap.postInitSql fails; it is tried again.',
      DataLost: 'True: etcd says that the cluster has data, but no volume with it is left.',
      Progressing: 'False: nothing stands in the way.',
    },
  },
  Available: {
    meaning: 'An instance accepts writes now.',
    reasons: {
      PrimaryRunning: 'True: the primary is open to clients.',
      NoPrimary: 'False: nobody leads; an election is running or can’t be decided.',
      Hibernated: 'False: no instance runs, as asked for by spec.hibernated.',
      PrimaryStarting: 'False: a leader is elected and not yet open to clients.',
      RuntimeUnknown: 'Unknown: etcd can’t be read.',
    },
  },
  Degraded: {
    meaning: 'The cluster runs with less redundancy than asked for.',
    reasons: {
      InstancesMissing: 'True: fewer instances follow the primary than spec.instances asks for.',
      SharedNode: 'True: two instances run on one node.',
      Hibernated: 'False: spec.hibernated is true, so no instance is asked for.',
      FullyRedundant: 'False: all instances are there.',
      RuntimeUnknown: 'Unknown: etcd can’t be read.',
    },
  },
  SyncQuorumSatisfied: {
    meaning: 'Each acknowledged write is on as many replicas as spec.durability asks for.',
    reasons: {
      QuorumPresent: 'True: enough members of the sync set follow.',
      NotRequired: 'True: the effective mode asks for no acknowledgement (Async, or a single instance).',
      ReducedAcknowledgements: 'False: Preferred has lowered the number of acknowledgements to stay writable.',
      WritesBlocked: 'False: Strict waits for replicas; writes hang until they are back.',
      NoPrimary: 'False: no instance accepts writes.',
      RuntimeUnknown: 'Unknown: etcd can’t be read.',
    },
  },
  PendingRestart: {
    meaning: 'Parameters wait for a restart of an instance’s database; the message names both.',
    reasons: {
      Restarting: 'True: instances are restarted one at a time, replicas first, the primary after a switchover.',
      Waiting: 'True: the next restart waits; the message says for what.',
      NothingPending: 'False: every instance runs with the parameters asked for.',
      RuntimeUnknown: 'Unknown: etcd can’t be read.',
    },
  },
  CertificatesValid: {
    meaning: 'Servers and replicas have certificates that are good for a while.',
    reasons: {
      Valid: 'True: all are in use and renewed by themselves.',
      Renewing: 'True: instances, or clients, are being given time to learn of new ones.',
      Missing: 'False: none have been made yet.',
      SecretUnusable: 'False: a Secret that spec.tls names can’t be used; what was there before stays in force.',
      ExpiringSoon: 'False: one ends soon and has not been renewed.',
      Expired: 'False: one has ended; new connections that check it fail.',
    },
  },
  DiskPressure: {
    meaning: 'A volume is filling up; the message names the instance and says what to do.',
    reasons: {
      Full: 'True: no room is left, or only by the reserve that the agent has lent; a primary that stays keeps clients from writing unless they ask for it.',
      ReadOnly: 'True: the file system can only be read, as a rule since the kernel met an error of the disk.',
      AlmostFull: 'True: 90 % or more of a volume are used.',
      Filling: 'True: 80 % or more of a volume are used.',
      EnoughRoom: 'False: less than 80 % of every volume are used.',
      RuntimeUnknown: 'Unknown: etcd can’t be read.',
    },
  },
  DataCorrupted: {
    meaning:
      'An instance has found damage in its own files; the message names the databases and says what is being done.',
    reasons: {
      PrimaryDamaged: 'True: the primary is among them; a person must act.',
      ReplicaDamaged: 'True: replicas only; each takes a fresh copy by itself while the others can do without it.',
      NoneFound: 'False: no page has failed its checksum, and no server has complained of damaged data.',
      RuntimeUnknown: 'Unknown: etcd can’t be read.',
    },
  },
  RolesReady: {
    meaning: 'The roles of spec.roles (MySQL: spec.users), and the cluster’s own, are as asked for.',
    reasons: {
      Applied: 'True: all of them are.',
      NothingAsked: 'True: that list is empty.',
      Applying: 'False: the primary has not looked after them since the last change.',
      Waiting:
        'False: a new password is held back until every instance can see it; MySQL: until replicas acknowledge again.',
      SecretUnusable: 'False: a Secret with a password is missing or holds none; the message says which.',
      Failed: 'False: the database refuses something; the message names the role and the remedy.',
      Drifted: 'False: somebody has changed roles with SQL; the message says what differs. It is not overwritten.',
      RuntimeUnknown: 'Unknown: etcd can’t be read.',
    },
  },
  DatabasesReady: {
    meaning: 'The databases of spec.databases are as asked for.',
    reasons: {
      Applied: 'True: all of them are.',
      NothingAsked: 'True: spec.databases is empty.',
      Applying: 'False: the primary has not looked after them since the last change.',
      Failed: 'False: the database refuses something; the message names the database and the remedy.',
      Drifted: 'False: somebody has changed databases with SQL; the message says what differs. It is not overwritten.',
      RuntimeUnknown: 'Unknown: etcd can’t be read.',
    },
  },
  LossAccepted: {
    meaning:
      'The primary leads by force: a person accepted that acknowledged writes may be missing. It ends with the next change of primary that nobody forces; status.lastForcedFailover stays.',
    reasons: {
      ForcedFailover: 'True: the message names the instances that may hold such writes, and who accepted it why.',
      NotForced: 'False: nobody has forced this primary.',
      RuntimeUnknown: 'Unknown: etcd can’t be read.',
    },
  },
} as const satisfies Catalogue;

export type ConditionType = keyof typeof conditionTypes;
export type ConditionReason<T extends ConditionType = ConditionType> = T extends ConditionType
  ? keyof (typeof conditionTypes)[T]['reasons']
  : never;

/** Of ClusterOperations. */
export const operationConditionTypes = {
  Complete: {
    meaning: 'The operation is over and has done what was asked.',
    reasons: {
      Succeeded: 'True: it was carried out, or there was nothing left to do.',
      DryRunPassed: 'True: it would be begun now; nothing was done.',
      NotFinished: 'False: it waits or is under way.',
      NotComplete: 'False: it is over and has not done what was asked.',
    },
  },
  Failed: {
    meaning: 'The operation is over and has not done what was asked. It is never tried again.',
    reasons: {
      Refused: 'True: it may not be carried out as things are; nothing was changed.',
      DeadlineExceeded: 'True: it was not over in time.',
      Aborted: 'True: it was called off.',
      Unsuccessful: 'True: it was carried out and did not lead to what was asked.',
      AlreadyCarriedOut: 'True: an operation of this name was carried out on this cluster before; nothing was done.',
      ClusterGone: 'True: the cluster was deleted meanwhile.',
      RecordLost: 'True: it had been begun, and etcd does not know it any more, so nobody can tell what became of it.',
      SpecInvalid: 'True: the stored spec does not match the schema of this operator.',
      NotFinished: 'False: it waits or is under way.',
      NotFailed: 'False: it is complete.',
    },
  },
  Reconciling: {
    meaning: 'The operation waits or is under way.',
    reasons: {
      Running: 'True: it is under way.',
      ClusterNotFound: 'True: it waits for the cluster to exist.',
      ClusterPaused: 'True: it waits until spec.paused of the cluster is false.',
      OtherOperation: 'True: it waits for the end of another operation of the same cluster.',
      NotReady: 'True: it waits until the cluster is in a state in which it can begin; the message says for what.',
      RuntimeUnknown: 'True: it waits for etcd, which can’t be read.',
      Finished: 'False: it is over.',
    },
  },
  Stalled: {
    meaning: 'The operation has failed: what kstatus calls Failed, for Flux, Helm and Argo CD.',
    reasons: {
      OperationFailed: 'True: see the condition Failed.',
      Progressing: 'False: nothing stands in the way, or it is complete.',
    },
  },
} as const satisfies Catalogue;

export type OperationConditionType = keyof typeof operationConditionTypes;
export type OperationConditionReason<T extends OperationConditionType = OperationConditionType> =
  T extends OperationConditionType ? keyof (typeof operationConditionTypes)[T]['reasons'] : never;

/** Of FenceAgents. */
export const fenceAgentConditionTypes = {
  Ready: {
    meaning: 'It watches its nodes, and has done what had to be done.',
    reasons: {
      Watching: 'True: nothing stands in the way.',
      FencingFailed: 'False: a node could not be switched off, or on again.',
      SpecInvalid: 'False: the stored spec does not match the schema of this operator.',
    },
  },
  Stalled: {
    meaning: 'No progress without a person; the message says what to do.',
    reasons: {
      FencingFailed: 'True: a node could not be switched off, or on again.',
      SpecInvalid: 'True: the stored spec does not match the schema of this operator.',
      Progressing: 'False: nothing stands in the way.',
    },
  },
} as const satisfies Catalogue;

export type FenceAgentConditionType = keyof typeof fenceAgentConditionTypes;
export type FenceAgentConditionReason<T extends FenceAgentConditionType = FenceAgentConditionType> =
  T extends FenceAgentConditionType ? keyof (typeof fenceAgentConditionTypes)[T]['reasons'] : never;
