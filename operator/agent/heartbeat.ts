/**
 * Asks the primary's agent twice a second whether it is there: the trigger of an early takeover (DESIGN §5, rule 5). While
 * etcd is silent the question carries the replica's word (rule 9).
 */
import { randomUUID } from 'node:crypto';
import type { PeerCertificate } from 'node:tls';
import { Agent, request } from 'undici';
import { z } from 'zod';
import type { Epoch, Member } from '../api/cluster-state.ts';
import { untilNextBeat, type Clock } from '../platform/clock.ts';
import type { Alarm } from './alarm.ts';
import type { IdentitySource, PeerIdentity } from './peer-credentials.ts';

/** Between two questions, for one answer, and without any until the primary counts as lost; in milliseconds. */
const period = 500;
const answerLimit = 500;
const silenceLimit = 1250;
/**
 * On an overloaded machine answers come late, and a change of primary for each would leave nobody time to lead: an alarm that
 * proves false doubles the silence that counts as one, up to a lease's time, until a minute has passed without another.
 */
const longestSilence = 5000;
const calm = 60_000;

/** What the primary's agent answers. `leading`: its database serves, or is on its way to. */
export const Heartbeat = z.object({
  instance: z.string(),
  epoch: z.int(),
  leading: z.boolean(),
  /** To be sent back with a pledge: its time on this primary's clock is no later than the pledge. */
  stamp: z.string().optional(),
});
export type Heartbeat = z.output<typeof Heartbeat>;

/** A replica's word: no promise of the next epoch for `Settings.pledge` milliseconds from when it sends this. */
export const PledgeQuery = z.object({
  instance: z.string().min(1),
  incarnation: z.string().min(1),
  epoch: z.coerce.number().int(),
  stamp: z.string().min(1),
});
export type PledgeQuery = z.output<typeof PledgeQuery>;
type Word = Pick<PledgeQuery, 'instance' | 'incarnation' | 'epoch'>;

/** Times on this process's monotonic clock, in a form that no other process takes for its own. */
export function issueStamps(clock: Clock): { issue(): string; sentAt(stamp: string): number | undefined } {
  const life = randomUUID();
  return {
    issue: () => `${life}/${clock.now()}`,
    sentAt: (stamp) => {
      const [of, at] = stamp.split('/');
      const time = Number(at);
      return of === life && Number.isFinite(time) && time <= clock.now() ? time : undefined;
    },
  };
}

export interface Watched {
  readonly epoch: Epoch;
  readonly primary: Member;
}

/**
 * `watched` tells whom to ask, undefined for nobody; `onLost` is told the epoch whose primary is lost, or undefined, and what the
 * last question came to; `onHeard` is told the epoch that has answered; `word` is asked right before each question for what may be pledged with it; `due` rings when there
 * is reason to ask at once.
 */
export async function watchPrimary(
  watched: () => Watched | undefined,
  onLost: (epoch: Epoch | undefined, why?: string) => void,
  onHeard: (epoch: Epoch) => void,
  word: () => Word | undefined,
  due: Alarm,
  identity: IdentitySource,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const lineTo = lines(due, identity);
  let last = '';
  /** When the last question that was answered was sent. */
  let heardAt = 0;
  let stamp: string | undefined;
  let [silence, alarmed, falseAlarmAt] = [silenceLimit, false, -Infinity];
  while (!signal.aborted) {
    const startedAt = clock.now();
    const target = watched();
    const key = target ? `${target.epoch} ${target.primary.instance} ${target.primary.address}` : '';
    if (key !== last) {
      [heardAt, last, stamp, alarmed] = [startedAt, key, undefined, false];
      onLost(undefined);
    }
    if (target) {
      const given = stamp === undefined ? undefined : word();
      const pledge = given && given.epoch === target.epoch && stamp !== undefined ? { ...given, stamp } : undefined;
      const patience = Math.max(10, Math.min(answerLimit, heardAt + silence - startedAt));
      const asked = await ask(target, pledge, lineTo(target.primary), clock, patience);
      if (alarmed && asked.answer === 'there')
        [silence, falseAlarmAt] = [Math.min(silence * 2, longestSilence), clock.now()];
      if (clock.now() - falseAlarmAt > calm) silence = silenceLimit;
      if (asked.answer !== 'silent') heardAt = asked.answer === 'there' ? startedAt : -Infinity;
      // One that doesn't answer gets no more words.
      stamp = asked.answer === 'there' ? asked.stamp : undefined;
      if (asked.answer === 'there' && last === key) onHeard(target.epoch);
      const silentFor = clock.now() - heardAt;
      alarmed = silentFor >= silence && heardAt !== -Infinity;
      if (last === key) onLost(silentFor >= silence ? target.epoch : undefined, asked.why);
    }
    await due.wait(Math.max(10, untilNextBeat(clock, period, startedAt)));
  }
  await lineTo.end();
}

interface Line {
  readonly url: string;
  readonly dispatcher: Agent;
}

/**
 * One connection for all questions: its end says at once that the process at the other end is gone. A new one only as the
 * certificates are renewed, or as the primary's agent learns to hear by TLS. A handshake counts as connecting: it has no more
 * time than that.
 */
function lines(due: Alarm, identity: IdentitySource): { (primary: Member): Line; end(): Promise<void> } {
  let used: { readonly by: PeerIdentity | undefined; readonly dispatcher: Agent } | undefined;
  const lineTo = (primary: Member): Line => {
    const by = primary.agentTls ? identity() : undefined;
    if (!used || used.by !== by) {
      void used?.dispatcher.destroy().catch(() => undefined);
      const dispatcher = new Agent({
        connectTimeout: answerLimit,
        allowH2: false,
        ...(by && { connect: { ...by.credentials, checkServerIdentity: checkFor(by) } }),
      });
      dispatcher.on('disconnect', () => due.ring());
      used = { by, dispatcher };
    }
    const scheme = by ? 'https' : 'http';
    return { url: `${scheme}://${primary.address}:${primary.agentPort}/heartbeat`, dispatcher: used.dispatcher };
  };
  return Object.assign(lineTo, { end: async () => used?.dispatcher.destroy().catch(() => undefined) });
}

/** Addresses come and go; what makes a peer is the name that the agents of this cluster share. */
const checkFor =
  ({ name }: PeerIdentity) =>
  (_: string, { subject }: PeerCertificate): Error | undefined =>
    subject.CN === name ? undefined : new Error(`shows the certificate of ${String(subject.CN)}, not of ${name}`);

interface Asked {
  readonly answer: 'there' | 'gone' | 'silent';
  readonly stamp?: string | undefined;
  /** For people, where there is no answer. */
  readonly why?: string;
}

async function ask(
  target: Watched,
  pledge: PledgeQuery | undefined,
  line: Line,
  clock: Clock,
  patience: number,
): Promise<Asked> {
  const limit = new AbortController();
  let cancel = (): void => undefined;
  // Not left to undici, which leaves an abort unnoticed while it is still connecting.
  const silence = new Promise<Asked>((resolve) => {
    cancel = clock.after(patience, () => {
      resolve({ answer: 'silent', why: 'no answer in time' });
      limit.abort();
    });
  });
  const answer = answerOf(target, pledge, line, limit.signal);
  return Promise.race([answer, silence]).finally(() => cancel());
}

/** `gone`: it says so itself, or its process refuses the connection; anything else is only a missed beat. */
async function answerOf(
  { epoch, primary }: Watched,
  pledge: PledgeQuery | undefined,
  { url, dispatcher }: Line,
  signal: AbortSignal,
): Promise<Asked> {
  try {
    const { body } = await request(url, {
      dispatcher,
      ...(pledge ? { query: pledge } : {}),
      signal,
    });
    const beat = Heartbeat.parse(await body.json());
    if (beat.instance !== primary.instance) return { answer: 'gone' };
    // One that has not heard of its own epoch yet is still becoming primary.
    return { answer: beat.leading || beat.epoch < epoch ? 'there' : 'gone', stamp: beat.stamp };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { answer: code === 'ECONNREFUSED' ? 'gone' : 'silent', why: message };
  }
}
