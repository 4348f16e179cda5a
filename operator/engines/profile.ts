/**
 * What the operator must know of a database and of its kind of cluster, beyond what all kinds have in common: one pure table
 * for each engine. What happens inside a Pod is the agent's (engine.ts).
 */
import type { Definition, EngineName } from '../api/cluster-state.ts';
import type { ClusterKind, DatabaseCluster } from '../api/database-cluster.ts';
import type { DeclaredPassword } from '../api/declared-password.ts';

/** What the user sets of the database, as far as it may reach the agents. */
export type Settings = Pick<Definition, 'parameters' | 'postgres'>;

/** What an application needs to connect. */
export interface Access {
  /** Name of the Service that leads to the primary. */
  readonly host: string;
  /** A name that has the address of every instance. */
  readonly everyHost: string;
  readonly database: string;
  readonly user: string;
  readonly password: string;
}

/** A password that a role of the cluster goes by, and where it stands. */
export interface PasswordPlace {
  readonly role: string;
  readonly secret: string;
  readonly key: string;
}

export interface EngineProfile {
  /** Also the name of the container, of its port, and of the application in labels. */
  readonly engine: EngineName;
  readonly kind: ClusterKind;
  /** As people call it. */
  readonly product: string;
  readonly port: number;
  /** uid and gid of the server in the images. */
  readonly user: number;
  /** Where in the spec its settings stand, and its roles and databases. */
  readonly fields: {
    readonly settings: string;
    readonly roles: string;
    readonly databases: string;
  };
  /** Of the connections among the instances, by what they are for: each has a password in the Secret `-system`. */
  readonly systemRoles: Readonly<Record<string, string>>;

  /** Content of the application's Secret besides user and password; `uri` and `jdbc-uri` are written again when the password changes. */
  addresses(access: Access): Readonly<Record<string, string>> & { readonly uri: string; readonly 'jdbc-uri': string };
  settings(cluster: DatabaseCluster): Settings;
  /** Field, value and remedy of each; none: the database will take them. */
  settingsProblems(cluster: DatabaseCluster): readonly string[];
  /** What of the definition is this engine's alone. */
  definition(cluster: DatabaseCluster, settings: Settings): Pick<Definition, 'defaults' | 'bootstrap' | 'group'>;
  /** The database elects its primary itself, and the agents follow. */
  electsItself(cluster: DatabaseCluster): boolean;
  /** Files of the user's that the agent finds in its folder for the first start, in order. */
  initFiles(cluster: DatabaseCluster): readonly InitFile[];
  /** A volume of its own for the log, where the spec has one. */
  logVolume(cluster: DatabaseCluster): VolumeWish | undefined;

  /** Of declared roles, besides the application's and those of the system. */
  passwordPlaces(cluster: DatabaseCluster): readonly PasswordPlace[];
  /** How many roles and databases the spec declares. */
  declaredCount(cluster: DatabaseCluster): { readonly roles: number; readonly databases: number };
  /** What shall be inside the database, as text for its engine. `passwords` by role; one that isn't known is left as it is. */
  declaration(cluster: DatabaseCluster, passwords: ReadonlyMap<string, DeclaredPassword>, again?: string): Declaration;
  /** Of a declaration's text. */
  declaredPasswords(text: string): ReadonlyMap<string, DeclaredPassword>;
  /** What the database keeps instead of a password; the same for the same `seed`. */
  verifier(password: string, seed: string): Promise<string>;
  isVerifier(password: string): boolean;
  /** What is wrong with a password, and what to do: undefined if nothing. */
  passwordProblem(password: string): string | undefined;
}

export interface Declaration {
  readonly system?: Readonly<Record<string, DeclaredPassword>> | undefined;
}

export interface InitFile {
  readonly configMap?: KeyReference;
  readonly secret?: KeyReference;
}

interface KeyReference {
  readonly name: string;
  readonly key: string;
}

export interface VolumeWish {
  readonly size: string;
  readonly storageClassName?: string;
}
