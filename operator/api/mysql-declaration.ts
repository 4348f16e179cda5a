/**
 * What the operator asks of a MySQL database, and what came of it. The protocol and the agent pass both on as text: only the
 * engine reads them.
 */
import { z } from 'zod';
import { DeclaredPassword } from './declared-password.ts';

const ensure = z.enum(['present', 'absent']);

export const DeclaredUser = z
  .object({
    name: z.string(),
    ensure,
    password: DeclaredPassword.optional(),
    locked: z.boolean().optional(),
    requireTls: z.boolean().optional(),
    connectionLimit: z.int().optional(),
    comment: z.string().optional(),
    grants: z
      .array(
        z
          .object({ privileges: z.array(z.string()).readonly(), database: z.string(), table: z.string().optional() })
          .readonly(),
      )
      .readonly()
      .optional(),
  })
  .readonly();
export type DeclaredUser = z.output<typeof DeclaredUser>;

export const DeclaredDatabase = z
  .object({
    name: z.string(),
    ensure,
    characterSet: z.string().optional(),
    collation: z.string().optional(),
  })
  .readonly();
export type DeclaredDatabase = z.output<typeof DeclaredDatabase>;

/** `declaration` in etcd. */
export const MySQLDeclaration = z
  .object({
    /** Changed by a person who wants everything brought about anew, drift included. */
    again: z.string().optional(),
    /** Of the connections among the instances. */
    system: z.object({ replication: DeclaredPassword, clone: DeclaredPassword }).readonly().optional(),
    users: z.array(DeclaredUser).readonly(),
    databases: z.array(DeclaredDatabase).readonly(),
  })
  .readonly();
export type MySQLDeclaration = z.output<typeof MySQLDeclaration>;
