/** A watch through the gateway: one HTTP reply that goes on, a line per message. */
import type { Clock } from '../platform/clock.ts';
import { MainstayError } from '../platform/errors.ts';
import type { WatchEvent } from './dcs.ts';
import { DeadlinePassed, within } from './deadline.ts';
import type { Endpoints } from './endpoints.ts';
import type { Login } from './etcd-login.ts';
import { asMainstayError, EtcdStatus, isRefusal, statusError, throwUnlessSuccess } from './etcd-errors.ts';
import { rangeOf, StatusReply, WatchReply } from './etcd-messages.ts';
import type { HttpPeer } from './http-exchange.ts';
import { createMailbox, type Mailbox } from './mailbox.ts';

export interface WatchOptions {
  readonly prefix: string;
  readonly fromRevision: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly login: Login;
}

export interface WatchItem {
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}

type Message = WatchReply['result'];

/** How long a member may take to say that a watch stands, or to answer a probe: longer than an election in etcd. */
const answerMilliseconds = 2_000;
/** For all of them, logins included. */
const openMilliseconds = 10_000;
/** A watch that has been silent for so long has its member probed. */
const probeMilliseconds = 5_000;

export async function* watchEtcd(endpoints: Endpoints, options: WatchOptions): AsyncGenerator<WatchItem, void> {
  if (isAborted(options.signal)) return;
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  try {
    const limit = { milliseconds: openMilliseconds, signal };
    const { peer, mailbox, created } = await within(options.clock, limit, (scope) =>
      options.login.authorized(scope, (token) => open(endpoints, options, token, signal)),
    );
    const guard = watchdog(endpoints, peer, options, signal, (error) => mailbox.close(error));
    try {
      // Events from `fromRevision` on are still to come, whatever the header says.
      yield { revision: options.fromRevision > 0 ? options.fromRevision - 1 : created.header.revision, events: [] };
      for (;;) {
        const message = await mailbox.take();
        guard.heard();
        throwIfCanceled(peer, message);
        // While the watcher catches up, the header is ahead of the events; only a message without any speaks for it.
        const last = message.events.at(-1);
        const revision = last ? modRevisionOf(last) : message.header.revision;
        yield { revision, events: message.events };
      }
    } finally {
      guard.stop();
    }
  } catch (error) {
    if (isAborted(options.signal)) return;
    throw asMainstayError(error);
  } finally {
    stop.abort(new Error('watch ended'));
  }
}

interface Opened {
  readonly peer: HttpPeer;
  readonly mailbox: Mailbox<Message>;
  readonly created: Message;
}

/** The first member that confirms the watch in time. */
async function open(
  endpoints: Endpoints,
  options: WatchOptions,
  token: string | undefined,
  signal: AbortSignal,
): Promise<Opened> {
  let last: unknown;
  for (const peer of endpoints.inOrder()) {
    const attempt = new AbortController();
    const mailbox = streamFrom(peer, options, token, AbortSignal.any([signal, attempt.signal]));
    const cancelTimeout = options.clock.after(answerMilliseconds, () =>
      attempt.abort(new DeadlinePassed(answerMilliseconds)),
    );
    try {
      const created = await mailbox.take();
      throwIfCanceled(peer, created);
      return { peer, mailbox, created };
    } catch (error) {
      last = error;
      attempt.abort(new Error('watch failed'));
      if (signal.aborted || isRefusal(error) || isCompaction(error)) throw error;
      endpoints.failed(peer);
    } finally {
      cancelTimeout();
    }
  }
  throw last;
}

function streamFrom(
  peer: HttpPeer,
  options: WatchOptions,
  token: string | undefined,
  signal: AbortSignal,
): Mailbox<Message> {
  const mailbox = createMailbox<Message>();
  const body = {
    create_request: {
      ...rangeOf(options.prefix),
      start_revision: String(options.fromRevision),
      // Every ten minutes by default: moves the revision to resume from ahead of compactions.
      progress_notify: true,
    },
  };
  peer
    .stream({ path: '/v3/watch', body, token }, signal, (line) => {
      try {
        mailbox.push(parse(peer, line));
      } catch (error) {
        mailbox.close(asMainstayError(error));
      }
    })
    .then(
      () => mailbox.close(asMainstayError(new Error(`${peer.url} ended the watch`))),
      (error: unknown) => mailbox.close(asMainstayError(error)),
    );
  return mailbox;
}

function parse(peer: HttpPeer, line: string): Message {
  const message: unknown = JSON.parse(line);
  const failure = StatusReply.safeParse(message);
  if (failure.success) throw statusError(peer.url, new EtcdStatus(failure.data.code, failure.data.message));
  return WatchReply.parse(message).result;
}

function throwIfCanceled(peer: HttpPeer, message: Message): void {
  if (message.compact_revision > 0) {
    throw new MainstayError(
      'DcsCompacted',
      `etcd at ${peer.url} has dropped the history before revision ${message.compact_revision}. Read again and watch from there.`,
      { retryable: true },
    );
  }
  if (!message.canceled) return;
  const unauthenticated = 16;
  const permissionDenied = 7;
  const unavailable = 14;
  const { cancel_reason: reason } = message;
  const code = /invalid auth token|revision of auth store is old|user name is empty/.test(reason)
    ? unauthenticated
    : reason.includes('permission denied')
      ? permissionDenied
      : unavailable;
  throw statusError(peer.url, new EtcdStatus(code, `watch canceled: ${reason}`));
}

function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function isCompaction(error: unknown): boolean {
  return error instanceof MainstayError && error.code === 'DcsCompacted';
}

function modRevisionOf(event: WatchEvent): number {
  return event.type === 'put' ? event.entry.modRevision : event.modRevision;
}

/**
 * Finds watches that died in silence. A quiet prefix sends nothing, so silence alone proves nothing, and etcd's progress
 * notifications come only every ten minutes. Instead the member itself is asked: after some seconds of silence, and at
 * once when any other call found it failing or slow, by a linearizable read (a member cut off from its cluster answers
 * a serializable one, but has no events). Without an answer the watch is given up. A connection that died alone, without
 * its member, is found by TCP keepalive (http-exchange.ts).
 */
function watchdog(
  endpoints: Endpoints,
  peer: HttpPeer,
  options: WatchOptions,
  signal: AbortSignal,
  giveUp: (error: Error) => void,
): { heard(): void; stop(): void } {
  let probing = false;
  let stopped = false;
  let cancelSilence = (): void => undefined;

  const probe = async (): Promise<void> => {
    if (probing || stopped) return;
    probing = true;
    try {
      const body = { ...rangeOf(options.prefix), count_only: true };
      await within(options.clock, { milliseconds: answerMilliseconds, signal }, (scope) =>
        // With a token that is good: a member can refuse an old one on its own, cut off from its cluster.
        options.login.authorized(scope, async (token) =>
          throwUnlessSuccess(peer.url, await peer.ask({ path: '/v3/kv/range', body, token }, scope.signal)),
        ),
      );
    } catch (error) {
      if (!isRefusal(error) && !signal.aborted) {
        stopped = true;
        endpoints.failed(peer);
        giveUp(asMainstayError(error));
      }
    } finally {
      probing = false;
      heard();
    }
  };
  const heard = (): void => {
    cancelSilence();
    if (!stopped) cancelSilence = options.clock.after(probeMilliseconds, () => void probe());
  };
  const forget = endpoints.whenSuspected(peer, () => void probe());
  heard();
  return {
    heard,
    stop: () => {
      stopped = true;
      cancelSilence();
      forget();
    },
  };
}
