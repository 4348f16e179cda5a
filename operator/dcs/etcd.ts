/** etcd behind the Dcs interface, through its JSON gateway (docs/adr/0001-etcd-json-gateway.md). */
import type { Dcs, KeyValue, Snapshot } from './dcs.ts';
import { connectEtcd, type EtcdOptions } from './etcd-connection.ts';
import { asMainstayError, isCertainlyUnsent, isLeaseMissing, isRefusal } from './etcd-errors.ts';
import {
  AnyReply,
  LeaseGrantReply,
  LeaseKeepAliveReply,
  RangeReply,
  rangeOf,
  TxnReply,
  txnRequest,
} from './etcd-messages.ts';
import { watchEtcd } from './etcd-watch.ts';

export type { EtcdOptions };

/** Throws ConfigurationInvalid where endpoints or credentials can't be used. */
export function etcdDcs(options: EtcdOptions): Dcs {
  const { clock } = options;
  const { endpoints, login, query, command, close } = connectEtcd(options);
  return {
    read: async (prefix, deadline): Promise<Snapshot> => {
      const { header, kvs } = await query('/v3/kv/range', rangeOf(prefix), RangeReply, deadline);
      return {
        revision: header.revision,
        clusterId: header.cluster_id,
        entries: new Map(kvs.map((entry): [string, KeyValue] => [entry.key, entry])),
      };
    },

    txn: async (compare, writes, deadline) => {
      try {
        const { header, succeeded } = await command('/v3/kv/txn', txnRequest(compare, writes), TxnReply, deadline);
        return { outcome: succeeded ? 'applied' : 'refused', revision: header.revision };
      } catch (error) {
        const cause = asMainstayError(error);
        if (isRefusal(error) || isCertainlyUnsent(error)) throw cause;
        return { outcome: 'unknown', cause };
      }
    },

    watch: (prefix, fromRevision, signal) => watchEtcd(endpoints, { prefix, fromRevision, signal, clock, login }),

    grantLease: async (ttlSeconds, deadline) => {
      try {
        return (await command('/v3/lease/grant', { TTL: String(ttlSeconds) }, LeaseGrantReply, deadline)).ID;
      } catch (error) {
        throw asMainstayError(error);
      }
    },

    keepAliveOnce: async (lease, deadline) => {
      // A stream in gRPC; through the gateway each request gets its one reply line.
      return (await query('/v3/lease/keepalive', { ID: lease }, LeaseKeepAliveReply, deadline)).result.TTL;
    },

    revokeLease: async (lease, deadline) => {
      try {
        await command('/v3/lease/revoke', { ID: lease }, AnyReply, deadline);
      } catch (error) {
        // Expired meanwhile: what was wanted.
        if (isLeaseMissing(error)) return;
        throw asMainstayError(error);
      }
    },

    close,
  };
}
