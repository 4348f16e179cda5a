/** What a scenario is and what it is given. Files in scenarios/ register theirs; main.ts and soak.ts run them one after another. */
import path from 'node:path';
import { getCallSites } from 'node:util';
import type { ApiServer } from '../hack/testbed/api-server.ts';
import type { ClusterAccess } from '../hack/testbed/cluster-access.ts';
import type { TestedEngine } from '../hack/testbed/engines.ts';
import type { Nodes } from '../hack/testbed/nodes.ts';
import type { OperatorDeployment } from '../hack/testbed/operator-deployment.ts';
import type { InstancePod, ClusterUnderTest, Primary } from '../hack/testbed/database-cluster.ts';
import type { WriterPod } from '../hack/testbed/writer.ts';
import type { EngineName } from '../operator/api/cluster-state.ts';
import type { ClusterRuntime } from '../operator/controllers/cluster-runtime.ts';
import type { Random } from '../operator/simulation/random.ts';
import type { Faults } from './faults.ts';

export interface Orders extends ClusterUnderTest {
  readonly engine: TestedEngine;
  /** Applies the example of its kind in the scenario's namespace, with these fields of spec in place of its own. */
  readonly apply: (spec?: object) => Promise<void>;
  /** Merges these fields into the spec; null takes one away. */
  readonly change: (spec: object) => Promise<void>;
  readonly replicas: () => Promise<readonly InstancePod[]>;
  /** As its superuser, within the Pod; what it prints, without headings. */
  readonly sql: (instance: string, sql: string) => Promise<string>;
  /** A command line in the Pod, in bash. */
  readonly shell: (instance: string, command: string) => Promise<string>;
  /** What etcd holds about it. Local cluster only. */
  readonly runtime: () => Promise<ClusterRuntime>;
  /** As the operator asks agents for it. Local cluster only. */
  readonly requestSwitchover: (from: string, to: string) => Promise<void>;
  /** As a person asks for it after etcd was lost or restored. Local cluster only. */
  readonly requestAdoption: (etcdClusterId: string) => Promise<void>;
  /** Every replica streams and counts: any of them may lead next. Local cluster only. */
  readonly allCount: (patience: { readonly within: number }) => Promise<void>;
}

export interface Client extends WriterPod {
  /** Marks the moment just before something is broken. */
  readonly expectTrouble: () => Promise<void>;
  /** The longest time without an acknowledged write since `expectTrouble`; throws if it is more than allowed. */
  readonly outageIsAtMost: (milliseconds: number) => Promise<void>;
}

export interface HowToWrite {
  /** By a URI of several hosts, the instances' addresses, in place of the Service; can be asked with the API server down. Local cluster only. */
  readonly hosts?: 'instances';
  /** It reads through every Service as well, and what it was shown is checked at the end. */
  readonly readers?: 'all Services';
  /** Nodes on which it shall not be; without them: that of the primary. */
  readonly awayFrom?: readonly string[];
}

export interface World {
  readonly orders: Orders;
  /** Starts the client that writes all the time, away from the node of `primary`. What it was promised is checked at the end. */
  readonly writeBeside: (primary: Primary, how?: HowToWrite) => Promise<Client>;
  /** A second client, which stays with this instance whatever happens; what it was promised is checked as well. */
  readonly clientOf: (primary: Primary) => Promise<WriterPod>;
  /** A client that only reads back what another one wrote. */
  readonly readerBeside: (primary: Primary) => Promise<WriterPod>;
  readonly nodes: Nodes;
  readonly operator: OperatorDeployment;
  readonly faults: Faults;
  /** From the seed of the run. */
  readonly random: Random;
  readonly access: ClusterAccess;
  readonly api: ApiServer;
  readonly signal: AbortSignal;
}

export interface ScenarioOptions {
  /** Runs only where nodes are ours: it switches them off or reaches into their processes. */
  readonly localNodes?: true;
  /** `none`: starts without a cluster `orders`. Default: one with all its instances. */
  readonly orders?: 'none';
  /** The only ones with which it makes sense. Default: all. */
  readonly engines?: readonly EngineName[];
  /** One of the handful that every `make test` plays with every engine, not with PostgreSQL alone. */
  readonly sample?: true;
  /** `soak`: too long, or too much like another one, for every `make test`. */
  readonly runs?: 'soak';
  /** Something in it is the operator's work (a Pod made anew, a drain), so it is never run without one. */
  readonly operator?: 'needed';
}

export interface Scenario {
  readonly title: string;
  /** In scenarios/. */
  readonly file: string;
  readonly options: ScenarioOptions;
  readonly body: (world: World) => Promise<void>;
}

const registered: Scenario[] = [];

export function scenario(title: string, options: ScenarioOptions, body: (world: World) => Promise<void>): void {
  if (registered.some((one) => one.title === title)) throw new Error(`two scenarios are called “${title}”`);
  const file = path.basename(getCallSites()[1]?.scriptName ?? '');
  registered.push({ title, file, options, body });
}

export function scenarios(engine?: EngineName): readonly Scenario[] {
  return registered.filter(({ options }) => engine === undefined || (options.engines?.includes(engine) ?? true));
}

/** Whether every `make test` plays it. */
export function isUsual({ options }: Scenario, engine: EngineName): boolean {
  return engine === 'postgres' ? options.runs !== 'soak' : options.sample === true;
}
