/**
 * What is run, and what must come out. Options are macros of ha.pml; without any it is the protocol as designed, with CODE as
 * operator/ha does it. Bounds and words: README.md.
 */
export interface Variant {
  /** hold: the search is exhaustive and finds nothing. fail: a counterexample is found. */
  readonly must: 'hold' | 'fail';
  readonly what: string;
  readonly options: string;
  /** State vectors are compressed: slower, but the large ones need it. */
  readonly compress?: true;
  /** Options that replace those of the same name with `--quick`. */
  readonly quick?: string;
}

export const variants: readonly Variant[] = [
  // ---- the protocol as designed: must hold ----
  {
    must: 'hold',
    what: '3 instances, 4 epochs, crash, sync-set change',
    options: 'MAXE=4 L=3 CRASHES=1 SYNCSTEPS=1',
    compress: true,
    quick: 'MAXE=3 L=2 SYNCSTEPS=0',
  },
  {
    must: 'hold',
    what: '3 instances, 3 epochs, two sync-set changes',
    options: 'MAXE=3 L=3 CRASHES=1 SYNCSTEPS=2',
    quick: 'L=2 CRASHES=0',
  },
  {
    must: 'hold',
    what: 'what an open primary shows counts as acknowledged',
    options: 'MAXE=3 L=3 CRASHES=1 SYNCSTEPS=1 READS',
    quick: 'L=2',
  },
  {
    must: 'hold',
    what: 'the same, 4 epochs',
    options: 'MAXE=4 L=3 CRASHES=0 SYNCSTEPS=1 READS',
    compress: true,
    quick: 'L=2 SYNCSTEPS=0',
  },
  {
    must: 'hold',
    what: 'S of 3, k = 2',
    options: 'N=4 S0=14 K0=2 MAXE=3 L=2 CRASHES=0 SYNCSTEPS=1',
    compress: true,
    quick: 'MAXE=2',
  },
  {
    must: 'hold',
    what: 'S of 3, k between 2 and 1',
    options: 'N=4 S0=14 K0=2 MINK=1 MAXE=2 L=2 CRASHES=0 SYNCSTEPS=2',
    quick: 'N=3 S0=6',
  },
  {
    must: 'hold',
    what: 'a replica outside S, which may be ahead, takes part',
    options: 'N=4 S0=6 MAXE=3 L=2 CRASHES=0 SYNCSTEPS=0',
    compress: true,
    quick: 'MAXE=2',
  },
  {
    must: 'hold',
    what: 'Preferred, down to k = 0 and up again',
    options: 'MAXE=3 L=2 CRASHES=1 SYNCSTEPS=2 MINK=0',
    quick: 'CRASHES=0 MAXE=2',
  },
  {
    must: 'hold',
    what: 'switchover, with abort by a new epoch',
    options: 'MAXE=3 L=3 CRASHES=1 SYNCSTEPS=1 SWITCHOVERS=1',
    quick: 'L=2 CRASHES=0',
  },
  {
    must: 'hold',
    what: 'late hand-over, abort by a new epoch',
    options: 'MAXE=3 L=3 CRASHES=0 SYNCSTEPS=1 SWITCHOVERS=1 LATESWAP ABORTBUMPS',
    quick: 'L=2 SYNCSTEPS=0',
  },
  {
    must: 'hold',
    what: 'late sync write, settled by rewriting the key',
    options: 'MAXE=3 L=2 CRASHES=1 SYNCSTEPS=1 LATESYNC REWRITE',
    quick: 'MAXE=2',
  },
  {
    must: 'hold',
    what: 'data lost outside S',
    options: 'MAXE=3 L=3 CRASHES=1 SYNCSTEPS=1 WIPES=1',
    quick: 'L=2 CRASHES=0',
  },
  {
    must: 'hold',
    what: 'liveness: one instance lost for good, one crash: never stuck without a leader',
    options: 'MAXE=3 L=3 CRASHES=1 SYNCSTEPS=0 LIVE DEATHS=1',
    quick: 'L=2 CRASHES=0',
  },
  {
    must: 'hold',
    what: 'Async: one acknowledging primary at a time, if the holder is fenced before its key vanishes',
    options: 'MAXE=3 L=1 CRASHES=1 SYNCSTEPS=0 K0=0 S0=0 ASYNC NOMARKER',
  },
  {
    must: 'hold',
    what: 'opening at once (acknowledgements only, reads not counted)',
    options: 'MAXE=3 L=2 CRASHES=1 SYNCSTEPS=1 OPENATONCE',
    quick: 'CRASHES=0',
  },

  // ---- as operator/ha does it: must hold ----
  {
    must: 'hold',
    what: 'ADR 3: a living primary that claims again keeps its timeline',
    options: 'MAXE=4 L=3 CRASHES=0 SYNCSTEPS=1 RECLAIMKEEPS',
    quick: 'MAXE=3 L=2',
  },
  {
    must: 'hold',
    what: 'ADR 2: a hand-over is a release and an election',
    options: 'MAXE=3 L=3 CRASHES=1 SYNCSTEPS=1 CODE SWITCHOVERS=1 READS',
    quick: 'L=2 CRASHES=0',
  },
  {
    must: 'hold',
    what: 'planSyncSet, a member lost for good: collapse, begin, barriers',
    options: 'MAXE=3 L=2 CRASHES=1 SYNCSTEPS=2 CODE DEATHS=1',
    quick: 'MAXE=2',
  },
  {
    must: 'hold',
    what: 'planSyncSet from the empty set of a new cluster',
    options: 'MAXE=3 L=2 CRASHES=1 SYNCSTEPS=2 CODE S0=0',
    quick: 'CRASHES=0 MAXE=2',
  },
  {
    must: 'hold',
    what: 'planSyncSet, Preferred, a member lost for good',
    options: 'MAXE=3 L=2 CRASHES=0 SYNCSTEPS=2 MINK=0 CODE DEATHS=1',
    quick: 'MAXE=2',
  },
  {
    must: 'hold',
    what: 'planSyncSet, fewer members than k = 2, one more lost',
    options: 'MAXE=2 L=2 CRASHES=1 SYNCSTEPS=3 CODE PRELOADED S0=4 K0=2 DEATHS=1',
  },
  {
    must: 'hold',
    what: 'planSyncSet, fewer members than k = 2, Preferred',
    options: 'MAXE=2 L=2 CRASHES=1 SYNCSTEPS=3 CODE PRELOADED S0=4 K0=2 MINK=0',
  },
  {
    must: 'hold',
    what: 'planSyncSet, k = 2 of 3, two members lost for good',
    options: 'N=4 S0=14 K0=2 MAXE=2 L=2 CRASHES=0 SYNCSTEPS=3 DEATHS=2 CODE',
    compress: true,
    quick: 'N=3 S0=6 DEATHS=1',
  },
  {
    must: 'hold',
    what: 'planSyncSet, k on its way from 1 to 2, a member lost for good',
    options: 'N=4 S0=6 K0=2 K1=1 MAXE=2 L=2 CRASHES=0 SYNCSTEPS=2 CODE DEATHS=1',
    compress: true,
    quick: 'N=3',
  },
  {
    must: 'hold',
    what: 'data is replaced outside S after this was said in etcd',
    options: 'MAXE=3 L=2 CRASHES=1 SYNCSTEPS=2 CODE WIPES=1',
    quick: 'MAXE=2 S0=2',
  },
  {
    must: 'hold',
    what: 'a forced claim: nothing that is acknowledged after it is lost',
    options: 'MAXE=3 L=2 CRASHES=1 SYNCSTEPS=1 CODE FORCES=1',
    quick: 'CRASHES=0',
  },
  {
    must: 'hold',
    what: 'a restart of the primary in place is a release and an election',
    options: 'MAXE=3 L=3 CRASHES=1 SYNCSTEPS=1 CODE RESTARTS=1 READS',
    quick: 'L=2 CRASHES=0',
  },
  {
    must: 'hold',
    what: 'a promotion takes time; an instance is fenced meanwhile, or at any time, and let go again',
    options: 'MAXE=3 L=2 CRASHES=1 SYNCSTEPS=1 CODE PROMOTES FENCES=1',
    quick: 'CRASHES=0 SYNCSTEPS=0',
  },
  {
    must: 'hold',
    what: 'a member that streams is asked to replace its data',
    options: 'MAXE=2 L=2 CRASHES=1 SYNCSTEPS=3 CODE REINITS=1',
    quick: 'CRASHES=0 SYNCSTEPS=2',
  },
  {
    must: 'hold',
    what: 'major upgrade: the change-over is late, called off, or found out later',
    options: 'MAXE=3 L=3 CRASHES=0 SYNCSTEPS=1 CODE UPGRADES=1',
    quick: 'L=2 SYNCSTEPS=0',
  },
  {
    must: 'hold',
    what: 'the same, with a crash',
    options: 'MAXE=3 L=2 CRASHES=1 SYNCSTEPS=1 CODE UPGRADES=1',
    quick: 'SYNCSTEPS=0',
  },
  {
    must: 'hold',
    what: 'F9: etcd restored, and adopted',
    options: 'MAXE=4 L=2 CRASHES=0 SYNCSTEPS=0 RESTORE ADOPT RECLAIMKEEPS',
    compress: true,
    quick: 'MAXE=3',
  },

  // ---- one rule taken away: must fail ----
  broken('NOFREEZE', 'rule 4: voters go on receiving', 'SYNCSTEPS=0'),
  broken('NODEMOTE', 'rule 4: an ex-primary votes and serves on', 'SYNCSTEPS=0'),
  broken('SMALLQUORUM', 'rule 5: |S| − k promises', 'SYNCSTEPS=0'),
  broken('FORGET', 'rule 4: promises don’t survive a restart', 'SYNCSTEPS=0'),
  broken('NARROWETCDFIRST', 'rule 6: narrow in etcd first', 'SYNCSTEPS=1'),
  broken('WIDENDBFIRST', 'rule 6: widen in the database first', 'SYNCSTEPS=2'),
  broken('NOBARRIER', 'rule 6: no barrier', 'SYNCSTEPS=1'),
  broken('NOVERIFY', 'rule 7: the candidate isn’t verified', 'SYNCSTEPS=0 SWITCHOVERS=1'),
  broken('ABSENT', 'F1: the leader’s absence is enough', 'SYNCSTEPS=0'),
  broken('NOCMP', 'F2: the claim doesn’t compare `sync`', 'SYNCSTEPS=2'),
  broken('CLAIMLIVE', 'F3: the new S is who promised, no barrier', 'SYNCSTEPS=0'),
  broken('ACKEDBARRIER', 'F3: the barrier at the acknowledged position', 'L=3 SYNCSTEPS=1', 'L=2 CRASHES=0'),
  broken('LATESYNC', 'F4: unknown outcome settled by reading: sync set', 'SYNCSTEPS=1'),
  broken('LATESWAP', 'F4: the same, hand-over', 'SYNCSTEPS=0 SWITCHOVERS=1'),
  broken('LATEPROM', 'F4: the same, promise', 'SYNCSTEPS=0'),
  broken('KDBFIRST', 'F5: k lowered in the database first', 'SYNCSTEPS=1 MINK=0'),
  broken('KDBFIRST', 'F5: the same, k 2 → 1', 'N=4 S0=14 K0=2 MINK=1 MAXE=2 CRASHES=0 SYNCSTEPS=2', 'N=3 S0=6'),
  broken('EMPTYANY', 'F5: with an empty set anybody may claim', 'SYNCSTEPS=1 MINK=0'),
  broken('COUNTALL', 'F6: counts promises above its own position', 'SYNCSTEPS=0'),
  broken('NOMARKER', 'F7: no record of the epoch itself', 'MAXE=4 L=1 CRASHES=0 SYNCSTEPS=0'),
  broken('TLDUP', 'F7: timeline numbers repeat', 'MAXE=4 L=3 CRASHES=0 SYNCSTEPS=0'),
  broken('LENONLY', 'F7: the longest log wins', 'SYNCSTEPS=0'),
  broken('SHRINK', 'F8: repointing loses received records', 'SYNCSTEPS=0'),
  broken('WIPEMEMBER', 'F8: a member of S may lose its data and vote', 'SYNCSTEPS=0 WIPES=1'),
  broken('FOLLOWBACK', 'F8: may follow an older epoch than before', 'L=3 SYNCSTEPS=2', 'CRASHES=0'),
  broken('RESTORE', 'F9: etcd restored from a snapshot', 'CRASHES=0 SYNCSTEPS=0'),
  broken('UNNAMED', 'F10: whoever is connected acknowledges', 'SYNCSTEPS=1'),
  broken('NOPRIVOTE', 'F11: liveness: stuck with two healthy instances', 'SYNCSTEPS=0 LIVE DEATHS=1'),
  broken('OPENATONCE', 'F12: a new primary shows what k members don’t hold', 'SYNCSTEPS=0 READS'),
  broken('PAUSED', 'F15: Async: the key vanishes while its holder serves', 'L=1 SYNCSTEPS=0 K0=0 S0=0 ASYNC NOMARKER'),

  // ---- one guard of operator/ha taken away: must fail ----
  broken('LOCALEPOCH', 'F9: a remembered epoch is not enough', 'CRASHES=0 SYNCSTEPS=0 RESTORE'),
  broken('RECLAIMSTALE', 'ADR 3: the living primary’s claim doesn’t compare the epoch', 'SYNCSTEPS=0 RECLAIMKEEPS'),
  broken(
    'NEWESTEPOCH',
    'ADR 3: position by the newest epoch of the timeline',
    'MAXE=4 CRASHES=0 SYNCSTEPS=0 RECLAIMKEEPS',
  ),
  broken('NOTECLAIMS', 'ADR 2: the release note taken as proof', 'CRASHES=0 SYNCSTEPS=0 CODE SWITCHOVERS=1'),
  broken('PABOVE', 'F11: the recorded primary’s promise counts for one that is behind it', 'SYNCSTEPS=0 CODE'),
  broken('COUNTFEW', 'F5: fewer members than k are a quorum', 'CRASHES=0 SYNCSTEPS=1 CODE S0=0'),
  broken('COUNTATONCE', 'rule 6: first members in etcd first', 'CRASHES=0 SYNCSTEPS=2 CODE S0=2 DEATHS=1'),
  broken('STALEVIEW', 'rule 6: the next change is planned from before the last one', 'CRASHES=0 SYNCSTEPS=2 CODE'),
  broken('NOBARRIER', 'rule 6: no barrier, in the order of planSyncSet', 'CRASHES=0 SYNCSTEPS=1 CODE'),
  broken(
    'TAKEINBARE',
    'rule 6: members return after a collapse without a barrier',
    'MAXE=2 CRASHES=0 SYNCSTEPS=1 CODE DEATHS=1',
  ),
  broken(
    'JOINFEW',
    'rule 6: the k-th member joins in etcd first',
    'MAXE=2 CRASHES=0 SYNCSTEPS=1 CODE PRELOADED S0=4 K0=2 DEATHS=1',
  ),
  broken(
    'LOWERFEW',
    'rule 6: k lowered to the members that were too few',
    'MAXE=2 CRASHES=0 SYNCSTEPS=1 CODE PRELOADED S0=4 K0=2 MINK=0',
  ),
  broken(
    'RAISEDFEW',
    'rule 6: the barrier goes by a k that only the database has',
    'N=4 MAXE=2 CRASHES=0 SYNCSTEPS=2 CODE S0=6 K0=2 K1=1 DEATHS=1',
    'L=1',
  ),
  broken('NORETIRE', 'F8: data is replaced after a look, without saying so', 'CRASHES=0 SYNCSTEPS=1 CODE WIPES=1 S0=2'),
  broken('RESUMES', 'F12: a restarted primary goes on in its epoch', 'SYNCSTEPS=0 CODE RESTARTS=1 READS'),
  broken('PROMOTEVOTES', 'rule 4: promises while its own promotion is under way', 'SYNCSTEPS=0 CODE PROMOTES'),
  broken('FENCEDVOTES', 'rule 5: who is kept stopped counts as having promised', 'SYNCSTEPS=0 CODE FENCES=1'),
  broken(
    'REINITONCE',
    'F25: told once; what a primary made of an older word lands later',
    'MAXE=2 CRASHES=0 SYNCSTEPS=2 CODE REINITS=1',
  ),
  broken('UNLISTED', 'F25: who isn’t listed begins to count', 'MAXE=2 CRASHES=0 SYNCSTEPS=2 CODE REINITS=1'),
  broken('CHANGESTALE', 'upgrade: the change-over compares nothing', 'CRASHES=0 SYNCSTEPS=0 CODE UPGRADES=1'),
  broken('COPYLIVE', 'upgrade: made from data that serve on', 'MAXE=2 CRASHES=0 SYNCSTEPS=0 CODE UPGRADES=1'),
  broken(
    'COPYKEPT',
    'upgrade: what was made before the old data served again is kept',
    'MAXE=4 L=3 CRASHES=0 SYNCSTEPS=0 CODE UPGRADES=2',
  ),
  broken('KEYKEPT', 'upgrade: the old data start under the key of before', 'SYNCSTEPS=0 CODE UPGRADES=1'),
  broken('FORCEEARLY', 'rule 14: a forced claim while the former primary may serve', 'SYNCSTEPS=1 CODE FORCES=1'),
  broken(
    'ADOPTFIRST',
    'F9: adopted under any instance, not the longest log',
    'MAXE=4 L=3 CRASHES=0 SYNCSTEPS=0 RESTORE ADOPT RECLAIMKEEPS',
    'L=2',
  ),
  broken(
    'ADOPTCOUNTS',
    'F9: adopted with the restored sync set',
    'CRASHES=0 SYNCSTEPS=2 RESTORE ADOPT RECLAIMKEEPS',
    'SYNCSTEPS=1 S0=2',
  ),
];

/** The same with the smaller bounds of `--quick`. */
export function withQuickBounds({ quick, ...variant }: Variant): Variant {
  const replaced = (quick ?? '').split(' ').filter((option) => option !== '');
  const name = (option: string): string => option.split('=')[0] ?? option;
  const kept = variant.options.split(' ').filter((option) => !replaced.some((each) => name(each) === name(option)));
  return { ...variant, options: [...replaced, ...kept].join(' ') };
}

/** `without` is the option that takes the rule away; the usual bounds unless `options` says otherwise. */
function broken(without: string, what: string, options: string, quick?: string): Variant {
  const usual = ['MAXE=3', 'L=2', 'CRASHES=1'].filter((bound) => !options.includes(`${bound.split('=')[0] ?? ''}=`));
  return {
    must: 'fail',
    what,
    options: [...usual, options, without].join(' '),
    ...(quick === undefined ? {} : { quick }),
  };
}
