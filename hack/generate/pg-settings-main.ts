/**
 * `node hack/generate/pg-settings-main.ts [ROOT…]` writes operator/api/pg-settings-<version>.ts from real servers: of the images
 * that were built last, or of the root folders given. Only a new major version needs it; a test compares.
 */
import { writeFile } from 'node:fs/promises';
import { databaseRoot } from '../container/root.ts';
import { askCatalogue, catalogueFile, catalogueText, startWithLibraries } from './pg-settings.ts';

const given = process.argv.slice(2);
const roots = given.length > 0 ? given : [await databaseRoot('postgres17'), await databaseRoot('postgres18')];
for (const root of roots) {
  if (root === undefined) throw new Error('no image of PostgreSQL has been built yet: make images');
  const server = await startWithLibraries(root);
  const catalogue = askCatalogue(server);
  await server.remove();
  await writeFile(catalogueFile(catalogue.version), await catalogueText(catalogue));
  console.log(`generated ${catalogueFile(catalogue.version)}: ${catalogue.rows.length} parameters`);
}
