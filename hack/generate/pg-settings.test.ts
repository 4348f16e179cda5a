/** The catalogue, and how values are judged by it, against a real server. */
import { afterAll, expect } from '@jest/globals';
import {
  catalogueOf,
  type KnownParameter,
  type MajorVersion,
  type SettingRow,
} from '../../operator/api/parameter-catalogue.ts';
import { parameterProblems } from '../../operator/api/parameter-check.ts';
import type { DrivenPostgres } from '../container/postgres.ts';
import { realServers } from '../container/real-servers.ts';
import { askCatalogue, catalogueFile, startWithLibraries } from './pg-settings.ts';

const { root, onRealServers, title } = await realServers();

let running: DrivenPostgres | undefined;
afterAll(async () => {
  await running?.remove();
}, 30_000);

/** Judged by more than type and range: by the machine, the session's state or other parameters. */
const others =
  /^(max_stack_depth|temp_buffers|log_(parser|planner|executor|statement)_stats|transaction_|default_transaction)/;

/** Without what only a build of the server decides. */
const settable = (rows: readonly SettingRow[]): ReadonlyMap<string, SettingRow> =>
  new Map(rows.filter(([, context]) => context !== 'internal').map((row) => [row[0], row]));

function trials({ type, minimum, maximum, values, unit }: KnownParameter): readonly string[] {
  switch (type) {
    case 'bool':
      return ['on', 'FALSE', 'y', 'o', '1', '2', ''];
    case 'enum':
      return [...values.map((value) => value.toUpperCase()), 'on', 'nonsense'];
    case 'integer':
    case 'real':
      return [
        ...[minimum, maximum, minimum - 1, maximum + 1].filter((number) => Math.abs(number) < 2 ** 53).map(String),
        ...['1kB', '1.5MB', '3s', '2min', '1 kb', '0x10', '1e3', '.5', 'x', ''],
        ...(unit === undefined ? [] : [`${maximum}${/^\d/.test(unit) ? '' : unit}`]),
      ];
    case 'string':
      return [];
  }
}

onRealServers(
  title('the catalogue is what the server says; values are taken and refused as it does'),
  async () => {
    running = await startWithLibraries(root);
    const server = running;
    const asked = askCatalogue(server);
    const version = asked.version as MajorVersion;
    const module = (await import(catalogueFile(version))) as Readonly<Record<string, readonly SettingRow[]>>;
    const kept = settable(module[`pgSettings${version}`] ?? []);
    const told = settable(asked.rows);
    // A minor release may bring a parameter, and the machine may be a minor release behind or ahead.
    const isShared = (name: string): boolean => kept.has(name) && told.has(name);
    expect([...told.keys(), ...kept.keys()].filter((name) => !isShared(name)).length).toBeLessThan(4);
    const shared = (rows: ReadonlyMap<string, SettingRow>) => [...rows.values()].filter(([name]) => isShared(name));
    expect(shared(told)).toEqual(shared(kept));

    const cases = [...catalogueOf(version).values()]
      .filter(({ name, context }) => (context === 'user' || context === 'superuser') && !others.test(name))
      .filter(({ name }) => told.has(name))
      .flatMap((known) => trials(known).map((value) => [known.name, value] as const));
    const { ok, output } = server.psql(
      `DO $do$ DECLARE one json; BEGIN
         FOR one IN SELECT * FROM json_array_elements($json$${JSON.stringify(cases)}$json$) LOOP
           BEGIN PERFORM set_config(one->>0, one->>1, false); EXECUTE format('RESET %s', one->>0);
           EXCEPTION WHEN OTHERS THEN RAISE INFO 'refused %', one; END;
         END LOOP; END $do$`,
      60_000,
    );
    expect(ok).toBe(true);
    const refused = new Set(
      output.split('\n').flatMap((line) => (line.includes('refused ') ? [line.slice(line.indexOf('['))] : [])),
    );
    const asText = (name: string, value: string): string => JSON.stringify([name, value]);
    const differ = cases
      .filter(
        ([name, value]) =>
          refused.has(asText(name, value)) !== parameterProblems(version, { [name]: value }).length > 0,
      )
      .map(
        ([name, value]) =>
          `${name} = "${value}": the server ${refused.has(asText(name, value)) ? 'refuses' : 'takes'} it`,
      );
    expect(differ).toEqual([]);
    expect(cases.length).toBeGreaterThan(1000);
  },
  120_000,
);
