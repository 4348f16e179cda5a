/**
 * What the custom resource wants inside the database, one object at a time. What was once brought about is noted in the database
 * itself: a difference without a new wish is somebody else's work, which is told and left alone; and a failover that loses the
 * change loses the note with it, so that it is made again.
 */
import type { Finding } from '../api/cluster-state.ts';

export type Kind = Finding['kind'];

export interface Asked {
  readonly name: string;
  readonly ensure: 'present' | 'absent';
}

/** What was asked for when it was last brought about, as text. */
export type Ledger = ReadonlyMap<string, string>;

export interface Note {
  readonly kind: Kind;
  readonly name: string;
  readonly asked: string;
}

const ledgerKey = ({ kind, name }: Pick<Note, 'kind' | 'name'>): string => `${kind} ${name}`;

/** Also what is not asked for any more and must be forgotten: should it be again, it is brought about anew. */
export function ledgerOf(
  notes: readonly Note[],
  asked: { readonly roles: readonly Asked[]; readonly databases: readonly Asked[] },
): { readonly ledger: Ledger; readonly forgotten: readonly Note[] } {
  const present = (kind: Kind, all: readonly Asked[]): readonly string[] =>
    all.filter(({ ensure }) => ensure === 'present').map(({ name }) => ledgerKey({ kind, name }));
  const wanted = new Set([...present('role', asked.roles), ...present('database', asked.databases)]);
  return {
    ledger: new Map(notes.map((note) => [ledgerKey(note), note.asked])),
    forgotten: notes.filter((note) => !wanted.has(ledgerKey(note))),
  };
}

/** Of one object. */
export interface Handling {
  /** `before`: what was asked for last time. Leaves the note behind. */
  readonly bringAbout: (before: string | undefined, note: Note) => Promise<void>;
  /** How it differs from what was asked for. */
  readonly drift: () => Promise<readonly string[]>;
}

/** `again`: changed by a person who wants everything brought about anew. `failure` rethrows what is no answer of the database's. */
export function declaring(
  ledger: Ledger,
  again: string | undefined,
  failure: (kind: Kind, name: string, error: unknown) => Finding,
) {
  const attempt = async (kind: Kind, name: string, work: () => Promise<void>): Promise<readonly Finding[]> => {
    try {
      await work();
      return [];
    } catch (error) {
      return [failure(kind, name, error)];
    }
  };
  return {
    attempt,
    one: async (
      kind: Kind,
      object: { readonly name: string },
      { bringAbout, drift }: Handling,
    ): Promise<readonly Finding[]> => {
      const { name } = object;
      const asked = JSON.stringify({ ...object, ...(again !== undefined && { again }) });
      const before = ledger.get(ledgerKey({ kind, name }));
      if (before !== asked) return attempt(kind, name, () => bringAbout(before, { kind, name, asked }));
      try {
        return (await drift()).map((text) => ({ kind, name, state: 'drifted', text }));
      } catch (error) {
        return [failure(kind, name, error)];
      }
    },
  };
}
