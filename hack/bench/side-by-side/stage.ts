/**
 * Plays the benchmark, in namespaces of its own (main.ts): as their first process, so that with it everything is gone that it has
 * started, mounted or plugged in, however it ends.
 */
import { appendFile, mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { loadavg } from 'node:os';
import { testNetwork } from '../../container/network.ts';
import { cases, type Case } from './cases.ts';
import { measureCost } from './cost.ts';
import { mainstay } from './mainstay.ts';
import { patroni } from './patroni.ts';
import { patroniSettings, sharedParameters } from './patroni-config.ts';
import { turns } from './plan.ts';
import { linesOf, type BenchRecord } from './record.ts';
import { patienceMs, strikeOnce } from './run.ts';
import { openSite, type Site, type System } from './site.ts';

export interface StageOptions {
  /** Names of cases. */
  readonly cases: readonly string[];
  readonly runs: number;
  /** No run is begun later than that. */
  readonly minutes: number | undefined;
  readonly cost: boolean;
  /** Folder for everything that is gone afterwards. */
  readonly work: string;
  /** File that records are appended to. */
  readonly out: string;
  readonly root: string;
  readonly etcd: string;
  readonly agent: string;
  readonly versions: {
    readonly mainstay: Readonly<Record<string, string>>;
    readonly patroni: Readonly<Record<string, string>>;
  };
}

const options = JSON.parse(process.argv[2] ?? '{}') as StageOptions;
const stop = new AbortController();
// A signal would reach everything that runs here; what speaks to this process alone is its input.
process.stdin.once('end', () => stop.abort(new Error('stopped'))).resume();
const { signal } = stop;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const began = performance.now();
const minutesGone = (): number => (performance.now() - began) / 60_000;

const record = async (one: BenchRecord): Promise<void> => {
  await appendFile(options.out, linesOf([one]));
};

/** How to open each, and open anew one that did not become whole again. */
const places: { readonly open: () => Promise<Site>; site: Site }[] = [];

try {
  await benchmark();
  // What is left, such as connections to who is gone, ends with the namespaces.
  process.exit(0);
} catch (error) {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exit(1);
}

async function benchmark(): Promise<void> {
  const network = await testNetwork();
  network.plug(process.pid, '10.9.0.2');
  const bases = [10, 20, 30];
  const open = async (index: number, system: () => System | Promise<System>): Promise<void> => {
    const base = bases[index] ?? 0;
    const reopen = async (): Promise<Site> => {
      const folder = path.join(options.work, `site-${base}`);
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      const { root, etcd: etcdProgram } = options;
      return openSite(await system(), { base, folder, root, etcdProgram, network, signal });
    };
    const site = await reopen();
    places.push({ open: reopen, site });
    say(`${nameOf(site.system)}: three instances and three members of etcd`);
  };
  const { agent, versions } = options;
  await open(0, () => mainstay({ base: bases[0] ?? 0, agent, versions: versions.mainstay, signal }));
  const parameters = sharedParameters(
    await readFile(path.join(options.work, `site-${bases[0] ?? 0}`, 'a/volume/configuration/postgresql.conf'), 'utf8'),
  );
  for (const [index, settings] of patroniSettings.entries())
    await open(index + 1, () =>
      patroni({ base: bases[index + 1] ?? 0, settings, parameters, versions: versions.patroni }),
    );

  if (options.cost)
    for (const under of ['rest', 'load'] as const)
      for (const { site } of places) {
        const cost = await measureCost(site, under, options.root);
        await record(cost);
        const [primary] = cost.agents.filter(({ role }) => role === 'primary');
        say(
          `${nameOf(site.system)} at ${under}: ${primary?.residentMiB ?? 0} MiB, ${primary?.cpuPercent ?? 0} % of a core beside the ` +
            `primary; etcd: ${cost.etcdWritesPerMinute} writes a minute` +
            (cost.transactionsPerSecond === undefined ? '' : `; ${cost.transactionsPerSecond} transactions a second`),
        );
      }
  const chosen = cases.filter(({ name }) => options.cases.includes(name));
  for (const { what, system, run } of turns(chosen, places.length, { from: 0, to: options.runs })) {
    signal.throwIfAborted();
    if (options.minutes !== undefined && minutesGone() > options.minutes) {
      say(`${options.minutes} minutes are over`);
      break;
    }
    const place = places[system];
    if (place !== undefined) await play(place, what, run);
  }
}

async function play(place: (typeof places)[number], what: Case, run: number): Promise<void> {
  const { system } = place.site;
  const began = new Date().toISOString();
  try {
    const done = await strikeOnce(place.site, what, run, options.work);
    await record(done);
    const odd = [
      ...(done.censored ? [`not back within ${patienceMs / 1_000} s`] : []),
      ...(done.replaced ? [] : ['the same primary']),
      ...done.violations,
    ];
    say(
      `${minutesGone().toFixed(1)} min, ${what.name} ${run}, ${nameOf(system)}: ${done.outage_ms} ms, ${done.lost} of ${done.acked} lost, ` +
        `${done.redundancy_s === undefined ? 'never interrupted' : `whole ${done.redundancy_s} s later`}${odd.map((one) => `, ${one}`).join('')}`,
    );
  } catch (error) {
    signal.throwIfAborted();
    const failure = error instanceof Error ? error.message : String(error);
    const { name, settings, versions, machine } = system;
    const about = { system: name, settings, versions, machine, date: began, load: loadavg()[0] ?? 0 };
    await record({ kind: 'failed', ...about, case: what.name, run, failure });
    say(`${what.name} ${run}, ${nameOf(system)}: FAILED: ${failure}`);
    await place.site.close();
    place.site = await place.open();
  }
}

function nameOf({ name, settings }: System): string {
  return `${name} (${settings})`;
}
