/** Privileges of MySQL that can be declared. */

/** What ALL means on one database; GRANT OPTION and partial revokes are for who grants by hand. */
export const onDatabase = [
  ...['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'REFERENCES', 'INDEX', 'ALTER'],
  ...[
    'CREATE TEMPORARY TABLES',
    'LOCK TABLES',
    'EXECUTE',
    'CREATE VIEW',
    'SHOW VIEW',
    'CREATE ROUTINE',
    'ALTER ROUTINE',
  ],
  ...['EVENT', 'TRIGGER'],
] as const;

/** What ALL means on one table. */
export const onTable: readonly string[] = [
  ...['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'REFERENCES', 'INDEX', 'ALTER'],
  ...['CREATE VIEW', 'SHOW VIEW', 'TRIGGER'],
];

/**
 * Of the server as a whole. Left out is whatever passes the gate of logins, changes what durability rests on, who replicates, or
 * accounts (SUPER, CONNECTION_ADMIN, RELOAD with its RESET BINARY LOGS, REPLICATION SLAVE with its acknowledgements, …).
 */
export const onServer = [
  ...['PROCESS', 'SHOW DATABASES', 'REPLICATION CLIENT', 'BACKUP_ADMIN', 'FLUSH_TABLES', 'FLUSH_STATUS'],
  ...['SHOW_ROUTINE', 'XA_RECOVER_ADMIN'],
] as const;

/** What may be had on all databases at once: the server's own are among them, so nothing that writes. */
export const everywhere: readonly string[] = [
  ...onServer,
  ...['SELECT', 'EXECUTE', 'LOCK TABLES', 'SHOW VIEW', 'EVENT', 'TRIGGER'],
];
