/**
 * What the operator asks of a PostgreSQL database, and what came of it. The protocol and the agent pass both on as text:
 * only the engine reads them.
 */
import { z } from 'zod';
import { DeclaredPassword } from './declared-password.ts';

const names = z.array(z.string()).readonly();

export const DeclaredRole = z
  .object({
    name: z.string(),
    ensure: z.enum(['present', 'absent']),
    login: z.boolean().optional(),
    superuser: z.boolean().optional(),
    createdb: z.boolean().optional(),
    createrole: z.boolean().optional(),
    replication: z.boolean().optional(),
    bypassrls: z.boolean().optional(),
    inherit: z.boolean().optional(),
    connectionLimit: z.int().optional(),
    validUntil: z.string().optional(),
    memberOf: names.optional(),
    comment: z.string().optional(),
    password: DeclaredPassword.optional(),
  })
  .readonly();
export type DeclaredRole = z.output<typeof DeclaredRole>;

export const DeclaredDatabase = z
  .object({
    name: z.string(),
    ensure: z.enum(['present', 'absent']),
    owner: z.string().optional(),
    encoding: z.string().optional(),
    localeProvider: z.enum(['builtin', 'icu', 'libc']).optional(),
    locale: z.string().optional(),
    icuLocale: z.string().optional(),
    connectionLimit: z.int().optional(),
    extensions: z
      .array(
        z
          .object({
            name: z.string(),
            ensure: z.enum(['present', 'absent']),
            version: z.string().optional(),
            schema: z.string().optional(),
          })
          .readonly(),
      )
      .readonly(),
    schemas: z
      .array(
        z.object({ name: z.string(), ensure: z.enum(['present', 'absent']), owner: z.string().optional() }).readonly(),
      )
      .readonly(),
    readers: names.optional(),
    writers: names.optional(),
  })
  .readonly();
export type DeclaredDatabase = z.output<typeof DeclaredDatabase>;

/** `declaration` in etcd. */
export const PostgresDeclaration = z
  .object({
    /** Changed by a person who wants everything brought about anew, drift included. */
    again: z.string().optional(),
    /** Of the connections among the instances. */
    system: z.object({ replication: DeclaredPassword, rewind: DeclaredPassword }).readonly().optional(),
    roles: z.array(DeclaredRole).readonly(),
    databases: z.array(DeclaredDatabase).readonly(),
  })
  .readonly();
export type PostgresDeclaration = z.output<typeof PostgresDeclaration>;
