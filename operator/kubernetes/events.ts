import type { EventsV1Event, V1ObjectReference } from '@kubernetes/client-node';
import type { KubernetesClient } from './client.ts';
import { isAlreadyExists, isNotFound, KubernetesApiError } from './api-error.ts';
import { events, type ApiObject, type Wire } from './kinds.ts';
import { microTime } from './micro-time.ts';
import { surroundingsFrom, type Surroundings } from './surroundings.ts';

export interface EventRecorderOptions extends Partial<Surroundings> {
  readonly client: KubernetesClient;
  /** Such as `mainstay.dev/operator`. */
  readonly reportingController: string;
  /** The Pod's name. */
  readonly reportingInstance: string;
}

export interface EventNote {
  /** With apiVersion, kind and metadata (namespace, name, uid). */
  readonly regarding: ApiObject;
  readonly related?: ApiObject;
  readonly type: 'Normal' | 'Warning';
  /** Why, in UpperCamelCase. */
  readonly reason: string;
  /** What was done or tried, in UpperCamelCase; the reason by default. */
  readonly action?: string;
  /** For people; cut at 1,024 characters. */
  readonly note: string;
}

export interface EventRecorder {
  /** Never throws and never waits; repeats within 10 minutes become one event with a count. */
  record(note: EventNote): void;
  /** Resolves when everything recorded so far has been sent or given up. */
  flush(): Promise<void>;
}

type EventObject = Wire<EventsV1Event>;

/** What repeats within this time is one event with a count (client-go's aggregation window). */
const WINDOW_MS = 600_000;
/** More than so many different notes of one reason about one object become "combined", whatever the notes say. */
const DISTINCT_NOTES = 10;
/** Series kept in memory; the one that was silent longest is forgotten first. */
const MAXIMUM_SERIES = 1_024;
/** A series is not sent more often than this, however fast it counts. */
const SERIES_INTERVAL_MS = 10_000;
const ATTEMPTS = 4;
const FIRST_RETRY_MS = 1_000;
const CALL_TIMEOUT_MS = 5_000;
const NOTE_CHARACTERS = 1_024;

interface Series {
  readonly event: EventObject;
  count: number;
  lastAt: number;
  lastWall: Date;
  sent: 'no' | 'created';
  sentAt: number;
  /** Set while counts are waiting for the interval to pass. */
  cancelTimer: (() => void) | undefined;
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, reportingController, reportingInstance } = options;
  const { clock, random, log } = surroundingsFrom(options);
  /** In the order of their last occurrence. */
  const known = new Map<string, Series>();
  /** How many distinct notes a reason had in its window. */
  const notes = new Map<string, { count: number; readonly since: number }>();
  const unsent = new Set<Series>();
  let sending: Promise<void> | undefined;
  let serial = 0;

  return {
    record(note) {
      try {
        count(note);
      } catch (error) {
        log.error({ err: error, reason: note.reason }, 'an event could not be recorded');
      }
    },
    async flush() {
      for (const series of known.values()) if (series.cancelTimer !== undefined) enqueue(series);
      await sending;
    },
  };

  function count(note: EventNote): void {
    const now = clock.now();
    const { uid, namespace, name } = note.regarding.metadata ?? {};
    const about = JSON.stringify([note.regarding.kind, uid, namespace, name, note.type, note.reason, note.action]);
    let key = JSON.stringify([about, note.note]);
    let text = note.note;
    if (!isFresh(known.get(key), now) && tooManyNotes(about, now)) {
      key = about;
      text = `(combined from similar events): ${note.note}`;
    }
    const earlier = known.get(key);
    known.delete(key);
    if (earlier !== undefined && isFresh(earlier, now)) {
      known.set(key, earlier);
      earlier.count += 1;
      earlier.lastAt = now;
      earlier.lastWall = clock.wall();
      const waitMs = earlier.sentAt + SERIES_INTERVAL_MS - now;
      if (waitMs <= 0) enqueue(earlier);
      else earlier.cancelTimer ??= clock.after(waitMs, () => enqueue(earlier));
      return;
    }
    earlier?.cancelTimer?.();
    const series: Series = {
      event: eventOf(note, text),
      count: 1,
      lastAt: now,
      lastWall: clock.wall(),
      sent: 'no',
      sentAt: now,
      cancelTimer: undefined,
    };
    known.set(key, series);
    forgetOldest();
    enqueue(series);
  }

  function isFresh(series: Series | undefined, now: number): boolean {
    return series !== undefined && now - series.lastAt < WINDOW_MS;
  }

  function tooManyNotes(about: string, now: number): boolean {
    let window = notes.get(about);
    if (window === undefined || now - window.since >= WINDOW_MS) window = { count: 0, since: now };
    window.count += 1;
    notes.delete(about);
    notes.set(about, window);
    return window.count > DISTINCT_NOTES;
  }

  function forgetOldest(): void {
    for (const [key, series] of known) {
      if (known.size <= MAXIMUM_SERIES) break;
      series.cancelTimer?.();
      unsent.delete(series);
      known.delete(key);
    }
    for (const about of notes.keys()) {
      if (notes.size <= MAXIMUM_SERIES) break;
      notes.delete(about);
    }
  }

  function enqueue(series: Series): void {
    series.cancelTimer?.();
    series.cancelTimer = undefined;
    unsent.add(series);
    sending ??= sendAll().finally(() => {
      sending = undefined;
    });
  }

  async function sendAll(): Promise<void> {
    // One after another: events are never in the way of the calls that matter.
    for (const series of unsent) {
      unsent.delete(series);
      await sendPersistently(series);
    }
  }

  async function sendPersistently(series: Series): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await send(series);
        return;
      } catch (error) {
        const refused = error instanceof KubernetesApiError && error.status < 500 && error.status !== 429;
        if (refused || attempt === ATTEMPTS) {
          log.warn({ err: error, reason: series.event.reason, note: series.event.note }, 'an event was given up');
          return;
        }
        await clock.sleep(FIRST_RETRY_MS * 2 ** (attempt - 1) * (0.5 + random()));
      }
    }
  }

  async function send(series: Series): Promise<void> {
    const { event } = series;
    const { namespace, name = '' } = event.metadata ?? {};
    const call = { timeoutMs: CALL_TIMEOUT_MS };
    // The API knows a series from its second occurrence on.
    const body = series.count < 2 ? undefined : { count: series.count, lastObservedTime: microTime(series.lastWall) };
    series.sentAt = clock.now();
    if (series.sent === 'created' && body !== undefined) {
      try {
        await client.patch(events, { namespace, name }, { series: body }, { fieldManager: reportingController }, call);
        return;
      } catch (error) {
        // Events live for an hour: begin anew.
        if (!isNotFound(error)) throw error;
      }
    }
    try {
      await client.create(events, body === undefined ? event : { ...event, series: body }, call);
    } catch (error) {
      // An earlier attempt whose answer was lost.
      if (!isAlreadyExists(error)) throw error;
    }
    series.sent = 'created';
  }

  function eventOf(note: EventNote, text: string): EventObject {
    const { name = 'unknown', namespace = 'default' } = note.regarding.metadata ?? {};
    serial += 1;
    const unique = `${clock.wall().getTime().toString(16)}${serial.toString(16)}${Math.floor(random() * 0xffff).toString(16)}`;
    return {
      // The name is chosen here, not by the server, so that a second attempt cannot make a second event.
      metadata: { namespace, name: `${name.slice(0, 200)}.${unique}` },
      eventTime: microTime(clock.wall()),
      reportingController,
      reportingInstance,
      action: note.action ?? note.reason,
      reason: note.reason,
      type: note.type,
      note: text.length > NOTE_CHARACTERS ? `${text.slice(0, NOTE_CHARACTERS - 1)}…` : text,
      regarding: referenceTo(note.regarding),
      ...(note.related === undefined ? {} : { related: referenceTo(note.related) }),
    };
  }
}

function referenceTo({ apiVersion = '', kind = '', metadata = {} }: ApiObject): Wire<V1ObjectReference> {
  const { namespace = '', name = '', uid = '' } = metadata;
  return { apiVersion, kind, namespace, name, uid };
}
