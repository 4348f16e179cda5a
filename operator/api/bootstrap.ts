/** `spec.bootstrap`: how the first data directory is made. Nothing of it can be changed afterwards. */
import { z } from 'zod';
import { described, matching } from './rules.ts';

const localeName = /^[A-Za-z0-9_.@-]+$/;
const objectName = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const dataKey = /^[-._a-zA-Z0-9]+$/;

/** An entry of a ConfigMap or a Secret in the cluster's namespace. */
export const keyReference = (what: string, defaultKey?: string) => {
  const key = z.string().min(1).max(253);
  const rules = [matching(dataKey, 'is no key of a ConfigMap or Secret')];
  return z.object({
    name: described(z.string().min(1).max(253), `Name of the ${what}, in the cluster’s namespace.`, [
      matching(objectName, 'is no name of an object: use lower-case letters, digits, hyphens and dots'),
    ]),
    key: described(defaultKey === undefined ? key : key.default(defaultKey), `Key in the ${what}.`, rules),
  });
};

const PostInitSql = z.object({
  database: described(
    z.enum(['application', 'postgres']).default('application'),
    'Where it runs: in the application’s database, or in postgres.',
  ),
  configMap: described(keyReference('ConfigMap').exactOptional(), 'Where the SQL stands.'),
  secret: described(keyReference('Secret').exactOptional(), 'Where the SQL stands, if it holds anything secret.'),
});
export type PostInitSql = z.output<typeof PostInitSql>;

/** What initdb knows of locales; the same words for a database. */
export const localeFields = {
  localeProvider: described(
    z.enum(['builtin', 'icu', 'libc']).exactOptional(),
    'Who sorts text. builtin: PostgreSQL itself, by code points, the same in every image and for ever. ' +
      'icu: the ICU library, by the rules of icuLocale; libc: the C library, by locale. ' +
      'With the latter two a new image may sort otherwise than the indexes on disk.',
  ),
  locale: described(
    z.string().min(1).max(64).exactOptional(),
    'Locale, as in C.UTF-8 or de_DE.UTF-8. For builtin: C, C.UTF-8 or (18) PG_UNICODE_FAST; for libc: one that the image has.',
    [matching(localeName, 'is no locale: write it as in C.UTF-8')],
  ),
  icuLocale: described(
    z.string().min(1).max(64).exactOptional(),
    'Locale of ICU, as in de-DE or en-US-u-kn-true; only with localeProvider icu.',
    [matching(localeName, 'is no locale of ICU: write it as in de-DE')],
  ),
  encoding: described(z.string().min(1).max(20).exactOptional(), 'Encoding of text, as in UTF8 or LATIN1.', [
    matching(/^[A-Za-z0-9_]+$/, 'is no encoding: write it as in UTF8'),
  ]),
} as const;

type Provider = 'builtin' | 'icu' | 'libc';
interface Locales {
  readonly localeProvider?: Provider;
  readonly locale?: string;
  readonly icuLocale?: string;
}

const builtinLocales = ['C', 'C.UTF-8', 'PG_UNICODE_FAST'];

/** `provider`: when none is given. */
export const localeRules = (provider: Provider) => {
  const given = `(has(self.localeProvider) ? self.localeProvider : '${provider}')`;
  return [
    {
      cel: `(${given} == 'icu') == has(self.icuLocale)`,
      fieldPath: '.icuLocale',
      message: 'goes with localeProvider icu, and icu with it: set both or neither',
      holds: ({ localeProvider = provider, icuLocale }: Locales) =>
        (localeProvider === 'icu') === (icuLocale !== undefined),
    },
    {
      cel: `${given} != 'builtin' || !has(self.locale) || self.locale in [${builtinLocales.map((name) => `'${name}'`).join(', ')}]`,
      fieldPath: '.locale',
      message: `must be ${builtinLocales.join(', ')} with localeProvider builtin: choose one of them, or set localeProvider to icu or libc`,
      holds: ({ localeProvider = provider, locale }: Locales) =>
        localeProvider !== 'builtin' || locale === undefined || builtinLocales.includes(locale),
    },
  ];
};

const BootstrapOptions = z.object({
  ...localeFields,
  dataChecksums: described(
    z.boolean().default(true),
    'Checksums on every page, so that a disk that returns wrong data is found out. Costs next to nothing.',
  ),
  walSegmentSize: described(
    z.enum(['16Mi', '32Mi', '64Mi', '128Mi', '256Mi']).default('16Mi'),
    'Size of a file of the write-ahead log. Larger ones suit archives of very busy databases.',
  ),
  postInitSql: described(
    z
      .array(
        described(PostInitSql, 'SQL that runs once.', [
          {
            cel: 'has(self.configMap) != has(self.secret)',
            message: 'needs either configMap or secret: name the one that holds the SQL',
            holds: ({ configMap, secret }) => (configMap === undefined) !== (secret === undefined),
          },
        ]),
      )
      .max(16)
      .default([]),
    'SQL that runs once, in this order, as superuser, before anybody can connect. If any of it fails, the cluster is not made: the condition Stalled says which statement, and everything begins anew with what the ConfigMaps and Secrets then hold.',
    [],
    { 'x-kubernetes-list-type': 'atomic' },
  ),
});

export const Bootstrap = described(
  BootstrapOptions.prefault({}),
  'How the first data are made. Can’t be changed later. Default: UTF8, sorted by PostgreSQL’s own C.UTF-8, with checksums.',
  [
    ...localeRules('builtin'),
    {
      cel: 'self == oldSelf',
      message:
        'can’t be changed: the data were made by it, once; restore the old values, or make a new cluster and move the data',
    },
  ],
);
export type Bootstrap = z.output<typeof Bootstrap>;
