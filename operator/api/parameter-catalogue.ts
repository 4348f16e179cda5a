/** What PostgreSQL itself says of its parameters, by major version. */
import { pgSettings17 } from './pg-settings-17.ts';
import { pgSettings18 } from './pg-settings-18.ts';

/** When a new value takes effect: at a restart; at a reload; in new sessions only (`*backend`); never (`internal`). */
export type SettingContext =
  'internal' | 'postmaster' | 'sighup' | 'superuser-backend' | 'backend' | 'superuser' | 'user';

/** As in pg_settings: name, context, type, unit, least, most, values of an enum. */
export type SettingRow = readonly [
  name: string,
  context: SettingContext,
  type: 'bool' | 'integer' | 'real' | 'string' | 'enum',
  unit: string | null,
  minimum: string | null,
  maximum: string | null,
  values: readonly string[] | null,
];

export interface KnownParameter {
  readonly name: string;
  readonly context: SettingContext;
  readonly type: SettingRow[2];
  readonly unit: string | undefined;
  readonly minimum: number;
  readonly maximum: number;
  readonly values: readonly string[];
}

export const majorVersions = ['17', '18'] as const;
export type MajorVersion = (typeof majorVersions)[number];
export type Catalogue = ReadonlyMap<string, KnownParameter>;

const catalogues: Readonly<Record<MajorVersion, Catalogue>> = {
  '17': catalogue(pgSettings17),
  '18': catalogue(pgSettings18),
};

export const catalogueOf = (version: MajorVersion): Catalogue => catalogues[version];

function catalogue(rows: readonly SettingRow[]): Catalogue {
  return new Map(
    rows.map(([name, context, type, unit, minimum, maximum, values]) => [
      name,
      {
        name,
        context,
        type,
        unit: unit ?? undefined,
        minimum: minimum === null ? -Infinity : Number(minimum),
        maximum: maximum === null ? Infinity : Number(maximum),
        values: values ?? [],
      },
    ]),
  );
}
