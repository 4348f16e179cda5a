/** Certificate authorities for tests, made by openssl. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface LocalAuthority {
  /** PEM. */
  readonly ca: string;
  /**
   * `subject` as openssl takes it (`/O=…`); `hosts` as `DNS:…`, `IP:…`. etcd's gateway shows the server's certificate
   * when it calls its own member, so each is good for both sides.
   */
  issue(subject: string, hosts?: readonly string[]): Promise<Pair>;
  remove(): Promise<void>;
}

export async function createAuthority(name: string): Promise<LocalAuthority> {
  const directory = await mkdtemp(join(tmpdir(), 'mainstay-ca-'));
  const [cert, key] = [join(directory, 'ca.crt'), join(directory, 'ca.key')];
  await selfSigned(cert, key, `/CN=${name}`, ['keyUsage=critical,keyCertSign']);
  let issued = 0;
  return {
    ca: await readFile(cert, 'utf8'),
    issue: async (subject, hosts = []) => {
      issued += 1;
      const [leaf, leafKey] = [join(directory, `${issued}.crt`), join(directory, `${issued}.key`)];
      const extensions = [
        'basicConstraints=critical,CA:FALSE',
        'extendedKeyUsage=clientAuth,serverAuth',
        ...(hosts.length > 0 ? [`subjectAltName=${hosts.join(',')}`] : []),
      ];
      await selfSigned(leaf, leafKey, subject, extensions, ['-CA', cert, '-CAkey', key]);
      return { cert: await readFile(leaf, 'utf8'), key: await readFile(leafKey, 'utf8') };
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

async function selfSigned(
  cert: string,
  key: string,
  subject: string,
  extensions: readonly string[],
  more: readonly string[] = [],
): Promise<void> {
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const out = ['-keyout', key, '-out', cert, '-days', '2', '-subj', subject];
  const added = extensions.flatMap((extension) => ['-addext', extension]);
  await promisify(execFile)('openssl', ['req', '-x509', ...curve, ...out, ...added, ...more], { timeout: 10_000 });
}
