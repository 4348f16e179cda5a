/** The catalogue of faults that an operator of databases must survive: for each, what shows that this one does, or why nothing does. */

export interface Entry {
  /** F1 … F99. */
  readonly id: string;
  readonly what: string;
  /** Rows of the kill matrix. */
  readonly matrix?: readonly number[];
  /** Of e2e/scenarios. */
  readonly scenarios?: readonly string[];
  /** A file, and what is said in it in quotes: the title of a test, the name of a deliberate bug or of a mishap. */
  readonly tests?: readonly (readonly [file: string, says: string])[];
  /** What of it is not done, and why. */
  readonly without?: string;
}

export interface Chapter {
  readonly title: string;
  readonly entries: readonly Entry[];
}

const mishaps = 'hack/operator-faults/main.ts';
const bugs = 'operator/simulation/bugs.ts';
const decide = 'operator/controllers/database-cluster/decide.test.ts';
const informer = 'operator/kubernetes/informer.test.ts';
const leader = 'operator/kubernetes/leader-election.test.ts';
const conformance = 'operator/dcs/conformance.test.ts';
const etcdLogin = 'operator/dcs/etcd-credentials.test.ts';
const adopt = 'operator/ha/adopt.test.ts';
const realServer = 'operator/engines/postgres/real-server.test.ts';
const replication = 'operator/engines/postgres/replication.test.ts';
const configuration = 'operator/engines/postgres/configuration.test.ts';
const mysqlLaws = 'operator/engines/mysql/laws.test.ts';
const signs = 'operator/engines/signs-of-life.test.ts';
const deadman = 'operator/agent/deadman.test.ts';
const certificates = 'operator/controllers/database-cluster/certificates.test.ts';

const noWebhook = 'there are no webhooks: rules are CEL in the CRDs and ValidatingAdmissionPolicies';

export const catalogue: readonly Chapter[] = [
  {
    title: 'Kubernetes API and operator',
    entries: [
      { id: 'F1', what: '409 on a write', tests: [[mishaps, 'conflict']] },
      {
        id: 'F2',
        what: '410 on a watch',
        tests: [
          [mishaps, 'lost events, then 410'],
          [mishaps, 'gone'],
        ],
      },
      { id: 'F3', what: '429', tests: [[mishaps, 'throttled']] },
      {
        id: 'F4',
        what: '500, 503 for minutes',
        matrix: [24],
        tests: [
          [mishaps, 'broken'],
          [mishaps, 'unavailable'],
        ],
      },
      {
        id: 'F5',
        what: 'A write that timed out and was carried out',
        tests: [
          [mishaps, 'reset after'],
          [mishaps, 'silence'],
        ],
      },
      {
        id: 'F6',
        what: 'A watch that falls silent',
        tests: [[informer, 'a peer that falls silent is left after 100 s']],
      },
      { id: 'F7', what: 'Lists of the past', tests: [[mishaps, 'a successor that begins in the past']] },
      {
        id: 'F8',
        what: 'The operator dies between any two writes',
        tests: [[mishaps, 'deaths before, during and after each write']],
      },
      {
        id: 'F9',
        what: 'The operator is paused, and goes on believing that it leads',
        tests: [
          [leader, 'a lease taken by another is lost at once'],
          [mishaps, 'death with each write on its way'],
        ],
      },
      { id: 'F10', what: 'Two operators', tests: [[leader, 'one leads and renews, the other waits']] },
      { id: 'F11', what: 'The operator is away, and the primary dies', matrix: [11, 24] },
      { id: 'F12', what: 'The webhook is down', without: noWebhook },
      { id: 'F13', what: 'The webhook’s certificate has ended', without: noWebhook },
      { id: 'F14', what: 'A right is taken from the operator', without: 'nothing takes one from a running operator' },
      { id: 'F15', what: 'CRDs older or newer than the operator', without: 'there has been one version' },
      {
        id: 'F16',
        what: 'The operator is upgraded amid a rollout',
        tests: [
          [
            'operator/resources/pod.test.ts',
            'what comes with another operator is no change of anybody’s; another etcd or image is',
          ],
        ],
        without: 'a downgrade: there has been one version',
      },
      {
        id: 'F17',
        what: 'Git reverts each minute',
        without: 'the shipped health checks and examples are tested, no Argo CD or Flux runs here',
      },
      {
        id: 'F18',
        what: 'A namespace that ends, a finalizer amid errors',
        tests: [[decide, 'with Delete does not hang for ever when a Pod can’t end or etcd is gone']],
      },
      {
        id: 'F19',
        what: 'A quota refuses a Pod',
        tests: [[mishaps, 'invalid']],
        without: 'a real ResourceQuota: requests are refused once, as by one',
      },
      {
        id: 'F20',
        what: '10,000 foreign Secrets',
        without: 'docs/benchmarks/scale.md has memory at 1,000 clusters, not beside foreign objects',
      },
      {
        id: 'F21',
        what: 'The operator’s clock jumps',
        tests: [[leader, 'the clock of the holder’s machine does not count']],
      },
    ],
  },
  {
    title: 'etcd',
    entries: [
      { id: 'F22', what: 'Its leader is killed', matrix: [13] },
      { id: 'F23', what: 'Its leader and the primary’s node at once', matrix: [14] },
      { id: 'F24', what: 'It has no quorum', matrix: [13, 26] },
      {
        id: 'F25',
        what: 'It is slow',
        matrix: [13],
        without: 'a slow disk itself: members are stopped again and again instead',
      },
      {
        id: 'F26',
        what: 'It is reached in part',
        tests: [
          ['operator/dcs/etcd.test.ts', 'the stopped leader is survived within one deadline, and its lease goes on'],
        ],
      },
      { id: 'F27', what: 'The primary alone is cut off from it', matrix: [12] },
      { id: 'F28', what: 'A replica alone is cut off from it' },
      {
        id: 'F29',
        what: 'Compaction while a watch is away',
        tests: [
          [
            conformance,
            'compaction leaves a standing watch alone; one that was behind reads again and goes on from there',
          ],
        ],
      },
      {
        id: 'F30',
        what: 'Events of a watch lost, doubled, out of order',
        tests: [
          [
            'operator/dcs/memory.test.ts',
            'a watch over a silent link gets what it missed if the link heals soon, and is given up otherwise',
          ],
        ],
      },
      {
        id: 'F31',
        what: 'Stale reads of a paused member',
        tests: [
          [bugs, 'claim-without-comparing-anything'],
          [bugs, 'claim-without-comparing-sync'],
        ],
      },
      {
        id: 'F32',
        what: 'The lease ends while the answer to its renewal is on its way',
        tests: [
          [bugs, 'no-margin'],
          [bugs, 'keepalive-proves-leadership'],
        ],
      },
      {
        id: 'F33',
        what: 'It is restored from an old copy',
        matrix: [23],
        tests: [[adopt, 'an etcd that went back in time under its own name (F9)']],
      },
      {
        id: 'F34',
        what: 'It is emptied while databases run',
        matrix: [23],
        tests: [[adopt, 'doesn’t make an instance without data found the cluster anew']],
      },
      {
        id: 'F35',
        what: 'Another cluster’s prefix or credentials',
        tests: [
          ['operator/engines/mysql/names.test.ts', 'a set of GTIDs tells its cluster; beats are ours and no markers'],
          [
            'operator/agent/peers.test.ts',
            'another cluster’s certificate at the primary’s address gets no word, and the reason is told',
          ],
        ],
      },
      {
        id: 'F36',
        what: 'Tokens end, certificates change, NOSPACE',
        tests: [
          [etcdLogin, 'an expired token is renewed within the call, and within the opening of a watch'],
          [etcdLogin, 'certificates and authorities are renewed without a new client'],
        ],
        without: 'NOSPACE',
      },
    ],
  },
  {
    title: 'Database',
    entries: [
      { id: 'F37', what: 'Killed', matrix: [1] },
      {
        id: 'F38',
        what: 'One backend killed',
        matrix: [3],
        without: 'the kernel’s own killer: a SIGKILL stands for it',
      },
      {
        id: 'F39',
        what: 'Stopped',
        matrix: [2],
        tests: [[realServer, 'a stopped postmaster is told though its sessions go on writing']],
      },
      {
        id: 'F40',
        what: 'The log’s writer hangs, or a flush',
        matrix: [4, 15],
        tests: [
          [
            realServer,
            'a frozen disk: told in time; who waits for it can’t be killed, and its end is told when it comes',
          ],
        ],
      },
      {
        id: 'F41',
        what: 'All connections taken',
        tests: [
          [signs, 'all connections taken is an answer'],
          [realServer, 'a database that is busy in all the usual ways is not hung'],
        ],
      },
      {
        id: 'F42',
        what: 'The log’s disk is full',
        matrix: [15],
        tests: [
          [
            realServer,
            'a PostgreSQL that ended for lack of room comes back on the reserve, and takes no more than it is asked to',
          ],
        ],
      },
      { id: 'F43', what: 'The data’s disk is full, read-only, broken', matrix: [15] },
      { id: 'F44', what: 'A damaged page', matrix: [28] },
      {
        id: 'F45',
        what: 'pg_control or the redo log is lost',
        tests: [[realServer, 'a start that fails says why; a crash says what it will cost']],
        without: 'the loss of that very file',
      },
      {
        id: 'F46',
        what: 'A crash amid a promotion',
        tests: [
          [bugs, 'timeline-reused'],
          ['operator/ha/decide.test.ts', 'never takes a timeline that was seen before (F7)'],
        ],
      },
      {
        id: 'F47',
        what: 'A rewind before the new primary’s checkpoint',
        tests: [
          [
            replication,
            'a frozen standby stalls nobody while another qualifies; a query on the successor does not hold up its promotion; a rewind need not wait for a checkpoint',
          ],
        ],
      },
      {
        id: 'F48',
        what: 'A rewind that is impossible, or ends midway',
        tests: [
          [
            replication,
            'a replica that needs log already removed is cloned beside its data, from a replica, throttled, with the log on a volume of its own',
          ],
          [bugs, 'data-replaced-while-counted'],
        ],
      },
      { id: 'F49', what: 'A rewound instance that waits for its idle primary', matrix: [29] },
      {
        id: 'F50',
        what: 'A primary comes back with writes of its own',
        matrix: [29],
        tests: [
          [
            replication,
            'two timelines of one number: the replica on the wrong one is cloned, not rewound and not left to itself',
          ],
          [
            mysqlLaws,
            '3 and 4: SIGTERM and a start commit what nobody has; the server that did is found out, and copied anew',
          ],
        ],
      },
      {
        id: 'F51',
        what: 'A replica ahead by what nobody acknowledged',
        tests: [
          [bugs, 'promise-counted-above-own-position'],
          [
            mysqlLaws,
            '5: what only a killed primary has is undone by cutting its log before it starts, and it returns without a copy',
          ],
        ],
      },
      {
        id: 'F52',
        what: 'A wait for replicas that is cancelled',
        matrix: [3, 30],
        tests: [['hack/writer/verdict.test.ts', 'a write without an answer that was committed']],
      },
      {
        id: 'F53',
        what: 'The only sync standby dies',
        matrix: [18],
        tests: [['operator/ha/sync-set.test.ts', 'Strict keeps its last member, alive or not']],
      },
      {
        id: 'F54',
        what: 'The new primary waits for the dead',
        tests: [
          [
            'operator/engines/postgres/names.test.ts',
            'synchronous_standby_names: too few members make commits wait, never pass',
          ],
        ],
      },
      {
        id: 'F55',
        what: 'The slot of a dead replica keeps the log',
        tests: [
          [
            replication,
            'a replica that needs log already removed is cloned beside its data, from a replica, throttled, with the log on a volume of its own',
          ],
        ],
      },
      { id: 'F56', what: 'Much to replay at a failover', matrix: [17], tests: [[bugs, 'election-by-replay']] },
      { id: 'F57', what: 'A switchover with long transactions and many connections', matrix: [20] },
      {
        id: 'F58',
        what: 'Prepared transactions over a failover',
        without: 'no test has any; they are in the log like all else',
      },
      {
        id: 'F59',
        what: 'Semi-sync gives up, or is not loaded',
        matrix: [30],
        tests: [
          [mysqlLaws, '2: turning semi-sync off acknowledges what no replica has'],
          ['operator/engines/mysql/config.test.ts', 'nobody sets %s to %s'],
        ],
      },
      {
        id: 'F60',
        what: 'sync_binlog or flushing weakened by the user',
        tests: [['operator/engines/mysql/config.test.ts', 'nobody sets %s to %s']],
      },
      { id: 'F61', what: 'A lock left behind by a killed database', matrix: [1] },
      {
        id: 'F62',
        what: 'A replica with another collation',
        without:
          'not refused: the default sorts by PostgreSQL’s own C.UTF-8, the same in every image; with libc or icu it is the user’s to keep images alike',
      },
    ],
  },
  {
    title: 'Agent',
    entries: [
      {
        id: 'F63',
        what: 'Killed, the database alive',
        matrix: [6, 8],
        tests: [[deadman, 'the agent’s death is everybody’s']],
      },
      {
        id: 'F64',
        what: 'Its loop blocked',
        matrix: [7],
        tests: [[deadman, 'unfed, it strikes though the agent runs']],
      },
      { id: 'F65', what: 'Paused beyond its lease, and resumed', matrix: [7, 9] },
      {
        id: 'F66',
        what: 'Its clock jumps',
        tests: [[bugs, 'lease-by-wall-clock']],
        without: 'on the local cluster: its nodes share one machine’s clock',
      },
      { id: 'F67', what: 'Two agents of one name', matrix: [22] },
    ],
  },
  {
    title: 'Node and network',
    entries: [
      {
        id: 'F68',
        what: 'Power off',
        matrix: [11],
        scenarios: ['a node that nobody can reach is switched off, proven off, marked, and brought back'],
      },
      { id: 'F69', what: 'The primary’s node is drained', matrix: [25] },
      {
        id: 'F70',
        what: 'All nodes drained at once',
        scenarios: ['kubectl drain of every node in turn, under load: nothing lost, and one hand-over each'],
        tests: [
          [
            'operator/controllers/database-cluster/withheld-budget.test.ts',
            'nobody could take over: nobody may go, for a limited time, and then the alarm is told once',
          ],
        ],
        without: 'at once: one after the other',
      },
      { id: 'F71', what: 'The primary cut off from everybody', matrix: [12] },
      { id: 'F72', what: 'One way only', matrix: [12] },
      { id: 'F73', what: 'Instances cut off from each other, not from etcd', matrix: [12] },
      { id: 'F74', what: 'Clients cut off alone', without: 'nothing of Mainstay sees it' },
      { id: 'F75', what: 'A ring', matrix: [12] },
      {
        id: 'F76',
        what: 'Loss and delay',
        without: 'delay: the kernel here has no netem. A fifth of all packets is lost, for seconds',
      },
      { id: 'F77', what: 'No DNS', without: 'not made: it would end the test’s own client first' },
      {
        id: 'F78',
        what: 'Everything is switched off and on',
        matrix: [11],
        scenarios: ['every instance is killed at once, and they come back by themselves'],
        without: 'the third node: the client lives there',
      },
      { id: 'F79', what: 'A node returns after a day', matrix: [11], without: 'the day' },
    ],
  },
  {
    title: 'Storage, users, life cycle',
    entries: [
      { id: 'F80', what: 'A replica’s volume is lost' },
      { id: 'F81', what: 'A volume’s zone is gone', without: 'local volumes are bound to their node' },
      {
        id: 'F82',
        what: 'A larger volume that can’t be had, a smaller one asked for',
        scenarios: [
          'volumes grow under load without a restart; where the class can’t, it is said, and taking it back heals',
        ],
        tests: [[decide, 'volumes grow and never shrink']],
      },
      {
        id: 'F83',
        what: 'A Secret is edited or deleted',
        tests: [
          [decide, 'a Secret is made anew when it is lost; its new password is published as soon as it is seen'],
          [
            'operator/engines/postgres/credentials.test.ts',
            'replicas stream on through a change of passwords, whoever learns of it first',
          ],
        ],
      },
      { id: 'F84', what: 'A Service or PDB is deleted', tests: [[decide, 'one that is gone is made again']] },
      {
        id: 'F85',
        what: 'Pods are deleted',
        matrix: [10],
        scenarios: ['every instance is killed at once, and they come back by themselves'],
      },
      {
        id: 'F86',
        what: 'Deleted and made again by the same name',
        scenarios: ['a deleted cluster finds its data again'],
      },
      {
        id: 'F87',
        what: 'Scaled up, down, to nothing',
        scenarios: [
          'a cluster grows from 3 to 5 instances and shrinks again',
          'a cluster is hibernated, and goes on with every write that it acknowledged',
        ],
      },
      { id: 'F88', what: 'Another wish amid a switchover', matrix: [21] },
      {
        id: 'F89',
        what: 'Changes of what can’t be changed',
        scenarios: ['bad specs are refused by field, value and remedy'],
      },
      {
        id: 'F90',
        what: 'A wrong image',
        scenarios: ['a minor upgrade by another image; a wrong one stops at one Pod'],
      },
      {
        id: 'F91',
        what: 'A wrong parameter',
        tests: [
          [configuration, 'settings that only a start shows to be wrong: the former ones start it'],
          [configuration, 'what PostgreSQL refuses changes nothing, and is told with its words'],
        ],
      },
      {
        id: 'F92',
        what: 'max_connections lowered',
        tests: [
          [
            configuration,
            'what standbys can’t have less of: raised on the replica first, lowered on the primary first',
          ],
        ],
      },
      { id: 'F93', what: 'Reconciliation paused', tests: [[decide, 'a paused cluster is left alone']] },
      { id: 'F94', what: 'The backup is gone during a restore', without: 'there are no backups yet' },
      {
        id: 'F95',
        what: 'Certificates end',
        scenarios: ['the certificate authority is replaced under load'],
        tests: [[certificates, 'comes after two thirds of the life, by the same authority, and once']],
      },
      { id: 'F96', what: 'The operator is uninstalled', matrix: [24] },
      {
        id: 'F97',
        what: 'Evicted for lack of disk or memory',
        matrix: [6, 10],
        without: 'kubelet’s own eviction: the same deaths by other hands',
      },
      {
        id: 'F98',
        what: 'Two members preempted',
        matrix: [19],
        without: 'by the scheduler: no other workload runs here',
      },
      {
        id: 'F99',
        what: 'A copy of an instance’s machine is started',
        matrix: [22],
        without: 'on a copy of the volume: the twin meets the original’s lease and certificate only in the simulator',
      },
    ],
  },
];
