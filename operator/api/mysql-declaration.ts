/**
 * What the operator asks of a MySQL database, and what came of it. The protocol and the agent pass both on as text: only the
 * engine reads them.
 */
import { z } from 'zod';
import { DeclaredPassword } from './declared-password.ts';

export const DeclaredUser = z.object({ name: z.string(), password: DeclaredPassword.optional() }).readonly();
export type DeclaredUser = z.output<typeof DeclaredUser>;

/** `declaration` in etcd. */
export const MySQLDeclaration = z
  .object({
    /** Changed by a person who wants everything brought about anew, drift included. */
    again: z.string().optional(),
    /** Of the connections among the instances. */
    system: z.object({ replication: DeclaredPassword, clone: DeclaredPassword }).readonly().optional(),
    users: z.array(DeclaredUser).readonly(),
  })
  .readonly();
export type MySQLDeclaration = z.output<typeof MySQLDeclaration>;
