/** `spec.application`: the first database and its owner. */
import { z } from 'zod';
import { keyReference } from './bootstrap.ts';
import { described, matching } from './rules.ts';

interface NameRules {
  readonly pattern: RegExp;
  readonly reserved: readonly string[];
  /** What no such name may begin with. */
  readonly prefixes: readonly string[];
}

/** `elsewhere`: where others are declared. */
export const application = (
  words: { readonly owner: string; readonly elsewhere: string },
  rules: { readonly database: NameRules; readonly owner: NameRules },
) =>
  described(
    z
      .object({
        database: name('Database made with the cluster.', rules.database, words.elsewhere),
        owner: name(
          `${words.owner} that owns it; its password is in the Secret <cluster>-app.`,
          rules.owner,
          words.elsewhere,
        ),
        passwordSecret: described(
          keyReference('Secret', 'password').exactOptional(),
          'A Secret of yours with the owner’s password; <cluster>-app is then not made.',
        ),
      })
      .prefault({}),
    'The first database and its owner. Can’t be changed later, but for the Secret.',
  );

function name(what: string, { pattern, reserved, prefixes }: NameRules, elsewhere: string) {
  const begin = prefixes.map((prefix) => `!self.startsWith('${prefix}')`).join(' && ');
  const list = `is reserved, like ${reserved.join(', ')} and names that begin with ${prefixes.join(' or ')}: choose another, such as app`;
  return described(z.string().max(63).default('app'), what, [
    matching(pattern, 'is no plain name: use lower-case letters, digits and underscores, as in shop_2'),
    {
      cel: `!(self in [${reserved.map((one) => `'${one}'`).join(', ')}]) && ${begin}`,
      message: list,
      messageCel: `self + ' ${list}'`,
      holds: (self) => !reserved.includes(self) && !prefixes.some((prefix) => self.startsWith(prefix)),
      say: (self) => `${self} ${list}`,
    },
    {
      // Here and not on the object, whose default the API server tries without these.
      cel: 'self == oldSelf',
      message: `can’t be changed: it was made with the cluster${elsewhere}`,
    },
  ]);
}
