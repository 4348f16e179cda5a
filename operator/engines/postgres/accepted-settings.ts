/** Settings with which a server has started on this volume: the way back from others. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Definition } from '../../api/cluster-state.ts';
import { replaceFile } from '../files.ts';
import type { Layout } from './layout.ts';

/** What a definition sets, as far as it may be refused: all else is ours. */
export type Settings = Pick<Definition, 'parameters' | 'defaults' | 'postgres'>;

export const settingsIn = ({ parameters, defaults, postgres }: Settings): Settings => ({
  parameters,
  ...(defaults && { defaults }),
  ...(postgres && { postgres }),
});

const acceptedFile = (layout: Layout): string => join(layout.configuration, 'accepted.json');
const trialFile = (layout: Layout): string => join(layout.configuration, 'trial.json');

export async function acceptedSettings(layout: Layout): Promise<Settings> {
  const text = await readFile(acceptedFile(layout), 'utf8').catch(() => '{"parameters":{}}');
  return JSON.parse(text) as Settings;
}

/** The server answers with them. */
export async function noteAccepted(layout: Layout, settings: Settings): Promise<void> {
  await replaceFile(acceptedFile(layout), settingsText(settings));
  await rm(trialFile(layout), { force: true });
}

interface Trial {
  readonly settings: string;
  readonly starts: number;
}

/** How many starts with these ended without a word, the agent's own life with them: as those do that ask for too much memory. */
export async function noteTrial(layout: Layout, settings: Settings): Promise<number> {
  const text = settingsText(settings);
  if (text === settingsText(await acceptedSettings(layout))) return 0;
  const before = await readFile(trialFile(layout), 'utf8').then(
    (found) => JSON.parse(found) as Trial,
    () => undefined,
  );
  const failed = before?.settings === text ? before.starts : 0;
  await replaceFile(trialFile(layout), JSON.stringify({ settings: text, starts: failed + 1 } satisfies Trial));
  return failed;
}

export const settingsText = (settings: Settings): string => JSON.stringify(settingsIn(settings));
