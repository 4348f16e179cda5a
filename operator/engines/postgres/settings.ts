/** The settings of the server: files made from the newest that PostgreSQL accepts, and what it was that it did not. */
import { join } from 'node:path';
import type { Definition, Member } from '../../api/cluster-state.ts';
import { tlsFileNames } from '../../api/tls-files.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/log.ts';
import {
  acceptedSettings,
  noteAccepted,
  noteTrial,
  settingsIn,
  settingsText,
  type Settings,
} from './accepted-settings.ts';
import { certificatesFrom, discardOtherCertificates, type Certificates } from '../certificates.ts';
import { command } from '../command.ts';
import { configFile, effectiveParameters, floorsFromControlData, heldBack, writeConfiguration } from './config.ts';
import { controlData, wasStoppedCleanly } from './control-data.ts';
import type { Layout } from './layout.ts';
import type { ServerAccess } from './replication.ts';
import type { Session } from './sql.ts';

export interface InEffect {
  readonly values: Readonly<Record<string, string>>;
  /** Names of parameters that wait for a restart. */
  readonly pendingRestart: readonly string[];
}

export interface SettingsKeeper {
  /** Makes the files for a server that is about to start. */
  readonly prepare: (definition: Definition, signal: AbortSignal) => Promise<void>;
  /** Tries the former settings if the newest keep the server from coming up; rejects if those are no way out either. */
  readonly launch: <T>(definition: Definition, launch: () => Promise<T>, signal: AbortSignal) => Promise<T>;
  /** The server has come up with what the files hold. */
  readonly noteStarted: (definition: Definition) => Promise<void>;
  /** Brings a server that runs to the definition, as far as a reload can. */
  readonly configure: (definition: Definition, of: 'primary' | 'replica', access: ServerAccess) => Promise<void>;
  /**
   * A standby can't have less of what its log says that its primary had, and every database here boots as a standby. So a
   * primary that stopped cleanly and leads still writes what it shall have from now on to its log, alone and without clients.
   */
  readonly lowerForStandbys: (definition: Definition, signal: AbortSignal) => Promise<void>;
  /** Parameters that keep a greater value than they should have, as the last primary's log obliges this server to. */
  readonly heldBack: (definition: Definition) => readonly string[];
  /** What the server goes by, looked at now and then. */
  readonly look: (session: Session) => Promise<InEffect>;
  /** Takes over certificates that have been renewed, for whoever connects from here. */
  readonly takeCertificates: () => Promise<void>;
  /** What is to be told of it: certificates that the server has read, and what could not be used. */
  readonly standing: () => Pick<Member, 'certificates' | 'message' | 'settingsRefused'>;
  /** The server has ended. */
  readonly forgetServer: () => void;
}

/** A node may lose power while a server starts, but hardly twice. */
const silentStarts = 2;
/** Milliseconds between two looks at what changes rarely. */
const periods = { floors: 3000, look: 2000 };
/** Characters of what people are told. */
const longest = 900;

export function keepSettings(layout: () => Layout, clock: Clock, log: Logger): SettingsKeeper {
  const certificates = certificatesFrom(layout(), log);
  /** What the files were made from. */
  let written = '';
  /** Those that the files were made from last. */
  let inForce: Settings | undefined;
  /** Why PostgreSQL refused the newest settings, if it did. */
  let refusal: string | undefined;
  /** What the last primary's settings oblige this server to, as of its start. */
  let floors: Readonly<Record<string, number>> = {};
  let floorsReadAt = -Infinity;
  let looked: (InEffect & { readonly at: number }) | undefined;
  /** Changes with every server. */
  let life = 0;
  /** That the running server has read. */
  let served: Certificates | undefined;

  const contents = (definition: Definition, newest: Certificates | undefined): string =>
    JSON.stringify([settingsIn(definition), definition.tls, newest?.fingerprint]);

  const readFloors = async (signal: AbortSignal): Promise<typeof floors> =>
    floorsFromControlData(await controlData(layout(), signal));

  async function write(definition: Definition, signal: AbortSignal): Promise<void> {
    const newest = await certificates.newest();
    floors = await readFloors(signal);
    const problem = await writeConfiguration({ definition, floors, certificates: newest }, layout(), signal);
    if (problem === undefined) {
      refusal = undefined;
      inForce = settingsIn(definition);
    } else {
      await writeAccepted(definition, inForce ?? (await acceptedSettings(layout())), signal);
      refuse(problem);
    }
    written = contents(definition, newest);
  }

  async function writeAccepted(definition: Definition, accepted: Settings, signal: AbortSignal): Promise<void> {
    const bare: Definition = { ...definition, parameters: {}, defaults: undefined, postgres: undefined };
    const former: Definition = { ...bare, ...accepted };
    const newest = await certificates.newest();
    const problem = await writeConfiguration({ definition: former, floors, certificates: newest }, layout(), signal);
    inForce = settingsIn(problem === undefined ? former : bare);
    if (problem === undefined) return;
    log.error({ problem }, 'PostgreSQL refuses the former settings too: going on without any');
    await writeConfiguration({ definition: bare, floors, certificates: newest }, layout(), signal);
  }

  function refuse(problem: string): void {
    refusal = problem;
    log.error({ problem }, 'PostgreSQL refuses the settings; the former ones stay');
  }

  /** A reload would go on with the former rules in silence, but a restart would not. */
  async function checkAccessRules(definition: Definition, former: Settings, access: ServerAccess): Promise<void> {
    if (!definition.postgres || refusal !== undefined) return;
    const [wrong] = await access.session((session) =>
      session.query(
        `SELECT 'pg_hba' AS file, error FROM pg_hba_file_rules WHERE error IS NOT NULL
         UNION ALL SELECT 'pg_ident', error FROM pg_ident_file_mappings WHERE error IS NOT NULL`,
      ),
    );
    if (!wrong) return;
    await writeAccepted(definition, former, access.signal);
    refuse(`${String(wrong['file'])}: ${String(wrong['error'])}`);
  }

  /** On a replica they fall when its primary has come back with less. */
  async function refreshFloors(definition: Definition, signal: AbortSignal): Promise<void> {
    const isLower = Object.keys(heldBack(definition, floors)).length > 0;
    if (!isLower || clock.now() - floorsReadAt < periods.floors) return;
    floorsReadAt = clock.now();
    if (JSON.stringify(await readFloors(signal)) !== JSON.stringify(floors)) written = '';
  }

  /** A new session that shows the file proves that the postmaster has read it; else the next look will tell. */
  async function seeWhetherServed(newest: Certificates, access: ServerAccess): Promise<void> {
    const of = life;
    const file = join(newest.directory, tlsFileNames.serverCertificate);
    const [row] = await access.session((session) => session.query("SELECT current_setting('ssl_cert_file') AS file"));
    if (life !== of || row?.['file'] !== file) return;
    served = newest;
    await discardOtherCertificates(layout(), newest);
  }

  return {
    prepare: async (definition, signal) => {
      inForce = undefined;
      await write(definition, signal);
      if (refusal !== undefined || (await noteTrial(layout(), definition)) < silentStarts) return;
      await writeAccepted(definition, await acceptedSettings(layout()), signal);
      refuse(`the server did not come up with them, ${silentStarts} times: do they ask for more memory than there is?`);
    },
    // New settings that only a start shows to be wrong must not keep a database down whose former ones are known to work.
    launch: async (definition, launch, signal) => {
      try {
        return await launch();
      } catch (error) {
        const accepted = await acceptedSettings(layout());
        const isSame = settingsText(definition) === settingsText(accepted);
        if (signal.aborted || refusal !== undefined || isSame) throw error;
        await writeAccepted(definition, accepted, signal);
        const started = await launch();
        refuse(error instanceof Error ? error.message.replace(/^\w+: /, '') : String(error));
        return started;
      }
    },
    noteStarted: async (definition) => {
      if (refusal === undefined) await noteAccepted(layout(), definition);
    },
    configure: async (definition, of, access) => {
      const newest = await certificates.newest();
      if (of === 'replica') await refreshFloors(definition, access.signal);
      if (written !== contents(definition, newest)) {
        const former = inForce;
        await write(definition, access.signal);
        await checkAccessRules(definition, former ?? (await acceptedSettings(layout())), access);
        await access.reload();
        looked = undefined;
        log.info({ parameters: Object.keys(definition.parameters), certificates: newest?.fingerprint }, 'reloaded');
      }
      if (newest && served !== newest) await seeWhetherServed(newest, access);
    },
    lowerForStandbys: async (definition, signal) => {
      const control = await controlData(layout(), signal);
      const held = heldBack(definition, floorsFromControlData(control));
      if (Object.keys(held).length === 0 || !wasStoppedCleanly(control)) return;
      const lowered = { definition, floors: {}, certificates: await certificates.newest() };
      if ((await writeConfiguration(lowered, layout(), signal)) !== undefined) return;
      const { bin, data } = layout();
      const settings = ['-D', data, '-c', `config_file=${configFile(layout())}`, '-c', 'logging_collector=off'];
      await command(join(bin, 'postgres'), ['--single', ...settings, 'postgres'], { signal });
      log.info({ parameters: Object.keys(held) }, 'lowered what standbys can’t lower');
    },
    heldBack: (definition) => Object.keys(heldBack(definition, floors)),
    look: async (session) => {
      if (looked && clock.now() - looked.at < periods.look) return looked;
      const rows = await session.query(
        'SELECT name, current_setting(name) AS value, pending_restart AS pending FROM pg_settings WHERE pending_restart OR name = ANY ($1) ORDER BY name',
        [effectiveParameters],
      );
      const shown = rows.filter((row) => (effectiveParameters as readonly string[]).includes(String(row['name'])));
      looked = {
        at: clock.now(),
        values: Object.fromEntries(shown.map((row) => [String(row['name']), String(row['value'])])),
        pendingRestart: rows.filter((row) => row['pending'] === true).map((row) => String(row['name'])),
      };
      return looked;
    },
    takeCertificates: async () => {
      await certificates.newest();
    },
    standing: () => {
      const unusable = certificates.problem();
      const trouble = unusable && `Certificates can’t be used, the former ones stay: ${unusable}`;
      return {
        ...(served && { certificates: served.fingerprint }),
        ...(trouble !== undefined && { message: trouble.slice(0, longest) }),
        ...(refusal !== undefined && { settingsRefused: refusal.slice(0, longest) }),
      };
    },
    forgetServer: () => {
      life += 1;
      looked = undefined;
      served = undefined;
    },
  };
}
