/**
 * The states of an instance's machine, one for each branch of the decision: what it does there, and what ends it. Nothing waits
 * for ever without saying for what: effects have limits in the agent, transactions a deadline, waits a way out named here.
 */
export const phases = {
  // Before anything else.
  fencing: { does: 'kills the database', until: 'every process is gone' },
  unready: { does: 'waits for the definition, or for the first look at its data', until: 'both are there' },
  'blocked-etcd-replaced': {
    does: 'stays out of elections: etcd is not the one that the cluster began with',
    until: 'that etcd is back, or this one is adopted',
  },
  'blocked-etcd-rewound': {
    does: 'stays out of elections: etcd is behind what this instance has promised',
    until: 'etcd has caught up, or is adopted',
  },
  adopting: { does: 'seals its log for an adoption', until: 'one transaction makes this etcd the cluster’s' },

  fenced: { does: 'keeps its database stopped, as a person asked', until: 'it is unfenced' },

  // Founding.
  founding: { does: 'initialises the cluster’s first data', until: 'epoch 1 is in etcd, or another has founded it' },
  'blocked-foreign-data': {
    does: 'holds data that etcd knows nothing of, or another cluster’s',
    until: 'a person has looked at it',
  },

  // Leading.
  'taking-back': { does: 'revokes the lease of its former life', until: 'the key is gone: then an election' },
  releasing: { does: 'gives up leadership after its database has ended', until: 'the key is gone' },
  promoting: { does: 'becomes primary of the epoch that it has claimed', until: 'promoted, or killed after the limit' },
  opening: { does: 'waits until enough members hold its log', until: 'clients are let in' },
  serving: { does: 'serves, and keeps the sync set', until: 'stopped, deposed, failing, or past its deadline' },
  'serving-on-pledges': {
    does: 'serves while etcd is silent and enough members keep their word',
    until: 'etcd answers, or their word has lapsed: then it is fenced',
  },
  reclaiming: { does: 'claims the next epoch as the living primary', until: 'the claim is decided' },
  'handing-over': { does: 'stops cleanly for a successor', until: 'stopped; killed after the limit' },
  restarting: { does: 'stops its database to start it anew, as asked', until: 'stopped; then it starts' },
  upgrading: {
    does: 'makes the next major version’s data while its database is stopped, then makes them the cluster’s',
    until: 'the new version starts; or it is refused or called off, and the old one is elected again',
  },
  failing: { does: 'serves badly, and cannot hand over', until: 'well again, a successor is fit, or restarted' },
  'giving-up': {
    does: 'kills a database that hangs or cannot write',
    until: 'gone, then released; or the lease lapses',
  },

  // Electing.
  starting: { does: 'starts the database as a replica of nobody', until: 'it answers, or its limit is over' },
  'standing-back': {
    does: 'leaves the machine and the election to the others',
    until: 'one of them serves, or 1 s is over',
  },
  sealing: { does: 'stops receiving for good', until: 'the position is final' },
  'keeping-word': { does: 'has pledged not to promise yet', until: 'the pledge is over, or the primary has ended' },
  vowing: { does: 'writes a vow to its own disk', until: 'it is durable' },
  promising: { does: 'promises the next epoch, with its final position', until: 'the promise is in etcd' },
  'blocked-too-few-promises': {
    does: 'has too few promises for a claim',
    until: 'the missing members return, or a person forces a failover',
  },
  'blocked-diverged': {
    does: 'holds transactions that another member lacks, and lacks some of its',
    until: 'a person forces a failover to the one to go on with',
  },
  'may-not-claim': { does: 'lacks the right to claim', until: 'another claims, or a person forces a failover' },
  'leaving-claim': {
    does: 'leaves the claim to a better candidate, or waits for its promise',
    until: 'its grace is over',
  },
  'waiting-for-fence': { does: 'waits until the former primary is surely fenced', until: 'its lease’s time is over' },
  claiming: { does: 'claims the next epoch', until: 'the claim is decided' },
  forcing: { does: 'claims without proof, as a person has asked', until: 'the claim is decided' },
  dataless: { does: 'has no data, or none that can start alone', until: 'there is a primary to copy from' },

  // Following.
  turning: { does: 'turns to the primary of a new epoch', until: 'it streams, or has diverged' },
  following: { does: 'follows the primary', until: 'a new epoch, or its loss' },
  'awaiting-primary': { does: 'waits for the primary’s address, readiness or history', until: 'it is announced' },
  'leaving-sync-set': { does: 'must replace its data, and still counts', until: 'the sync set is without it' },
  retiring: { does: 'tells that its data will be replaced', until: 'etcd has it' },
  rewinding: { does: 'rewinds to the primary’s history', until: 'done, else cloned' },
  cloning: { does: 'copies the primary beside its old data', until: 'done, else tried again' },
  ending: { does: 'ends with its process', until: 'it has ended' },
} as const satisfies Readonly<Record<string, { readonly does: string; readonly until: string }>>;

export type Phase = keyof typeof phases;
