/** `node e2e/soak/write-pages.ts`: docs/compatibility/fault-catalogue.md, and docs/benchmarks/soak.md from what was published. */
import { writeFile } from 'node:fs/promises';
import { cataloguePage, cataloguePageFile } from './catalogue-page.ts';
import { publishedSoaks, soakPage, soakPageFile } from './page.ts';

await writeFile(cataloguePageFile, await cataloguePage());
await writeFile(soakPageFile, await soakPage(await publishedSoaks()));
