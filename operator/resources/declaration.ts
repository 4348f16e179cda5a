import type { DatabaseCluster } from '../api/database-cluster.ts';
import type { DeclaredPassword } from '../api/declared-password.ts';
import type { Declaration, PasswordPlace } from '../engines/profile.ts';
import { profileOf } from '../engines/profiles.ts';
import { annotations } from './labels.ts';
import { secretNames } from './names.ts';
import { systemPasswordKey } from './secrets.ts';

/** Every password that the cluster goes by. */
export function passwordPlaces(cluster: DatabaseCluster): readonly PasswordPlace[] {
  const { name } = cluster.metadata;
  const { owner, passwordSecret } = cluster.spec.application;
  const profile = profileOf(cluster);
  return [
    {
      role: owner,
      secret: passwordSecret?.name ?? secretNames.application(name),
      key: passwordSecret?.key ?? 'password',
    },
    ...Object.entries(profile.systemRoles).map(([what, role]) => ({
      role,
      secret: secretNames.system(name),
      key: systemPasswordKey(what),
    })),
    ...profile.passwordPlaces(cluster),
  ];
}

/** What shall be inside the database. `passwords` by role; one that isn't known is left as it is. */
export const declarationFor = (
  cluster: DatabaseCluster,
  passwords: ReadonlyMap<string, DeclaredPassword>,
): Declaration =>
  profileOf(cluster).declaration(cluster, passwords, cluster.metadata.annotations?.[annotations.applyAgain]);
