/** The passwords that a cluster goes by, as verifiers. A Secret is read only when its version is not the one published. */
import type { DatabaseCluster } from '../../api/database-cluster.ts';
import { PostgresDeclaration, type DeclaredPassword } from '../../api/postgres-declaration.ts';
import type { CallOptions } from '../../kubernetes/client.ts';
import { secrets } from '../../kubernetes/kinds.ts';
import { isPlainText, isVerifier, scramVerifier } from '../../platform/scram.ts';
import { passwordPlaces, systemRoles, type PasswordPlace } from '../../resources/declaration.ts';
import { secretNames } from '../../resources/names.ts';
import { applicationContent } from '../../resources/secrets.ts';
import type { ClusterRuntime } from '../cluster-runtime.ts';
import type { Observer } from './observe.ts';

export interface ObservedPasswords {
  /** By role. */
  readonly known: ReadonlyMap<string, DeclaredPassword>;
  /** Of roles without one: what is wrong, and what to do. */
  readonly problems: ReadonlyMap<string, string>;
  /** Somebody has put another password into `<cluster>-app`, whose other entries still hold the former. */
  readonly staleApplicationSecret: boolean;
}

type SecretContent = Readonly<Record<string, string>>;

export async function observePasswords(
  { client, sources, log }: Pick<Observer, 'client' | 'sources' | 'log'>,
  cluster: DatabaseCluster,
  runtime: ClusterRuntime | undefined,
  options: CallOptions,
): Promise<ObservedPasswords> {
  const { namespace } = cluster.metadata;
  const published = publishedPasswords(runtime);
  const known = new Map<string, DeclaredPassword>();
  const problems = new Map<string, string>();
  const contents = new Map<string, Promise<{ readonly version: string; readonly data: SecretContent } | undefined>>();
  let staleApplicationSecret = false;

  const read = (name: string): ReturnType<typeof readSecret> => {
    const begun = contents.get(name) ?? readSecret(name);
    contents.set(name, begun);
    return begun;
  };
  async function readSecret(name: string) {
    const found = await client.get(secrets, { namespace, name }, options);
    if (!found) return undefined;
    const data = Object.fromEntries(
      Object.entries(found.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
    );
    return { version: `${found.metadata?.uid ?? ''}/${found.metadata?.resourceVersion ?? ''}`, data };
  }

  await Promise.all(
    passwordPlaces(cluster).map(async (place) => {
      const { role, secret: name, key } = place;
      const before = published.get(role);
      const seen = sources.secretVersions.get(`${namespace}/${name}`)?.metadata;
      if (before && seen && before.revision === revisionOf(`${seen.uid ?? ''}/${seen.resourceVersion ?? ''}`, key)) {
        known.set(role, before);
        return;
      }
      try {
        const secret = await read(name);
        const judged = judge(place, secret?.data);
        if (secret && 'password' in judged) {
          known.set(role, await declared(role, judged.password, revisionOf(secret.version, key)));
          if (isOwnApplicationSecret(cluster, place)) staleApplicationSecret ||= isStale(cluster, secret.data);
        } else problems.set(role, 'problem' in judged ? judged.problem : `Secret ${name} is not there`);
      } catch (error) {
        options.signal?.throwIfAborted();
        log.warn({ err: error, secret: `${namespace}/${name}` }, 'a Secret could not be read');
        // Unknown is not absent: what was published stands.
        if (before) known.set(role, before);
        else problems.set(role, `Secret ${name} could not be read (see the operator’s log)`);
      }
    }),
  );
  return { known, problems, staleApplicationSecret };
}

const revisionOf = (version: string, key: string): string => `${version}/${key}`;

async function declared(role: string, password: string, revision: string): Promise<DeclaredPassword> {
  return { verifier: isVerifier(password) ? password : await scramVerifier(password, `${revision}/${role}`), revision };
}

function judge(
  { secret, key, role }: PasswordPlace,
  data: SecretContent | undefined,
): { readonly password: string } | { readonly problem: string } {
  if (!data) return { problem: `Secret ${secret} is not there: make it, with the password as ${key}` };
  const password = data[key]?.trim() ?? '';
  if (password === '')
    return { problem: `Secret ${secret} has no ${key}: add it, or name the right key (it has ${keysOf(data)})` };
  if (/^md5[0-9a-f]{32}$/.test(password))
    return {
      problem: `Secret ${secret} holds an md5 digest as ${key}: write the password itself, or a SCRAM verifier`,
    };
  const named = data['username'];
  if (named !== undefined && named.trim() !== role)
    return { problem: `Secret ${secret} is for the user ${named.trim()}, not ${role}: name another Secret` };
  if (!isPlainText(password))
    return {
      problem: `Secret ${secret} has letters outside of ASCII in ${key}, which not every driver sends alike: choose another password`,
    };
  return { password };
}

const keysOf = (data: SecretContent): string => Object.keys(data).sort().slice(0, 8).join(', ') || 'none';

function publishedPasswords(runtime: ClusterRuntime | undefined): ReadonlyMap<string, DeclaredPassword> {
  if (runtime?.declaration === undefined) return new Map();
  const { data } = PostgresDeclaration.safeParse(parsed(runtime.declaration.value));
  const roles = (data?.roles ?? []).flatMap(({ name, password }): [string, DeclaredPassword][] =>
    password ? [[name, password]] : [],
  );
  return new Map([
    ...roles,
    ...(data?.system
      ? ([
          [systemRoles.replication, data.system.replication],
          [systemRoles.rewind, data.system.rewind],
        ] as const)
      : []),
  ]);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isOwnApplicationSecret = ({ metadata, spec }: DatabaseCluster, { role, secret }: PasswordPlace): boolean =>
  role === spec.application.owner && secret === secretNames.application(metadata.name);

/** Who has only entered another password wants the addresses with it; anything else in it is his own. */
function isStale(cluster: DatabaseCluster, data: SecretContent): boolean {
  const { uri, 'jdbc-uri': jdbc } = applicationContent(cluster, data['password']?.trim() ?? '');
  return !isVerifier(data['password'] ?? '') && (data['uri'] !== uri || data['jdbc-uri'] !== jdbc);
}
