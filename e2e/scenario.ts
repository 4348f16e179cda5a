/** What a scenario is and what it is given. Files in scenarios/ register theirs; main.ts runs them one after another. */
import type { ApiServer } from '../hack/testbed/api-server.ts';
import type { ClusterAccess } from '../hack/testbed/cluster-access.ts';
import type { Nodes } from '../hack/testbed/nodes.ts';
import type { OperatorDeployment } from '../hack/testbed/operator-deployment.ts';
import type { PostgresClusterUnderTest, Primary } from '../hack/testbed/postgres-cluster.ts';
import type { WriterPod } from '../hack/testbed/writer.ts';

export interface Orders extends PostgresClusterUnderTest {
  /** Applies examples/postgres.yaml in the scenario's namespace. */
  readonly apply: () => Promise<void>;
  /** As the operator asks agents for it. Local cluster only. */
  readonly requestSwitchover: (from: string, to: string) => Promise<void>;
}

export interface Client extends WriterPod {
  /** Marks the moment just before something is broken. */
  readonly expectTrouble: () => Promise<void>;
  /** The longest time without an acknowledged write since `expectTrouble`; throws if it is more than allowed. */
  readonly outageIsAtMost: (milliseconds: number) => Promise<void>;
}

export interface HowToWrite {
  /** By a URI of several hosts, the instances' addresses, in place of the Service; can be asked with the API server down. Local cluster only. */
  readonly hosts: 'instances';
}

export interface World {
  readonly orders: Orders;
  /** Starts the client that writes all the time, away from the node of `primary`. What it was promised is checked at the end. */
  readonly writeBeside: (primary: Primary, how?: HowToWrite) => Promise<Client>;
  /** A client that only reads back what another one wrote. */
  readonly readerBeside: (primary: Primary) => Promise<WriterPod>;
  readonly nodes: Nodes;
  readonly operator: OperatorDeployment;
  readonly access: ClusterAccess;
  readonly api: ApiServer;
}

export interface ScenarioOptions {
  /** Runs only where nodes are ours: it switches them off or reaches into their processes. */
  readonly localNodes?: true;
  /** `none`: starts without a cluster `orders`. Default: one with all its instances. */
  readonly orders?: 'none';
}

export interface Scenario {
  readonly title: string;
  readonly options: ScenarioOptions;
  readonly body: (world: World) => Promise<void>;
}

const registered: Scenario[] = [];

export function scenario(title: string, options: ScenarioOptions, body: (world: World) => Promise<void>): void {
  registered.push({ title, options, body });
}

export function scenarios(): readonly Scenario[] {
  return registered;
}
