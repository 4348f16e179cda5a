import type { Context } from './leaves.ts';

/** What must be there for a leaf of a cluster, of either kind, to mean something. */
export const contexts: Readonly<Record<string, Context>> = {
  walStorage: { size: '1Gi' },
  'failover.instances[]': { ordinal: 2, noSync: true },
  'affinity.tolerations[]': { key: 'dedicated', effect: 'NoExecute' },
  'roles[]': { name: 'reporting', login: true },
  'roles[].passwordSecret': { name: 'reporting' },
  'users[]': { name: 'reporting' },
  'users[].passwordSecret': { name: 'reporting' },
  'users[].grants[]': { privileges: ['SELECT'], database: 'shop' },
  'application.passwordSecret': { name: 'owner' },
  'databases[]': { name: 'reports' },
  'databases[].extensions[]': { name: 'postgis' },
  'databases[].schemas[]': { name: 'archive' },
  'bootstrap.postInitSql[].configMap': { name: 'first', key: 'a.sql' },
  'bootstrap.postInitSql[].secret': { name: 'first', key: 'a.sql' },
  'maintenance.windows[]': { start: '02:30', durationMinutes: 60 },
  networkPolicy: { mode: 'Restricted' },
};
