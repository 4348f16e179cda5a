/** Every event that the operator writes; docs/reference/events.md is generated from here. Bad news is always a Warning. */

export const eventReasons = {
  InstanceCreated: { type: 'Normal', meaning: 'The Pod of a new instance was created.' },
  InstanceReplaced: { type: 'Normal', meaning: 'The Pod of an instance was replaced, its volume kept.' },
  InstanceRemoved: { type: 'Normal', meaning: 'An instance beyond spec.instances has left the cluster.' },
  InstanceResized: { type: 'Normal', meaning: 'An instance gets other resources (spec.resources) while it runs.' },
  ResizeRefused: {
    type: 'Normal',
    meaning: 'The API server would not change an instance’s resources while it runs; its Pod is replaced instead.',
  },
  VolumeCreated: { type: 'Normal', meaning: 'A volume for an instance was requested.' },
  VolumeAdopted: { type: 'Normal', meaning: 'A volume retained from an earlier life of the cluster is used again.' },
  VolumeRetained: {
    type: 'Normal',
    meaning: 'A volume that is no longer used was kept (deletionPolicy: Retain).',
  },
  VolumeDeleted: {
    type: 'Normal',
    meaning: 'A volume was deleted (deletionPolicy: Delete), or a new one to which nothing was ever written.',
  },
  VolumeReplaced: {
    type: 'Normal',
    meaning: 'An instance gets a new volume in place of another, of the storage class asked for; the note names both.',
  },
  VolumeLost: {
    type: 'Warning',
    meaning: 'The volume of an instance is gone with its node; the note says what becomes of the instance.',
  },
  VolumeNotReplaceable: {
    type: 'Warning',
    meaning: 'The storage class was changed, and no other instance could do without this one while it is copied.',
  },
  VolumeResized: { type: 'Normal', meaning: 'A larger volume was requested.' },
  ClusterHibernated: { type: 'Normal', meaning: 'No instance runs any more, as asked for by spec.hibernated.' },
  ClusterResumed: { type: 'Normal', meaning: 'spec.hibernated is false again: instances are made on their volumes.' },
  PrimaryElected: { type: 'Normal', meaning: 'The cluster has its first primary.' },
  SwitchoverRequested: { type: 'Normal', meaning: 'A planned change of primary was asked for.' },
  SwitchoverCompleted: { type: 'Normal', meaning: 'A planned change of primary is over.' },
  SwitchoverExpired: { type: 'Warning', meaning: 'A planned change of primary did not happen before its deadline.' },
  RestartRequested: {
    type: 'Normal',
    meaning:
      'An instance was asked to restart its database in place, for parameters that need that; the note names them.',
  },
  FailbackRequested: {
    type: 'Normal',
    meaning: 'A planned change of primary to a preferred instance was asked for (spec.failover.failback).',
  },
  RequestDone: { type: 'Normal', meaning: 'What a person asked for (switchover, failover, adoption) was carried out.' },
  RequestRefused: {
    type: 'Warning',
    meaning: 'What a person or the operator asked for (switchover, failover, adoption) was refused; the note says why.',
  },
  OperationStarted: { type: 'Normal', meaning: 'A ClusterOperation was begun.' },
  OperationComplete: { type: 'Normal', meaning: 'A ClusterOperation has done what was asked.' },
  OperationFailed: {
    type: 'Warning',
    meaning: 'A ClusterOperation was refused, called off, or has not done what was asked; the note says why.',
  },
  FailoverForced: {
    type: 'Warning',
    meaning:
      'A primary was installed by force; acknowledged writes may be lost. The note says what was accepted, and why.',
  },
  FailoverCompleted: { type: 'Warning', meaning: 'An unplanned change of primary has happened.' },
  PrimaryLost: { type: 'Warning', meaning: 'No instance accepts writes.' },
  PrimaryAvailable: { type: 'Normal', meaning: 'Writes are accepted again.' },
  RedundancyReduced: { type: 'Warning', meaning: 'Fewer instances follow the primary than asked for.' },
  RedundancyRestored: { type: 'Normal', meaning: 'All instances follow the primary again.' },
  SyncQuorumLost: { type: 'Warning', meaning: 'Writes are on fewer replicas than asked for, or wait for them.' },
  SyncQuorumRestored: { type: 'Normal', meaning: 'Writes are on as many replicas as asked for again.' },
  DiskPressure: { type: 'Warning', meaning: 'A volume is filling up, full, or can only be read.' },
  DiskPressureOver: { type: 'Normal', meaning: 'All volumes have enough room again.' },
  DataCorrupted: { type: 'Warning', meaning: 'An instance has found damage in its own files.' },
  DataCorruptionOver: { type: 'Normal', meaning: 'No instance knows of damage in its files any more.' },
  SingleInstanceNotProtected: {
    type: 'Warning',
    meaning: 'The cluster has one instance: no failover and no PodDisruptionBudget, a drain stops it.',
  },
  DisruptionWithheld: {
    type: 'Normal',
    meaning:
      'Drains are refused for a limited time, as the loss of one more instance would end writes; status.disruption says why.',
  },
  DisruptionOverdue: {
    type: 'Warning',
    meaning:
      'That time is up and nothing has changed: drains are let through, although the loss of an instance would end writes.',
  },
  SpecInvalid: { type: 'Warning', meaning: 'The stored spec does not match the schema of this operator.' },
  ImageUnavailable: { type: 'Warning', meaning: 'No image is known for the version asked for, or it can’t be pulled.' },
  NameConflict: { type: 'Warning', meaning: 'An object that the cluster needs belongs to somebody else.' },
  VolumeNotExpandable: { type: 'Warning', meaning: 'A volume shall grow, and its storage class does not allow it.' },
  VolumeConflict: { type: 'Warning', meaning: 'Retained volumes do not fit the spec.' },
  SecretRemade: {
    type: 'Warning',
    meaning: 'A Secret was lost and made anew; its new passwords are being set in the database.',
  },
  AuthorityReplaced: {
    type: 'Normal',
    meaning: 'A new certificate authority was made; it is trusted everywhere before it issues.',
  },
  CertificatesChanged: { type: 'Normal', meaning: 'Certificates, or the authorities that are trusted, were replaced.' },
  CertificateProblem: {
    type: 'Warning',
    meaning: 'A certificate ends soon or has ended, or a Secret of the user can’t be used.',
  },
  SettingsRefused: {
    type: 'Warning',
    meaning: 'Settings of the database in the spec are wrong; the note names them. The former ones stay in force.',
  },
  BootstrapFailed: { type: 'Warning', meaning: 'The first data can’t be made; the note says why.' },
  DeclarationFailed: {
    type: 'Warning',
    meaning: 'A role or database can’t be brought to what the spec says; the note says why.',
  },
  DeclarationDrifted: {
    type: 'Warning',
    meaning: 'Somebody has changed a role or database that the spec names; it is left as it is.',
  },
  DeclarationApplied: { type: 'Normal', meaning: 'Roles or databases are as the spec says again.' },
  DrainBlocked: {
    type: 'Warning',
    meaning: 'A node is being drained and its primary can’t leave; the note says why. Told again every ten minutes.',
  },
  NodeNotFenced: { type: 'Warning', meaning: 'A node is lost and may not be fenced; the note says why.' },
  NodeFencing: { type: 'Warning', meaning: 'A step towards switching a lost node off; one event for each.' },
  NodeFenced: {
    type: 'Warning',
    meaning: 'A node is proven off and marked out of service: its Pods may run elsewhere.',
  },
  NodeReturning: { type: 'Normal', meaning: 'A step towards bringing a fenced node back.' },
  NodeReturned: { type: 'Normal', meaning: 'A fenced node is ready again, its mark taken away.' },
  NodeFencingFailed: {
    type: 'Warning',
    meaning: 'A node could not be switched off, or on again; the note says what to do.',
  },
  ReconcileFailed: { type: 'Warning', meaning: 'The operator could not carry out a step; it tries again.' },
} as const satisfies Readonly<Record<string, { readonly type: 'Normal' | 'Warning'; readonly meaning: string }>>;

export type EventReason = keyof typeof eventReasons;
