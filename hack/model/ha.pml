/*
 * Mainstay: election, fencing and sync-set protocol (rules 1, 4-8, 11 and 13; rules 2 and 9 only as
 * "when may the key vanish", see ASYNC), for exhaustive checking with Spin.
 *
 * The world is one process whose every step is one atomic event: an etcd transaction, one record received, one
 * acknowledgement given, a crash. There is no clock: any instance may be left unscheduled for any time, which covers
 * pauses, slow networks, partitions and false alarms. Hence leases buy nothing here (see ASYNC), and what holds in
 * strict mode holds without any clock at all.
 *
 * A log is a row of records; a record is named by (index, epoch of the primary that wrote it).
 * `wire[p,j]` is the highest position that j has acknowledged towards p; p may look at it at any later time (acks in flight).
 *
 * Sync sets are printed as bit masks: {2} is instance 1 alone, {6} is instances 1 and 2.
 *
 * Without options the model is the protocol as designed. CODE stands for the four options in which operator/ha decides more
 * closely than that: RECLAIMKEEPS, PLANNER, RELEASE and RETIRE. Every other option takes one rule away. README.md has the
 * table of rules, code and options; variants.ts lists what is run.
 */
#ifdef CODE
#define RECLAIMKEEPS     /* claim.ts reclaim: a living primary that claims again keeps its timeline */
#define PLANNER          /* sync-set.ts planSyncSet, change by change in its own order */
#define RELEASE          /* lead.ts release: a hand-over is a clean stop, a release and an election */
#define RETIRE           /* follow.ts replaceData: what is going to replace its data says so first */
#endif

/* ---- bounds ---------------------------------------------------------------------------------------------------- */
#ifndef N
#define N 3              /* instances: 3 or 4 */
#endif
#ifndef S0
#define S0 6             /* first sync set, bit mask: instances 1 and 2 */
#endif
#ifndef K0
#define K0 1             /* acknowledgements wanted */
#endif
#ifndef K1
#define K1 K0            /* k that etcd and the database begin with */
#endif
#ifndef MINK
#define MINK K0          /* lowest k that the primary may choose: K0 = Strict, 0 = Preferred */
#endif
#ifndef MAXE
#define MAXE 4           /* epochs 1..MAXE */
#endif
#ifndef L
#define L 3              /* records in a log, the epochs' own included */
#endif
#ifndef CRASHES
#define CRASHES 1        /* crash + restart, any instance */
#endif
#ifndef DEATHS
#define DEATHS 0         /* instances lost for good */
#endif
#ifndef SWITCHOVERS
#define SWITCHOVERS 0
#endif
#ifndef WIPES
#define WIPES 0          /* instances that lose their data (re-clone begun, volume replaced) */
#endif
#ifndef SYNCSTEPS
#define SYNCSTEPS 3      /* etcd writes of the sync set per run */
#endif
#ifndef FORCES
#define FORCES 0         /* claims forced by a person, who accepts what is lost */
#endif

#ifndef RESTARTS
#define RESTARTS 0       /* of the primary, in place */
#endif
#ifndef FENCES
#define FENCES 0         /* instances that a person has stopped and kept so, until told otherwise */
#endif
#ifndef REINITS
#define REINITS 0        /* replicas asked to replace their data, though nothing is wrong with them */
#endif
#ifndef UPGRADES
#define UPGRADES 0       /* stops of a primary for a major upgrade */
#endif

#define NONE 7
#define REP  0           /* replica, or down */
#define PRI  1           /* database accepts writes */
#define STP  2           /* stopped cleanly for a hand-over, not yet handed over; or for an upgrade */
#define PMT  3           /* has claimed, its promotion is under way */

/* ---- etcd ------------------------------------------------------------------------------------------------------ */
byte epoch = 1, leader = 0;
byte sPri = 0, sSet = S0, sK = K1;       /* `sync`; its epoch is always `epoch`: it is written in every claim */
byte pEp[N], pPos[N];                    /* `promises/<instance>` */

/* ---- instances ------------------------------------------------------------------------------------------------- */
byte role[N], my[N], fol[N], size[N], ent[N*L], wire[N*N];
byte vow[N];                             /* highest epoch promised, on the instance's own disk */
byte base[N];                            /* length of the primary's log when it claimed */
byte db[N], dbk[N], kn[N], knk[N];       /* the database's sync set and k; what the agent last wrote to etcd */
bit  open[N], dead[N];
#ifdef RECLAIMKEEPS
byte tl[N];                              /* first epoch of the timeline that a primary writes */
#define TERM(i) tl[i]
#else
#define TERM(i) my[i]
#endif
#ifdef NEWESTEPOCH
byte tlNew[MAXE+1];                      /* newest epoch served by the timeline that began in this one */
byte sp[N];                              /* position as of the seal */
#endif
#ifdef PLANNER
byte fit, exc, to, pend[N];              /* pend: length + 1 that the barrier of the change under way asks for, 0 = none */
#endif
#ifdef RETIRE
byte ret[N];                             /* 1: found that it must replace its data, 2: has said so in etcd */
#endif
#ifdef RELEASE
byte note = 0;                           /* epoch whose primary has released it */
#endif
#if RESTARTS > 0
byte restarts = RESTARTS;
#ifdef RESUMES
byte back = 0;                           /* mask: stopped for a restart */
#endif
#endif
#if FENCES > 0
byte fences = FENCES, fenced = 0;        /* mask: stopped by a person */
#endif
#if REINITS > 0
byte reinits = REINITS, asked = 0;                          /* mask: `requests/reinitialize/<instance>` */
byte word = NONE;                        /* whose write, sent before, still says that it streams; it lands late or never */
byte late = 0, lateSet = 0, lateEp = 0;  /* a primary's write that counts one more, under way */
bit  lateUsed = 0;
byte former[N];                          /* mask: whom the database of this one names by data that have been replaced since */
#endif
#if UPGRADES > 0
byte upgrades = UPGRADES, copy[N];                            /* length + 1 of the log that the new version's data were made from, 0 = none */
byte old = 0;                            /* mask: data of the former version */
byte sent = NONE, sentIn = 0;            /* whose change-over has an unknown outcome, and of which epoch */
#endif

/* ---- what the checker knows ------------------------------------------------------------------------------------ */
byte acked[L];                           /* epoch of the record acknowledged at this index, 0 = none */
byte cl = 0;                             /* the newest claimant */
byte crashes = CRASHES, deaths = DEATHS, switches = SWITCHOVERS, wipes = WIPES, steps = SYNCSTEPS, forces = FORCES;
#ifdef TRACE
byte x, y, n;                            /* breadth-first search (shortest traces) knows no hidden variables */
#else
hidden byte x, y, n;
#endif

#ifdef NOCMP
byte dec[N];
#endif
#if defined(LATESYNC) || defined(LATESWAP) || defined(LATEPROM)
byte lateEp = 0, lateA, lateB;           /* one transaction whose sender gave up and which may still arrive */
bit  lateUsed = 0, unsure = 0;
#endif
#ifdef TLDUP
byte tlOf[MAXE+1];                       /* timeline number that the primary of an epoch chose */
#endif
#ifdef RESTORE
byte snapState = 0, zEpoch, zLeader, zPri, zSet, zK, zEp[N], zPos[N];
byte seen[N];                            /* highest epoch seen, on the instance's own disk */
#endif

#define HAS(s,j)   (((s) >> (j)) & 1)
#define WITHOUT(s,j) ((s) & (15 - (1 << (j))))
#define POP(s)     (HAS(s,0) + HAS(s,1) + HAS(s,2) + HAS(s,3))
#define E(i,x)     ent[(i)*L+(x)]
#define W(p,j)     wire[(p)*N+(j)]

/* position: (epoch of the last record, length) */
#ifdef TLDUP
#define LASTTERM(i) tlOf[E(i,size[i]-1)]
#elif defined(NEWESTEPOCH)
#define LASTTERM(i) tlNew[E(i,size[i]-1)]
#else
#define LASTTERM(i) E(i,size[i]-1)
#endif
#ifdef LENONLY
#define POS(i)     size[i]
#else
#define POS(i)     (size[i] == 0 -> 0 : (LASTTERM(i) * 8 + size[i]))
#endif

/* ---- rule 4 and 5: who may claim ------------------------------------------------------------------------------- */
#ifdef COUNTALL
#define NOTABOVE(i,j) 1                       /* counts promises that it doesn't compare with */
#else
#define NOTABOVE(i,j) (pPos[j] <= pPos[i])
#endif
#define PROMISED(j)  (pEp[j] == epoch + 1)
#define VOTE(i,j)    (HAS(sSet,j) && PROMISED(j) && NOTABOVE(i,j))
#ifdef PABOVE
#define PVOTE(i,j)   (sPri == j && PROMISED(j))       /* the recorded primary's promise counts for one that is behind it */
#else
#define PVOTE(i,j)   (sPri == j && PROMISED(j) && NOTABOVE(i,j))
#endif
#if N == 3
#define VOTES(i)  (VOTE(i,0) + VOTE(i,1) + VOTE(i,2))
#define PVOTES(i) (PVOTE(i,0) || PVOTE(i,1) || PVOTE(i,2))
#define ANYPROMISE (PROMISED(0) || PROMISED(1) || PROMISED(2))
#else
#define VOTES(i)  (VOTE(i,0) + VOTE(i,1) + VOTE(i,2) + VOTE(i,3))
#define PVOTES(i) (PVOTE(i,0) || PVOTE(i,1) || PVOTE(i,2) || PVOTE(i,3))
#define ANYPROMISE (PROMISED(0) || PROMISED(1) || PROMISED(2) || PROMISED(3))
#endif

#ifdef FENCEDVOTES                            /* who is stopped by a person can't object */
#define SVOTES(i) (POP(sSet) >= sK && VOTES(i) + POP(sSet & fenced) >= POP(sSet) - sK + 1)
#elif defined(SMALLQUORUM)
#define SVOTES(i) (VOTES(i) >= POP(sSet) - sK)
#elif defined(COUNTFEW)
#define SVOTES(i) (VOTES(i) + sK >= POP(sSet) + 1)
#else
#define SVOTES(i) (POP(sSet) >= sK && VOTES(i) >= POP(sSet) - sK + 1)    /* fewer members than k prove nothing */
#endif
#ifdef NOPRIVOTE
#define QUORUM0(i) SVOTES(i)
#else
#define QUORUM0(i) (SVOTES(i) || PVOTES(i))   /* the recorded primary holds everything: its promise alone is enough */
#endif
#if defined(ABSENT)
#define QUORUM(i) 1                           /* "leader absent" taken as enough */
#elif defined(EMPTYANY)
#define QUORUM(i) (QUORUM0(i) || sK == 0)     /* an empty sync set lets anybody claim once the lease is gone */
#elif defined(NOTECLAIMS)
#define QUORUM(i) (QUORUM0(i) || note == epoch)   /* the release note of a primary that stopped cleanly taken as proof */
#else
#define QUORUM(i) QUORUM0(i)
#endif

#ifdef NOFREEZE
#define SEALED(i) 1
#else
#define SEALED(i) (fol[i] == NONE && pPos[i] == SPOS(i))
#endif
#ifdef NEWESTEPOCH
#define SPOS(i) sp[i]
#define RESEAL(i) sp[i] = (sp[i] == 0 -> POS(i) : sp[i])
#define UNSEAL(i) sp[i] = 0
#else
#define SPOS(i) POS(i)
#define RESEAL(i) skip
#define UNSEAL(i) skip
#endif
#ifdef RESTORE
#ifdef LOCALEPOCH
#define SANE(i) (seen[i] <= epoch)
#elif defined(ADOPT)
#define SANE(i) (snapState != 2)              /* etcd is not the one it was: nobody elects or changes anything */
#else
#define SANE(i) 1
#endif
#define SEE(i) seen[i] = (seen[i] > epoch -> seen[i] : epoch)
#else
#define SANE(i) 1
#define SEE(i) skip
#endif
#ifdef NOMARKER
#define ROOM(i) 1
#else
#define ROOM(i) (size[i] < L)
#endif
#if FENCES > 0
#define RUNS(i) (!HAS(fenced,i))
#else
#define RUNS(i) 1
#endif
#if UPGRADES > 0
#define CURRENT(i) (!HAS(old,i))              /* its data are of the cluster's version: else it neither promises nor follows */
#else
#define CURRENT(i) 1
#endif
#define MAYCLAIM(i) (ROOM(i) && epoch < MAXE && !dead[i] && RUNS(i) && CURRENT(i) && role[i] == REP && PROMISED(i) && SEALED(i) && SANE(i) && QUORUM(i))

/* ---- acknowledgement ------------------------------------------------------------------------------------------- */
#ifdef UNNAMED
#define COUNTS(p,j) (j != p)                  /* semi-sync counts whoever is connected, not a named set */
#elif REINITS > 0
#define COUNTS(p,j) (HAS(db[p],j) && !HAS(former[p],j))
#else
#define COUNTS(p,j) HAS(db[p],j)
#endif
#define HOLDS(p,j,n) (COUNTS(p,j) && W(p,j) >= (n))
#if N == 3
#define ACKS(p,n) (HOLDS(p,0,n) + HOLDS(p,1,n) + HOLDS(p,2,n))
#define BEHIND(p,j) (HAS(db[p],j) && W(p,j) < MARK(p))
#define BARRIER(p) (!BEHIND(p,0) && !BEHIND(p,1) && !BEHIND(p,2))
#else
#define ACKS(p,n) (HOLDS(p,0,n) + HOLDS(p,1,n) + HOLDS(p,2,n) + HOLDS(p,3,n))
#define BEHIND(p,j) (HAS(db[p],j) && W(p,j) < MARK(p))
#define BARRIER(p) (!BEHIND(p,0) && !BEHIND(p,1) && !BEHIND(p,2) && !BEHIND(p,3))
#endif
#if L == 1
#define NACKED (acked[0] != 0)
#elif L == 2
#define NACKED ((acked[0] != 0) + (acked[1] != 0))
#elif L == 3
#define NACKED ((acked[0] != 0) + (acked[1] != 0) + (acked[2] != 0))
#else
#define NACKED ((acked[0] != 0) + (acked[1] != 0) + (acked[2] != 0) + (acked[3] != 0))
#endif
#ifdef ACKEDBARRIER
#define MARK(p) NACKED                        /* "all that was acknowledged" forgets what was inherited */
#else
#define MARK(p) (NACKED > base[p] -> NACKED : base[p])
#endif
#ifdef NOBARRIER
#define HELD(p) 1
#else
#define HELD(p) BARRIER(p)
#endif

/* every acknowledged record is in the newest claimant's log */
inline Check() {
  for (x : 0 .. L-1) {
    if :: acked[x] != 0 -> assert(size[cl] > x && E(cl,x) == acked[x]) :: else fi
  }
}
/* the first m records of p become known to clients */
inline Expose(p, m) {
  for (x : 0 .. L-1) {
    if
    :: x < m -> if :: acked[x] == 0 -> acked[x] = E(p,x) :: else -> assert(acked[x] == E(p,x)) fi
    :: else
    fi
  }
}
/* the database of i stops: its role, its senders' memory and the connections to it are gone */
inline Stop(i) {
  role[i] = REP; open[i] = 0; base[i] = 0; db[i] = 0; dbk[i] = 0; kn[i] = 0; knk[i] = 0;
#ifdef RECLAIMKEEPS
  tl[i] = 0;
#endif
#ifdef PLANNER
  pend[i] = 0;
#endif
#if REINITS > 0
  former[i] = 0;
#endif
  for (x : 0 .. N-1) {
    W(i,x) = 0;
    if :: fol[x] == i -> fol[x] = NONE :: else fi
  }
}
/* i's claim has been written: leader, epoch and sync change in the one transaction */
inline Claimed(i, old) {
  epoch++; leader = i; cl = i;
  fol[i] = NONE; role[i] = PRI; my[i] = epoch; vow[i] = (vow[i] > epoch -> vow[i] : epoch);
#ifdef CLAIMLIVE
  sSet = 0;                                   /* only those who promised, caught up or not, no barrier */
  for (x : 0 .. N-1) { if :: x != i && x != old && pEp[x] == epoch -> sSet = sSet | (1 << x) :: else fi }
  if :: sSet == 0 -> sSet = 1 << old :: else fi
#else
  sSet = WITHOUT(sSet | (1 << old), i);       /* the old primary comes in for the new one */
#endif
#ifdef TLDUP
  tlOf[epoch] = 1 + (size[i] == 0 -> 1 : LASTTERM(i));
#endif
#ifdef RECLAIMKEEPS
  tl[i] = epoch;
#endif
#ifdef NEWESTEPOCH
  tlNew[epoch] = epoch; sp[i] = 0;
#endif
#ifdef RETIRE
  ret[i] = 0;
#endif
#ifdef PROMOTES                               /* the claim is one moment, the end of its promotion another */
  role[i] = PMT;
#elif !defined(NOMARKER)
  E(i,size[i]) = epoch; size[i] = size[i] + 1;  /* the first record of an epoch is the epoch itself */
#endif
  base[i] = size[i]; sPri = i; db[i] = sSet; dbk[i] = sK; kn[i] = sSet; knk[i] = sK;
#ifdef OPENATONCE
  open[i] = 1;
#ifdef READS
  Expose(i, base[i] - 1);
#endif
#else
  open[i] = 0;
#endif
  SEE(i);
  Check();
  x = 0; y = 0; n = 0
}

/* ---- steps of one instance ------------------------------------------------------------------------------------- */
#ifdef NODEMOTE
#define DEMOTE(i)                             /* an ex-primary votes and goes on serving */
#elif defined(PROMOTEVOTES)                   /* votes while its own promotion is still under way */
#define DEMOTE(i) if :: role[i] != REP && role[i] != PMT -> Stop(i) :: else fi
#else
#define DEMOTE(i) if :: role[i] != REP -> Stop(i) :: else fi
#endif
#ifdef NOFREEZE
#define FREEZE(i)
#else
#define FREEZE(i) fol[i] = NONE
#endif

/* rule 4: seal, demote, promise. Nothing is gained by a pause between them: a sealed instance that hasn't promised isn't counted. */
#define PROMISE(i) :: d_step { !dead[i] && RUNS(i) && CURRENT(i) && epoch < MAXE && vow[i] < epoch + 1 && SANE(i) -> printf("%d seals, promises %d\n", i, epoch+1);                             \
    DEMOTE(i); FREEZE(i); SEE(i); vow[i] = epoch + 1; pEp[i] = epoch + 1; UNRETIRE(i); STARTED(i); RESEAL(i); pPos[i] = SPOS(i); x = 0 }

#ifdef PROMOTES
#define PROMOTED(i) :: d_step { role[i] == PMT -> printf("%d is promoted (epoch %d)\n", i, my[i]); role[i] = PRI; E(i,size[i]) = my[i]; size[i] = size[i] + 1; base[i] = size[i]; fol[i] = NONE }
#else
#define PROMOTED(i)
#endif

#ifdef NOCMP                                  /* the claim doesn't compare `sync`: it may have changed since the count */
#define CLAIM(i) :: d_step { MAYCLAIM(i) && dec[i] != epoch + 1 -> printf("%d counts promises, decides to claim %d\n", i, epoch+1); dec[i] = epoch + 1 }                                  \
                 :: d_step { ROOM(i) && epoch < MAXE && dec[i] == epoch + 1 && role[i] == REP && fol[i] == NONE -> printf("%d claims %d\n", i, epoch+1); y = sPri; dec[i] = 0; Claimed(i, y) }
#else
#define CLAIM(i) :: d_step { MAYCLAIM(i) -> printf("%d claims %d\n", i, epoch+1); y = sPri; Claimed(i, y) }
#endif

/* rule 13: the living primary answers promises by claiming the epoch itself */
#ifdef RECLAIMSTALE                           /* the living primary's claim doesn't compare the epoch */
#define MAYRECLAIM(i) 1
#else
#define MAYRECLAIM(i) (my[i] == epoch && leader == i && ANYPROMISE)
#endif
#define SELFCLAIM(i) :: d_step { role[i] == PRI && MAYRECLAIM(i) && epoch < MAXE && SANE(i) -> printf("%d (primary) claims %d itself\n", i, epoch+1);         \
    epoch++; leader = i; sPri = i; my[i] = epoch; cl = i; vow[i] = (vow[i] > epoch -> vow[i] : epoch); TLSELF(i); SEE(i); Check(); x = 0 }
#ifdef TLDUP
#define TLSELF(i) tlOf[epoch] = tlOf[epoch-1]
#elif defined(NEWESTEPOCH)
#define TLSELF(i) tlNew[tl[i]] = epoch
#else
#define TLSELF(i) skip
#endif

#define WRITE(i) :: d_step { role[i] == PRI && open[i] && size[i] < L -> printf("%d writes record %d of epoch %d\n", i, size[i]+1, my[i]); E(i,size[i]) = TERM(i); size[i] = size[i] + 1 }

#ifdef ASYNC                                  /* k = 0: one acknowledging primary at a time is all that can be asked */
#define JUDGE(i) assert(my[i] == epoch)
#else
#define JUDGE(i) Check()
#endif
#define ACK(i,m) :: d_step { role[i] == PRI && open[i] && size[i] >= m && acked[m-1] != E(i,m-1) && ACKS(i,m) >= dbk[i] -> printf("%d (epoch %d) acknowledges up to %d\n", i, my[i], m); \
    Expose(i,m); JUDGE(i); x = 0 }

/* a new primary opens once k of S hold all that it began with */
#ifdef READS
#define SHOW(i) Expose(i, size[i])
#else
#define SHOW(i) skip
#endif
#define OPEN(i) :: d_step { role[i] == PRI && !open[i] && ACKS(i,size[i]) >= dbk[i] && my[i] == epoch -> printf("%d opens (epoch %d)\n", i, my[i]); open[i] = 1; SHOW(i); Check(); x = 0 }

#ifdef FORGET
#define CRASHABLE(i) 1
#define FORGETVOW(i) vow[i] = 0
#else
#define FORGETVOW(i) skip
#define CRASHABLE(i) (role[i] != REP || fol[i] != NONE)
#endif
#define CRASH(i) :: d_step { crashes > 0 && !dead[i] && CRASHABLE(i) -> printf("%d crashes and restarts\n", i); crashes--; Stop(i); fol[i] = NONE; UNSEAL(i); FORGETVOW(i); DECCLR(i); x = 0 }
#ifdef NOCMP
#define DECCLR(i) dec[i] = 0
#else
#define DECCLR(i) skip
#endif
#define DIE(i)   :: d_step { deaths > 0 && !dead[i] -> printf("%d is lost for good\n", i); deaths--; Stop(i); fol[i] = NONE; dead[i] = 1; x = 0 }
#ifdef WIPEMEMBER
#define WIPEABLE(i) (!dead[i])
#elif defined(RETIRE)
#define WIPEABLE(i) (!dead[i] && ret[i] == 2)
#else
#define WIPEABLE(i) (!dead[i] && !HAS(sSet,i) && sPri != i && pEp[i] <= epoch)
#endif
#ifdef RETIRE                                 /* looks, says so in etcd, and only then replaces: three moments, others act in between */
#ifdef NORETIRE
#define TELL(i) ret[i] = 2
#define RETIRING(i)
#else
#define TELL(i) ret[i] = 1
#if REINITS > 0
#define OLDWORD(i) word = (ASKED(i) -> i : word)
#else
#define OLDWORD(i) skip
#endif
#define RETIRING(i) :: d_step { ret[i] == 1 && !HAS(sSet,i) && sPri != i && SANE(i) -> printf("%d tells that its data will be replaced\n", i); ret[i] = 2; OLDWORD(i); LATEOVER; LATEFAILS } \
                    :: d_step { ret[i] == 1 && (HAS(sSet,i) || sPri == i) -> ret[i] = 0 }
#endif
#define REPLACE(i) :: d_step { wipes > 0 && role[i] == REP && !dead[i] && ret[i] == 0 && !HAS(sSet,i) && sPri != i && pEp[i] <= epoch && vow[i] <= epoch -> printf("%d must replace its data, isn't counted\n", i); fol[i] = NONE; TELL(i) } \
                   RETIRING(i)
#ifdef NORETIRE
#define COUNTABLE(j) 1
#else
#define COUNTABLE(j) (ret[j] != 2 && ret[j] != 4)
#endif
#define LATELY(p,j) (ret[j] != 0 && my[j] == my[p])   /* seen streaming a moment ago */
#if REINITS > 0
#define UNRETIRE(j) ret[j] = 0; word = (word == j -> NONE : word)
#else
#define UNRETIRE(j) ret[j] = 0
#endif
#ifdef LATESYNC
#define LATEFAILS lateEp = 0; lateA = 0
#else
#define LATEFAILS
#endif
#else
#define REPLACE(i)
#define COUNTABLE(j) 1
#define LATELY(p,j) 0
#define UNRETIRE(j) skip
#endif
inline LoseData(i) {
  fol[i] = NONE; size[i] = 0; UNSEAL(i);
  for (x : 0 .. L-1) { E(i,x) = 0 };
  for (x : 0 .. N-1) { W(x,i) = 0 };
#if REINITS > 0
  for (x : 0 .. N-1) { former[x] = former[x] | (db[x] & (1 << i)) };
#endif
  x = 0
}
#define WIPE(i)  :: d_step { wipes > 0 && role[i] == REP && WIPEABLE(i) -> printf("%d loses its data\n", i); wipes--; LoseData(i) }

/*
 * A replica that streams, and may be a member, is asked to replace its data (reinitialize.ts, follow.ts). It goes on following
 * meanwhile, and may know nothing new of etcd from its last word there until its data are gone. `ret`: 1 it has looked and
 * isn't counted, 2 it has told so in etcd, 3 its own write of before has landed after that and says that it streams, 4 it has
 * told so again, when no such write could land any more, 5 and its key has vanished since. `late` is the write of a primary
 * that saw it stream: any other write of `sync` makes it fail.
 */
#if REINITS > 0
#define ASKED(j)   HAS(asked,j)
#define LATEOVER   late = 0; lateSet = 0; lateEp = 0
#define UNCOUNTED(j) (!HAS(sSet,j) && sPri != j && SANE(j))
#define ASKREINIT(j) :: d_step { reinits > 0 && role[j] == REP && fol[j] != NONE -> printf("%d is asked to replace its data\n", j); reinits--; asked = asked | (1 << j) }                       \
      :: d_step { ASKED(j) && ret[j] == 0 -> printf("it is too late for that\n"); asked = 0 }                                                                                            \
      :: d_step { ASKED(j) && role[j] == REP && ret[j] == 0 && UNCOUNTED(j) && vow[j] <= epoch -> printf("%d must replace its data, isn't counted\n", j); ret[j] = 1 }                  \
      :: d_step { word == j && ret[j] == 2 -> printf("a late word of %d lands: it streams\n", j); word = NONE; ret[j] = 3 }                                                             \
      :: d_step { word == j -> printf("a late word of %d is lost\n", j); word = NONE }                                                                                                   \
      :: d_step { ret[j] == 3 -> printf("%d says again that its data will be replaced\n", j); ret[j] = 2 }                                                                               \
      TELLAGAIN(j) VANISH(j)                                                                                                                                                             \
      :: d_step { ASKED(j) && (ret[j] == 4 || ret[j] == 5) && role[j] == REP -> printf("%d replaces its data\n", j); asked = 0; ret[j] = (ret[j] == 5 -> 5 : 2); LoseData(j) }
#define SENDJOIN(p,j) :: d_step { MINE(p) && !lateUsed && pend[p] == 0 && !FEW(p) && kn[p] == sSet && db[p] == sSet && knk[p] == sK && fol[j] == p && !HAS(sSet,j) && COUNTABLE(j) -> printf("%d sends that %d counts, it takes long\n", p, j); lateUsed = 1; steps--; late = p; lateSet = sSet | (1 << j); lateEp = epoch }
#ifdef REINITONCE                             /* when it has told so once, and nothing older of its own is under way */
#define TELLAGAIN(j) :: d_step { ret[j] == 2 && ASKED(j) && word != j -> ret[j] = 4 }
#else
#define TELLAGAIN(j) :: d_step { ret[j] == 2 && ASKED(j) && word != j && UNCOUNTED(j) -> printf("%d tells again that its data will be replaced\n", j); ret[j] = 4; LATEOVER }
#endif
#ifdef UNLISTED                               /* who says nothing of itself in etcd is counted */
#define VANISH(j) :: d_step { ret[j] == 4 -> printf("the key of %d vanishes\n", j); ret[j] = 5 }
#else
#define VANISH(j)
#endif
#else
#define ASKED(j)   0
#define LATEOVER   skip
#define ASKREINIT(j)
#define SENDJOIN(p,j)
#endif

/* a person stops an instance, and keeps it stopped: it is as good as down, and as much a member as before */
#if FENCES > 0
#define FENCE(i) :: d_step { fences > 0 && !dead[i] && !HAS(fenced,i) -> printf("%d is fenced\n", i); fences--; fenced = fenced | (1 << i); Stop(i); fol[i] = NONE; x = 0 } \
                 :: d_step { HAS(fenced,i) -> printf("%d is fenced no more\n", i); fenced = WITHOUT(fenced,i) }
#else
#define FENCE(i)
#endif

/*
 * A primary is stopped for a restart and gives up leadership, as for a hand-over; who leads next, itself most likely, is for an
 * election to say.
 */
#if RESTARTS > 0
#ifdef RESUMES                                /* it keeps the key instead, and goes on in its epoch */
#define BACK(p) back = back | (1 << p)
#define RESUME(p) :: d_step { HAS(back,p) && leader == p && epoch == my[p] && vow[p] <= epoch && role[p] == REP -> printf("%d goes on in epoch %d\n", p, epoch); back = 0; fol[p] = NONE; role[p] = PRI; open[p] = 1; \
    TLSELFSAME(p); base[p] = size[p]; db[p] = sSet; dbk[p] = sK; kn[p] = sSet; knk[p] = sK; SHOW(p); Check(); x = 0 }
#define TLSELFSAME(p) tl[p] = (size[p] == 0 -> my[p] : E(p,size[p]-1))
#else
#define BACK(p) note = epoch
#define RESUME(p)
#endif
#define RESTART(p) :: d_step { restarts > 0 && role[p] == PRI && my[p] == epoch && leader == p && epoch < MAXE -> printf("%d stops for a restart in place\n", p); restarts--; BACK(p); Stop(p); x = 0 } \
                   RESUME(p)
#else
#define RESTART(p)
#endif

/*
 * A primary stops cleanly and keeps the key, makes the next version's data beside its own, and one transaction makes them the
 * cluster's (upgrade.ts). All other data are of the former version then: they count no more, and are replaced by copies.
 */
#if UPGRADES > 0
#ifdef KEYKEPT                                /* the old data are started although the key of its former life is still there */
#define KEYGONE(i) skip
#else
#define KEYGONE(i) leader = (leader == i -> NONE : leader)
#endif
#ifdef COPYKEPT                               /* data made before are kept though the old ones have served since */
#define STARTED(i) KEYGONE(i)
#define MADE(i) copy[i] = (copy[i] == 0 -> size[i] + 1 : copy[i])
#else
#define STARTED(i) KEYGONE(i); copy[i] = 0
#define MADE(i) copy[i] = size[i] + 1
#endif
#ifdef CHANGESTALE                            /* the change-over doesn't compare epoch and leader */
#define MAYCHANGE(p,e) 1
#else
#define MAYCHANGE(p,e) (epoch == e && leader == p)
#endif
#ifdef COPYLIVE                               /* the new data are made while the old ones serve */
#define MAYMAKE(p) (role[p] == PRI)
#else
#define MAYMAKE(p) (role[p] == STP)
#endif
#define EVERYBODY ((1 << N) - 1)
/* of a change-over that lands after the data were dropped, nothing is left */
inline ChangeOver(p) {
  size[p] = (copy[p] == 0 -> 0 : copy[p] - 1);
  for (x : 0 .. L-1) { if :: x >= size[p] -> E(p,x) = 0 :: else fi };
  for (x : 0 .. N-1) { pEp[x] = 0; pPos[x] = 0 };
  old = WITHOUT(EVERYBODY, p); copy[p] = 0; sent = NONE; sentIn = 0;
  Stop(p); y = p; sSet = 0; Claimed(p, y)
}
#define READY(p) (role[p] == STP && copy[p] != 0 && MAYCHANGE(p,my[p]) && epoch < MAXE && ROOM(p) && SANE(p))
#define UPGRADE(p) :: d_step { upgrades > 0 && role[p] == PRI && my[p] == epoch && leader == p && epoch < MAXE -> printf("%d stops for an upgrade\n", p); upgrades--; role[p] = STP; open[p] = 0 }  \
      :: d_step { MAYMAKE(p) && copy[p] == 0 -> printf("%d makes the new data of %d records\n", p, size[p]); MADE(p) }                                                                     \
      :: d_step { role[p] == STP && my[p] == epoch && leader == p -> printf("%d gives up the upgrade, and leadership\n", p); note = epoch; leader = NONE; Stop(p); x = 0 }                 \
      :: d_step { READY(p) -> printf("%d changes over to the new data, epoch %d\n", p, epoch+1); ChangeOver(p) }                                                                           \
      :: d_step { READY(p) && sent == NONE -> printf("%d sends the change-over to epoch %d, outcome unknown\n", p, epoch+1); sent = p; sentIn = epoch }                                    \
      :: d_step { sent == p && MAYCHANGE(p,sentIn) && epoch < MAXE && ROOM(p) -> printf("the late change-over of %d lands, epoch %d\n", p, epoch+1); ChangeOver(p) }                      \
      :: d_step { HAS(old,p) && !dead[p] && !HAS(sSet,p) && sPri != p -> printf("%d drops the data of the former version\n", p); if :: role[p] != REP -> Stop(p) :: else fi; old = WITHOUT(old,p); LoseData(p) }
#else
#define STARTED(i) skip
#define UPGRADE(p)
#endif

/* ---- rule 6: the sync set -------------------------------------------------------------------------------------- */
#define MINE(p)  (role[p] == PRI && my[p] == epoch && leader == p && steps > 0 && SANE(p))

/*
 * The planner of sync-set.ts, with its own order of steps. `kn`, `knk` are what etcd holds as p knows it, `db`, `dbk` what its
 * database does; `fit` is any part of the replicas that stream from p, `exc` those lost for good (their data is gone).
 * Without a barrier a change of the database counts as proven at once; else when k members hold the log as of the change.
 */
#ifdef PLANNER
#define LOWEST(s)    ((s) & (0 - (s)))
#define CUTOUT(s,t)  ((s) & (15 - (t)))
#define FEW(p)       (POP(kn[p]) < knk[p])
#define ENOUGHFIT(p) (POP(kn[p] & fit) >= knk[p])
#define STRANGERS(p) CUTOUT(db[p], kn[p])
#if MINK == K0
#define GOAL K0
#else
#define GOAL (POP(fit) < K0 -> POP(fit) : K0)
#endif
#ifdef STALEVIEW                              /* the next change is planned from before the last one */
#define KNOW(p)
#define REFRESH(p) :: d_step { MINE(p) && (kn[p] != sSet || knk[p] != sK) -> kn[p] = sSet; knk[p] = sK }
#define FRESH(p) (kn[p] == sSet && knk[p] == sK)
#else
#define KNOW(p) kn[p] = sSet; knk[p] = sK
#define REFRESH(p)
#define FRESH(p) 1
#endif
#ifdef JOINFEW                                /* in etcd first, although with it there are enough to count */
#define MAYJOIN(p) 1
#define TAKEOVER(p) (POP(db[p]) > POP(kn[p]))
#else
#define MAYJOIN(p) (!FEW(p))
#define TAKEOVER(p) (STRANGERS(p) != 0)
#endif
#ifdef LOWERFEW                               /* k is lowered although with fewer asked for the members recorded begin to count */
#define EMPTYFIRST(p) 0
#define LOWERNEXT(p) 0
#define MAYBEGIN(p) 1
#else
#define MAYBEGIN(p) (GOAL >= knk[p])
#define EMPTYFIRST(p) (FEW(p) && GOAL < knk[p] && kn[p] != 0)
#define LOWERNEXT(p) (FEW(p) && GOAL < knk[p] && kn[p] == 0)
#endif
#ifdef RAISEDFEW                              /* the barrier goes by a k that the database asks for and etcd does not */
#define DOWNFIRST(p) 0
#else
#define DOWNFIRST(p) (FEW(p) && dbk[p] > knk[p])
#endif
#ifdef COUNTATONCE                            /* the first members, too, in etcd first */
#define FEWDB(p) 0
#else
#define FEWDB(p) FEW(p)
#endif
#ifdef NOBARRIER
#define BAR 0
#else
#define BAR 1
#endif

#ifdef TAKEINBARE                             /* members come back after a collapse was begun, and count without a barrier */
#define BARIN 0
#else
#define BARIN BAR
#endif

#if REINITS > 0                                /* a name holds for the data that it was given for, the incarnation */
#define NAMES(p,s) former[p] = former[p] & (s)
#define SOUND(p,s) CUTOUT(s, former[p])
#else
#define NAMES(p,s) skip
#define SOUND(p,s) (s)
#endif
inline InDatabase(p, s, c, b) {
  printf("%d asks its database for %d of {%d}\n", p, c, s);
  NAMES(p,s); db[p] = s; dbk[p] = c; pend[p] = (b && POP(db[p]) >= dbk[p] -> size[p] + 1 : 0)
}
inline InEtcd(p, s, c) {
  if
  :: MINE(p) && FRESH(p) -> printf("%d writes sync := %d of {%d}\n", p, c, s); steps--; sSet = s; sK = c; LATEOVER; KNOW(p)
  :: else
  fi
}
inline Plan(p) {
  x = STRANGERS(p);
  if
  :: dbk[p] < knk[p] -> InDatabase(p, kn[p], knk[p], 0)
  :: dbk[p] >= knk[p] && x != 0 && !(FEW(p) && CUTOUT(x, SOUND(p,fit)) == 0) -> InDatabase(p, kn[p], knk[p], 0)
  :: else ->
    to = CUTOUT(fit, db[p]);
    if                                                                                                  /* begin */
    :: EMPTYFIRST(p) -> InEtcd(p, 0, knk[p])
    :: LOWERNEXT(p) -> InEtcd(p, 0, (knk[p] - 1))
    :: !EMPTYFIRST(p) && !LOWERNEXT(p) && DOWNFIRST(p) -> InDatabase(p, db[p], knk[p], BAR)
    :: !EMPTYFIRST(p) && !LOWERNEXT(p) && !DOWNFIRST(p) && FEWDB(p) && TAKEOVER(p) -> InEtcd(p, db[p], knk[p])
    :: !EMPTYFIRST(p) && !LOWERNEXT(p) && !DOWNFIRST(p) && FEWDB(p) && !TAKEOVER(p) && to != 0 && MAYBEGIN(p) -> InDatabase(p, (db[p] | to), dbk[p], BAR)
    :: else ->
      to = CUTOUT(fit, kn[p]);
      if
      :: to != 0 && (MAYJOIN(p) || !FEWDB(p)) -> InEtcd(p, (kn[p] | LOWEST(to)), knk[p])                       /* join */
      :: else ->
        if
        :: (kn[p] & exc) != 0 && !ENOUGHFIT(p) ->                                                       /* collapse */
          if
          :: db[p] != 0 -> InDatabase(p, 0, dbk[p], 0)
          :: else -> InEtcd(p, 0, knk[p])
          fi
        :: else ->
          to = CUTOUT(kn[p] & fit, db[p]);
          if
          :: to != 0 -> InDatabase(p, (db[p] | LOWEST(to)), dbk[p], BARIN)                               /* takeIn */
          :: else ->
            to = ((kn[p] & exc) != 0 -> LOWEST(kn[p] & exc) : (POP(kn[p]) > knk[p] -> LOWEST(CUTOUT(kn[p], fit)) : 0));
            if
            :: ENOUGHFIT(p) && to != 0 ->                                                               /* leave */
              if
              :: (db[p] & to) != 0 -> InDatabase(p, CUTOUT(db[p], to), dbk[p], BAR)
              :: else -> InEtcd(p, CUTOUT(kn[p], to), knk[p])
              fi
            :: else ->                                                                                  /* adjust */
              if
              :: GOAL < knk[p] -> InEtcd(p, kn[p], (knk[p] - 1))
              :: GOAL >= knk[p] && dbk[p] > knk[p] ->
                if
                :: GOAL >= dbk[p] && db[p] == kn[p] -> InEtcd(p, kn[p], dbk[p])
                :: else -> InDatabase(p, db[p], knk[p], 0)
                fi
              :: GOAL > knk[p] && dbk[p] == knk[p] && POP(fit) > knk[p] -> InDatabase(p, db[p], (dbk[p] + 1), BAR)
              :: else
              fi
            fi
          fi
        fi
      fi
    fi
  fi;
  x = 0; to = 0
}
#define STREAMS(p,j) (j != p && (fol[j] == p || LATELY(p,j)) && !dead[j] && COUNTABLE(j))
#define MAYFIT(p,j)  if :: STREAMS(p,j) -> fit = fit | (1 << j) :: fit = fit fi;
#if N == 3
#define CHOOSE(p) MAYFIT(p,0) MAYFIT(p,1) MAYFIT(p,2)
#define LOST (dead[0] + 2 * dead[1] + 4 * dead[2])
#else
#define CHOOSE(p) MAYFIT(p,0) MAYFIT(p,1) MAYFIT(p,2) MAYFIT(p,3)
#define LOST (dead[0] + 2 * dead[1] + 4 * dead[2] + 8 * dead[3])
#endif
#if REINITS > 0
#define DEPARTING :: exc = LOST | asked
#else
#define DEPARTING
#endif
#define PLAN(p) :: atomic { role[p] == PRI && pend[p] == 0 -> CHOOSE(p) if :: exc = LOST :: exc = 0 DEPARTING fi; d_step { Plan(p); fit = 0; exc = 0 } }                                   \
                :: d_step { pend[p] != 0 && ACKS(p, pend[p] - 1) >= dbk[p] -> printf("%d has passed the barrier\n", p); pend[p] = 0 }                                                \
                :: d_step { pend[p] != 0 -> printf("%d gives up the barrier\n", p); pend[p] = 0; db[p] = kn[p]; dbk[p] = knk[p] }                                                   \
                REFRESH(p)
#else
#define PLAN(p)
#endif
#ifdef LATESYNC
#define SENDNARROW(p) :: d_step { MINE(p) && !lateUsed && db[p] != 0 && db[p] != sSet && (db[p] & sSet) == db[p] && POP(db[p]) >= sK && HELD(p) -> printf("%d sends sync := {%d}, outcome unknown, reads: not applied\n", p, db[p]); \
    lateUsed = 1; unsure = 1; lateEp = epoch; lateA = db[p]; lateB = p; x = 0 }
#else
#define SENDNARROW(p)
#endif
#define NARROW(p) :: d_step { MINE(p) && db[p] != 0 && db[p] != sSet && (db[p] & sSet) == db[p] && POP(db[p]) >= sK && HELD(p) -> printf("%d writes sync := {%d}\n", p, db[p]);  \
    steps--; sSet = db[p]; kn[p] = db[p]; x = 0 }
#if defined(LATESYNC) && defined(REWRITE)      /* an unknown outcome is settled by writing the key again, which makes the late one fail */
#define SETTLED(p) (!unsure || lateB != p)
#define SETTLE(p)  :: d_step { MINE(p) && unsure && lateB == p -> printf("%d rewrites sync: the late write can only fail now\n", p); kn[p] = sSet; unsure = 0; lateEp = 0; lateA = 0 }
#else
#define SETTLED(p) 1
#define SETTLE(p)
#endif
#ifdef WIDENDBFIRST
#define WIDEN(p,j)   :: d_step { role[p] == PRI && j != p && !HAS(db[p],j) -> printf("%d adds %d in its database\n", p, j); db[p] = db[p] | (1 << j) }  \
                     :: d_step { MINE(p) && j != p && HAS(db[p],j) && !HAS(sSet,j) -> printf("%d adds %d to sync in etcd\n", p, j); steps--; sSet = sSet | (1 << j); kn[p] = sSet }
#else
#define WIDEN(p,j)   :: d_step { MINE(p) && j != p && !HAS(sSet,j) && COUNTABLE(j) -> printf("%d adds %d to sync in etcd\n", p, j); steps--; sSet = sSet | (1 << j); kn[p] = sSet }            \
                     :: d_step { role[p] == PRI && j != p && HAS(kn[p],j) && !HAS(db[p],j) && SETTLED(p) -> printf("%d adds %d in its database\n", p, j); db[p] = db[p] | (1 << j) }
#endif
#ifdef NARROWETCDFIRST
#define DBNARROW(p,j) :: d_step { MINE(p) && HAS(sSet,j) && POP(sSet) > sK -> printf("%d removes %d from sync in etcd\n", p, j); steps--; sSet = WITHOUT(sSet,j); kn[p] = sSet }        \
                      :: d_step { role[p] == PRI && HAS(db[p],j) && !HAS(kn[p],j) -> printf("%d removes %d in its database\n", p, j); db[p] = WITHOUT(db[p],j) }
#else
#define DBNARROW(p,j) :: d_step { role[p] == PRI && HAS(db[p],j) && POP(db[p]) > dbk[p] -> printf("%d removes %d in its database\n", p, j); db[p] = WITHOUT(db[p],j) }
#endif
/* k: lower it in etcd first, raise it in the database first */
#if MINK == K0
#define KSTEPS(p)
#elif defined(KDBFIRST)
#define KSTEPS(p) :: d_step { role[p] == PRI && dbk[p] > MINK && dbk[p] == knk[p] -> printf("%d lowers k to %d in its database\n", p, dbk[p]-1); dbk[p] = dbk[p] - 1 }                         \
                  :: d_step { MINE(p) && sK > dbk[p] -> printf("%d lowers k to %d in etcd\n", p, dbk[p]); steps--; sK = dbk[p]; knk[p] = sK }                                      \
                  :: d_step { MINE(p) && sK == dbk[p] && sK < K0 && POP(db[p]) > dbk[p] -> dbk[p] = dbk[p] + 1; knk[p] = dbk[p] }
#else
#define KSTEPS(p) :: d_step { MINE(p) && sK > MINK && sK == dbk[p] -> printf("%d lowers k to %d in etcd\n", p, sK-1); steps--; sK = sK - 1; knk[p] = sK }                          \
                  :: d_step { role[p] == PRI && dbk[p] > knk[p] -> printf("%d lowers k to %d in its database\n", p, knk[p]); dbk[p] = knk[p] }                                            \
                  :: d_step { MINE(p) && dbk[p] == sK && sK < K0 && POP(db[p]) > sK -> printf("%d raises k to %d in its database\n", p, dbk[p]+1); dbk[p] = dbk[p] + 1; knk[p] = dbk[p] }       \
                  :: d_step { MINE(p) && dbk[p] > sK && ACKS(p,MARK(p)) >= dbk[p] && POP(sSet) >= dbk[p] -> printf("%d raises k to %d in etcd\n", p, dbk[p]); steps--; sK = dbk[p]; knk[p] = sK }
#endif

/* ---- steps of a pair ------------------------------------------------------------------------------------------- */
#ifdef FOLLOWBACK
#define NOTOLDER(j,p) 1
#else
#define NOTOLDER(j,p) (my[p] >= my[j])
#endif
#ifdef SHRINK                                 /* repointing throws away what was received but not yet applied */
#define CUT(j) if :: size[j] > 0 -> size[j] = size[j] - 1; E(j,size[j]) = 0 :: else fi
#else
#define CUT(j) skip
#endif
#ifdef PROMOTES
#define LEADS(p) (role[p] == PRI || role[p] == PMT)
#else
#define LEADS(p) (role[p] == PRI)
#endif
#if UPGRADES > 0
#define SAMEDATA(j,p) (HAS(old,j) == HAS(old,p))
#else
#define SAMEDATA(j,p) 1
#endif
/* j follows p: what p doesn't have is rewound */
#define FOLLOW(j,p) :: d_step { !dead[j] && !dead[p] && RUNS(j) && SAMEDATA(j,p) && j != p && LEADS(p) && my[p] >= vow[j] && NOTOLDER(j,p)              \
      && (fol[j] != p || my[j] != my[p]) && (role[j] == REP || my[j] < my[p]) && SANE(j) -> printf("%d follows %d (epoch %d)\n", j, p, my[p]);                                       \
    if :: role[j] != REP -> Stop(j) :: else fi;                                                                               \
    n = 0; y = 0;                                                                                                             \
    for (x : 0 .. L-1) { if :: y == 0 && x < size[j] && x < size[p] && E(j,x) == E(p,x) -> n = n + 1 :: else -> y = 1 fi };         \
    for (x : 0 .. L-1) { if :: x >= n -> E(j,x) = 0 :: else fi };                                                              \
    if :: fol[j] != p -> size[j] = n; CUT(j) :: else -> size[j] = n fi;                                                           \
    fol[j] = p; my[j] = my[p]; W(p,j) = size[j]; SEEN(j,p); UNSEAL(j); UNRETIRE(j); STARTED(j); x = 0; y = 0; n = 0 }
#ifdef RESTORE
#define SEEN(j,p) seen[j] = (seen[j] > my[p] -> seen[j] : my[p])
#else
#define SEEN(j,p) skip
#endif
#define RECEIVE(j,p) :: d_step { j != p && fol[j] == p && role[p] != REP && size[j] < size[p] -> printf("%d receives record %d from %d\n", j, size[j]+1, p);                                  \
    E(j,size[j]) = E(p,size[j]); size[j] = size[j] + 1; W(p,j) = size[j] }

/* rule 7: stop, verify, swap in one transaction; or abort */
#if SWITCHOVERS > 0
#define SWSTOP(p)   :: d_step { switches > 0 && role[p] == PRI && open[p] && my[p] == epoch && leader == p && epoch < MAXE -> printf("%d stops for a switchover\n", p); switches--; role[p] = STP; open[p] = 0 }
#ifdef NOVERIFY
#define SAME(c,p) 1
#else
#define SAME(c,p) (POS(c) == POS(p))
#endif
#define SWREADY(p,c) (ROOM(c) && role[p] == STP && my[p] == epoch && leader == p && epoch < MAXE && c != p && !dead[c] && role[c] == REP && fol[c] == p && vow[c] <= epoch + 1 && SAME(c,p))
#define SWSWAP(p,c) :: d_step { SWREADY(p,c) -> printf("%d hands over to %d\n", p, c); Stop(p); y = p; Claimed(c, y) }
#ifdef LATESWAP
#define SWSEND(p,c) :: d_step { SWREADY(p,c) && !lateUsed -> printf("%d sends the hand-over to %d, outcome unknown, reads: not applied\n", p, c); lateUsed = 1; lateEp = epoch; lateA = c; lateB = p }
#else
#define SWSEND(p,c)
#endif
#if defined(LATESWAP) && !defined(ABORTBUMPS)
#define SWABORT(p)  :: d_step { role[p] == STP && my[p] == epoch && leader == p -> printf("%d aborts the switchover and resumes\n", p); role[p] = PRI; open[p] = 1 }
#else
#define SWABORT(p)  :: d_step { role[p] == STP && my[p] == epoch && leader == p && epoch < MAXE -> printf("%d aborts the switchover with epoch %d\n", p, epoch+1); epoch++; my[p] = epoch; cl = p; vow[p] = (vow[p] > epoch -> vow[p] : epoch); role[p] = PRI; open[p] = 1; Check(); x = 0 }
#endif
#else
#define SWSTOP(p)
#define SWSWAP(p,c)
#define SWSEND(p,c)
#define SWABORT(p)
#endif

/* a hand-over as the code does it: a clean stop, then the key goes; who leads next is for an election to say */
#if defined(RELEASE) && SWITCHOVERS > 0
#define RELEASED(p) :: d_step { switches > 0 && role[p] == PRI && open[p] && my[p] == epoch && leader == p && epoch < MAXE -> printf("%d stops cleanly and releases epoch %d\n", p, epoch); switches--; note = epoch; Stop(p); x = 0 }
#else
#define RELEASED(p)
#endif

/*
 * A person accepts the loss of what the claimant lacks: it counts as never acknowledged. The claim waits until the lease of the
 * holder has ended, so that no primary is alive.
 */
#if FORCES > 0
#ifdef FORCEEARLY
#define FENCED 1
#elif N == 3
#define FENCED (role[0] != PRI && role[1] != PRI && role[2] != PRI)
#else
#define FENCED (role[0] != PRI && role[1] != PRI && role[2] != PRI && role[3] != PRI)
#endif
#define FORCE(i) :: d_step { forces > 0 && ROOM(i) && epoch < MAXE && !dead[i] && role[i] == REP && PROMISED(i) && SEALED(i) && SANE(i) && !QUORUM(i) && FENCED -> printf("%d is forced to lead epoch %d\n", i, epoch+1); forces--; \
    for (x : 0 .. L-1) { if :: x >= size[i] || acked[x] != E(i,x) -> acked[x] = 0 :: else fi }; y = sPri; Claimed(i, y) }
#else
#define FORCE(i)
#endif

/* a promise whose sender gave up (timeout, read shows none) and went back to its primary */
#ifdef LATEPROM
#define GIVEUP(i) :: d_step { !lateUsed && !dead[i] && role[i] == REP && fol[i] != NONE && epoch < MAXE && vow[i] < epoch + 1 -> printf("%d sends promise %d, outcome unknown, goes on following\n", i, epoch+1); lateUsed = 1; lateEp = epoch + 1; lateA = i; lateB = POS(i) }
#else
#define GIVEUP(i)
#endif

#define ONE(i) PROMISE(i) CLAIM(i) PROMOTED(i) SELFCLAIM(i) WRITE(i) OPEN(i) CRASH(i) DIE(i) WIPE(i) REPLACE(i) SYNCONE(i) SWITCH(i) FENCE(i) RESTART(i) UPGRADE(i) ASKREINIT(i) FORCE(i) GIVEUP(i) EXPIRE(i) LEASECLAIM(i)
#define TWO(i,j) FOLLOW(i,j) RECEIVE(i,j) SYNCTWO(i,j) SWITCHTWO(i,j)
#ifdef PLANNER
#define SYNCONE(i) PLAN(i)
#define SYNCTWO(i,j) SENDJOIN(i,j)
#else
#define SYNCONE(i) NARROW(i) SENDNARROW(i) SETTLE(i) KSTEPS(i)
#define SYNCTWO(i,j) WIDEN(i,j) DBNARROW(i,j)
#endif
#ifdef RELEASE
#define SWITCH(i) RELEASED(i)
#define SWITCHTWO(i,j)
#else
#define SWITCH(i) SWSTOP(i) SWABORT(i)
#define SWITCHTWO(i,j) SWSWAP(i,j) SWSEND(i,j)
#endif
#if L == 1
#define ACKN(i) ACK(i,1)
#elif L == 2
#define ACKN(i) ACK(i,1) ACK(i,2)
#elif L == 3
#define ACKN(i) ACK(i,1) ACK(i,2) ACK(i,3)
#else
#define ACKN(i) ACK(i,1) ACK(i,2) ACK(i,3) ACK(i,4)
#endif

/* leases matter only without acknowledgements: the key vanishes when its holder is fenced (rule 2), or too early */
#ifdef ASYNC
#ifdef PAUSED
#define LAPSED(i) 1                            /* holder frozen past D, or serving on "with k = 0 peers" (rule 9) */
#else
#define LAPSED(i) (role[i] != PRI)
#endif
#define EXPIRE(i) :: d_step { leader == i && LAPSED(i) -> printf("lease of %d is gone\n", i); leader = NONE }
#define LEASECLAIM(i) :: d_step { leader == NONE && epoch < MAXE && !dead[i] && role[i] == REP && PROMISED(i) && SEALED(i) -> y = sPri; \
    epoch++; leader = i; cl = i; sPri = i; role[i] = PRI; my[i] = epoch; open[i] = 1; db[i] = 0; dbk[i] = 0; y = 0;                \
    for (x : 0 .. L-1) { acked[x] = 0 }; x = 0 }
#else
#define EXPIRE(i)
#define LEASECLAIM(i)
#endif

init {
  d_step {
    for (x : 0 .. N-1) { fol[x] = 0; my[x] = 1; vow[x] = 1 }
    #ifdef RECLAIMKEEPS
    tl[0] = 1;
#endif
#ifdef NEWESTEPOCH
    tlNew[1] = 1;
#endif
#ifdef PRELOADED                              /* a record that members acknowledged who have departed since */
    E(0,0) = 1; size[0] = 1; acked[0] = 1;
#endif
    fol[0] = NONE; role[0] = PRI; open[0] = 1; db[0] = S0; dbk[0] = K1; kn[0] = S0; knk[0] = K1;
#ifdef TLDUP
    tlOf[1] = 1;
#endif
    x = 0
  }
  do
  ONE(0) ONE(1) ONE(2)
  ACKN(0) ACKN(1) ACKN(2)
  TWO(0,1) TWO(0,2) TWO(1,0) TWO(1,2) TWO(2,0) TWO(2,1)
#if N == 4
  ONE(3) ACKN(3)
  TWO(0,3) TWO(1,3) TWO(2,3) TWO(3,0) TWO(3,1) TWO(3,2)
#endif
#ifdef LATESYNC
  :: d_step { lateEp != 0 && lateEp == epoch -> printf("the late sync write arrives\n"); sSet = lateA; lateEp = 0; lateA = 0 }
#endif
#if REINITS > 0
  :: d_step { lateSet != 0 && lateEp == epoch -> printf("the late write of sync lands: {%d}\n", lateSet); sSet = lateSet; if :: my[late] == epoch && role[late] == PRI -> kn[late] = sSet :: else fi; LATEOVER }
#endif
#ifdef LATESWAP
  :: d_step { lateEp != 0 && lateEp == epoch && leader == lateB && role[lateA] == REP && epoch < MAXE && ROOM(lateA) -> printf("the late hand-over arrives\n"); lateEp = 0; y = lateB; Claimed(lateA, y) }
#endif
#ifdef LATEPROM
  :: d_step { lateEp != 0 && pEp[lateA] < lateEp -> printf("the late promise arrives\n"); pEp[lateA] = lateEp; pPos[lateA] = lateB; lateEp = 0 }
#endif
#ifdef RESTORE
  :: d_step { snapState == 0 -> printf("etcd snapshot taken\n"); snapState = 1; zEpoch = epoch; zLeader = leader; zPri = sPri; zSet = sSet; zK = sK;
#ifndef ADOPT                                 /* an adoption deletes all promises: what the snapshot holds of them is no matter */
      for (x : 0 .. N-1) { zEp[x] = pEp[x]; zPos[x] = pPos[x] };
#endif
      x = 0 }
  :: d_step { snapState == 1 -> printf("etcd restored from the snapshot\n"); snapState = 2; epoch = zEpoch; leader = zLeader; sPri = zPri; sSet = zSet; sK = zK; zEpoch = 0; zLeader = 0; zPri = 0; zSet = 0; zK = 0;
      for (x : 0 .. N-1) { pEp[x] = zEp[x]; pPos[x] = zPos[x] }; x = 0 }
#endif
#ifdef ADOPT
  /* everybody has sealed: the longest log is the recorded primary's, and only that counts */
  :: d_step { snapState == 2 -> snapState = 3; n = 0;
      for (y : 0 .. N-1) {
        fol[y] = NONE; pEp[y] = 0; pPos[y] = 0; role[y] = REP; open[y] = 0; base[y] = 0; db[y] = 0; dbk[y] = 0; kn[y] = 0; knk[y] = 0;
        for (x : 0 .. N-1) { W(y,x) = 0 };
#ifdef RECLAIMKEEPS
        tl[y] = 0;
#endif
#ifdef PLANNER
        pend[y] = 0;
#endif
        if :: vow[y] > epoch -> epoch = vow[y] :: else fi;
        if :: POS(y) > POS(n) -> n = y :: else fi
      };
#ifdef ADOPTFIRST                             /* the instance with the first name leads, not the one with the longest log */
      n = 0;
#endif
      epoch = epoch + 1; leader = NONE; sPri = n; sK = (K0 > 0 -> K0 : 1);
#ifndef ADOPTCOUNTS                           /* the restored etcd's sync set is kept */
      sSet = 0;
#endif
      printf("etcd is adopted in epoch %d, %d is the recorded primary\n", epoch, sPri); x = 0; y = 0; n = 0 }
#endif
#ifdef LIVE
  /* nothing can happen any more: then the epochs are used up, or somebody leads */
  :: timeout -> assert(epoch == MAXE || (role[leader] == PRI && my[leader] == epoch)
                     || size[0] == L || size[1] == L || size[2] == L); break
#endif
  od
}
