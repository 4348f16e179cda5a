// node hack/images/main.ts [postgres|etcd|mainstay|all …] [--refresh]
import process from 'node:process';
import { buildImages, imageKinds, type ImageKind } from './build.ts';

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    stop.abort(new Error(`Stopped by ${signal}; nothing unfinished is left behind.`));
  });
}

const words = process.argv.slice(2);
const wanted = words.filter((word) => !word.startsWith('--'));
const unknown = words.find((word) => word !== '--refresh' && word !== 'all' && !isKind(word));
if (unknown !== undefined) {
  process.stderr.write(
    `Unknown: ${unknown}\nusage: node hack/images/main.ts [${imageKinds.join('|')}|all …] [--refresh]\n`,
  );
  process.exit(2);
}
const kinds = wanted.length === 0 || wanted.includes('all') ? imageKinds : wanted.filter(isKind);

try {
  const images = await buildImages(kinds, { signal: stop.signal, refresh: words.includes('--refresh') });
  for (const image of images) process.stdout.write(`${image.name}\t${image.bytes}\t${image.tar}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

function isKind(word: string): word is ImageKind {
  return (imageKinds as readonly string[]).includes(word);
}
