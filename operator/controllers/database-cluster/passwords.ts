/** The passwords that a cluster goes by, as verifiers. A Secret is read only when its version is not the one published. */
import type { DatabaseCluster } from '../../api/database-cluster.ts';
import type { DeclaredPassword } from '../../api/declared-password.ts';
import type { EngineProfile, PasswordPlace } from '../../engines/profile.ts';
import { profileOf } from '../../engines/profiles.ts';
import type { CallOptions } from '../../kubernetes/client.ts';
import { secrets } from '../../kubernetes/kinds.ts';
import { passwordPlaces } from '../../resources/declaration.ts';
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
  const profile = profileOf(cluster);
  const published = profile.declaredPasswords(runtime?.declaration?.value ?? '');
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
        const judged = judge(profile, place, secret?.data);
        if (secret && 'password' in judged) {
          known.set(role, await declared(profile, role, judged.password, revisionOf(secret.version, key)));
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

async function declared(
  profile: EngineProfile,
  role: string,
  password: string,
  revision: string,
): Promise<DeclaredPassword> {
  const verifier = profile.isVerifier(password) ? password : await profile.verifier(password, `${revision}/${role}`);
  return { verifier, revision };
}

function judge(
  profile: EngineProfile,
  { secret, key, role }: PasswordPlace,
  data: SecretContent | undefined,
): { readonly password: string } | { readonly problem: string } {
  if (!data) return { problem: `Secret ${secret} is not there: make it, with the password as ${key}` };
  const password = data[key]?.trim() ?? '';
  if (password === '')
    return { problem: `Secret ${secret} has no ${key}: add it, or name the right key (it has ${keysOf(data)})` };
  const named = data['username'];
  if (named !== undefined && named.trim() !== role)
    return { problem: `Secret ${secret} is for the user ${named.trim()}, not ${role}: name another Secret` };
  const problem = profile.passwordProblem(password);
  if (problem !== undefined) return { problem: `Secret ${secret}, key ${key}, ${problem}` };
  return { password };
}

const keysOf = (data: SecretContent): string => Object.keys(data).sort().slice(0, 8).join(', ') || 'none';

const isOwnApplicationSecret = ({ metadata, spec }: DatabaseCluster, { role, secret }: PasswordPlace): boolean =>
  role === spec.application.owner && secret === secretNames.application(metadata.name);

/** Who has only entered another password wants the addresses with it; anything else in it is his own. */
function isStale(cluster: DatabaseCluster, data: SecretContent): boolean {
  const { uri, 'jdbc-uri': jdbc } = applicationContent(cluster, data['password']?.trim() ?? '');
  return !profileOf(cluster).isVerifier(data['password'] ?? '') && (data['uri'] !== uri || data['jdbc-uri'] !== jdbc);
}
