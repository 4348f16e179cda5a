// node hack/images/main.ts [postgres18|postgres17|upgrade|mysql|etcd|mainstay|fence-agents|previous|all …] [--refresh | --stage]
import process from 'node:process';
import { parseArgs } from 'node:util';
import { buildImages, imageKinds, stageContext, usualImages, type ImageKind } from './build.ts';

const usage = `usage: node hack/images/main.ts [${imageKinds.join('|')}|all …] [--refresh | --stage]
  without a name: ${usualImages.join(', ')}
  --refresh  with Debian's packages of today
  --stage    only fill build/images/<name>, the context for docker build`;

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    stop.abort(new Error(`Stopped by ${signal}; nothing unfinished is left behind.`));
  });
}

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { refresh: { type: 'boolean', default: false }, stage: { type: 'boolean', default: false } },
  });
  const kinds = wanted(positionals);
  if (values.stage) {
    for (const kind of kinds) process.stdout.write(`${(await stageContext(kind, stop.signal)).folder}\n`);
  } else {
    const images = await buildImages(kinds, { signal: stop.signal, refresh: values.refresh });
    for (const image of images) process.stdout.write(`${image.name}\t${image.bytes}\t${image.tar}\n`);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

function wanted(words: readonly string[]): readonly ImageKind[] {
  if (words.length === 0) return usualImages;
  if (words.includes('all')) return imageKinds;
  return words.map((word) => {
    const kind = imageKinds.find((known) => known === word);
    if (kind === undefined) throw new Error(`There is no image "${word}".\n${usage}`);
    return kind;
  });
}
