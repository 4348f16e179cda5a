/** TLS of the server, and of the connections among the instances. */
import type { Definition, Member } from '../../api/cluster-state.ts';
import type { Logger } from '../../platform/log.ts';
import {
  certificatesFrom,
  discardOtherCertificates,
  knowsCiphers,
  newestFile,
  type Certificates,
} from '../certificates.ts';
import type { Layout } from './layout.ts';
import { valueOf, type Settings } from './settings.ts';
import { errorNumber, identifier, type Session } from './sql.ts';

/** Files by which one instance knows another, and shows who it is; empty: none. */
export interface LinkTls {
  /** Only a server of these authorities is trusted. Which of the cluster's it is needs no check: etcd has its address. */
  readonly authorities: string;
  readonly certificate: string;
  readonly key: string;
}

/**
 * The server's variables. Files go by names that stay: a renewal is read when the server is told, and a restart finds the
 * newest. Without certificates of ours it makes its own.
 */
export function tlsSettings(layout: Layout, { tls }: Definition, certificates: Certificates | undefined): Settings {
  return {
    tls_version: tls?.minVersion === 'TLSv1.3' ? 'TLSv1.3' : 'TLSv1.2,TLSv1.3',
    require_secure_transport: tls?.required ? 'ON' : 'OFF',
    ...(tls?.ciphers !== undefined && knowsCiphers(tls.ciphers) && { ssl_cipher: tls.ciphers }),
    ...(certificates && {
      ssl_ca: newestFile(layout, 'clientAuthorities'),
      ssl_cert: newestFile(layout, 'serverCertificate'),
      ssl_key: newestFile(layout, 'serverKey'),
    }),
  };
}

export interface TlsKeeper {
  /** Of a server that is started now; takes over certificates that have been renewed. */
  settings(definition: Definition): Promise<Settings>;
  /** Has the running server go over to the definition's rules and the newest certificates; no session notices. */
  bring(definition: Definition, use: <T>(work: (session: Session) => Promise<T>) => Promise<T>): Promise<void>;
  /** For connections to other instances. */
  link(definition: Definition): Promise<LinkTls>;
  /** Who agents are to a server, from when nobody gets in as one without a certificate. */
  requiredSubject(definition: Definition): Promise<string | undefined>;
  /** What is to be told of it. */
  standing(): Pick<Member, 'certificates' | 'message'>;
  forgetServer(): void;
}

export function keepTls(layout: Layout, log: Logger): TlsKeeper {
  const certificates = certificatesFrom(layout, log);
  /** What the server was told last, and whether it took it. */
  let told: { readonly text: string; readonly names: readonly string[]; readonly refusal?: string } | undefined;
  let served: Certificates | undefined;

  return {
    settings: async (definition) => tlsSettings(layout, definition, await certificates.newest()),
    bring: async (definition, use) => {
      const newest = await certificates.newest();
      const wanted = tlsSettings(layout, definition, newest);
      const text = JSON.stringify([wanted, newest?.fingerprint]);
      if (told?.text === text) return;
      const names = [...new Set([...Object.keys(wanted), ...(told?.names ?? ['ssl_cipher'])])];
      try {
        await use(async (session) => {
          for (const name of names) await session.query(`SET GLOBAL ${identifier(name)} = ${valueOf(wanted[name])}`);
          await session.query('ALTER INSTANCE RELOAD TLS');
        });
      } catch (error) {
        const refusal = error instanceof Error ? error.message : String(error);
        // What was no answer of the server's is tried again.
        if (errorNumber(error) !== undefined) told = { text, names, refusal };
        log.error({ refusal }, 'MySQL goes on with the former certificates and rules of TLS');
        return;
      }
      told = { text, names };
      served = newest;
      if (newest) await discardOtherCertificates(layout, newest);
      log.info({ certificates: newest?.fingerprint, ...wanted }, 'TLS reloaded');
    },
    link: async ({ tls }) => {
      const file = (name: Parameters<typeof newestFile>[1]): string => newestFile(layout, name);
      if (!(await certificates.newest())) return { authorities: '', certificate: '', key: '' };
      return {
        authorities: tls?.certificatesOnly ? file('serverAuthorities') : '',
        certificate: file('clientCertificate'),
        key: file('clientKey'),
      };
    },
    requiredSubject: async ({ tls }) =>
      tls?.certificatesOnly ? (await certificates.newest())?.agent.subject : undefined,
    standing: () => {
      const trouble = certificates.problem() ?? told?.refusal;
      return {
        ...(served && { certificates: served.fingerprint }),
        ...(trouble !== undefined && {
          message: `Certificates can’t be used, the former ones stay: ${trouble}`.slice(0, 900),
        }),
      };
    },
    forgetServer: () => {
      told = undefined;
      served = undefined;
    },
  };
}
