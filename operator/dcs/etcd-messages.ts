/** etcd's v3 messages in the JSON of its gateway: bytes are base64, int64 are strings, default values are left out. */
import { z } from 'zod';

import type { Compare, KeyValue, WatchEvent, Write } from './dcs.ts';

const int64 = z.string().default('0');
const revision = int64.transform(Number);
const text = z
  .string()
  .default('')
  .transform((base64) => Buffer.from(base64, 'base64').toString());
const header = z.object({ cluster_id: z.string(), revision });

const entry = z
  .object({ key: text, value: text, create_revision: revision, mod_revision: revision, lease: int64 })
  .transform((kv): KeyValue => ({
    key: kv.key,
    value: kv.value,
    createRevision: kv.create_revision,
    modRevision: kv.mod_revision,
    lease: kv.lease,
  }));

const event = z
  .object({ type: z.enum(['PUT', 'DELETE']).default('PUT'), kv: entry })
  .transform(({ type, kv }): WatchEvent =>
    type === 'PUT' ? { type: 'put', entry: kv } : { type: 'delete', key: kv.key, modRevision: kv.modRevision },
  );

export const RangeReply = z.object({ header, kvs: z.array(entry).default([]) });
export const TxnReply = z.object({ header, succeeded: z.boolean().default(false) });
export const LeaseGrantReply = z.object({ ID: z.string() });
export const LeaseKeepAliveReply = z.object({ result: z.object({ TTL: int64.transform(Number) }) });
export const AuthenticateReply = z.object({ token: z.string() });
export const AnyReply = z.object({});
export const WatchReply = z.object({
  result: z.object({
    header,
    created: z.boolean().default(false),
    canceled: z.boolean().default(false),
    cancel_reason: z.string().default(''),
    compact_revision: revision,
    events: z.array(event).default([]),
  }),
});
export type WatchReply = z.output<typeof WatchReply>;

const status = z.object({ code: z.int(), message: z.string().default('') });
/** A failed call, or (wrapped) a failure on a stream. */
export const StatusReply = z.union([status, z.object({ error: status }).transform(({ error }) => error)]);

export function base64(plain: string): string {
  return Buffer.from(plain).toString('base64');
}

/** The range of all keys that begin with `prefix`. */
export function rangeOf(prefix: string): { readonly key: string; readonly range_end: string } {
  const zero = Buffer.of(0).toString('base64');
  if (prefix === '') return { key: zero, range_end: zero };
  // UTF-8 has no byte 0xff, so the last byte can always be raised.
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return { key: base64(prefix), range_end: end.toString('base64') };
}

export function txnRequest(compare: readonly Compare[], writes: readonly Write[]): object {
  return { compare: compare.map(comparison), success: writes.map(operation) };
}

function comparison(compare: Compare): object {
  const key = base64(compare.key);
  switch (compare.is) {
    case 'absent':
      return { key, target: 'CREATE', result: 'EQUAL', create_revision: '0' };
    case 'present':
      return { key, target: 'CREATE', result: 'GREATER', create_revision: '0' };
    case 'value':
      return { key, target: 'VALUE', result: 'EQUAL', value: base64(compare.value) };
    case 'modRevision':
      return { key, target: 'MOD', result: 'EQUAL', mod_revision: String(compare.modRevision) };
  }
}

function operation(write: Write): object {
  if ('delete' in write) return { request_delete_range: { key: base64(write.delete) } };
  const put = { key: base64(write.put), value: base64(write.value) };
  return { request_put: write.lease === undefined ? put : { ...put, lease: write.lease } };
}
