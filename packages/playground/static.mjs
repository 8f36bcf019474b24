// Copies the built page into a folder that any static host can serve: it needs no headers, and its URLs are relative.
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const built = fileURLToPath(new URL('dist/', import.meta.url));

/** Without this file, GitHub Pages leaves out files whose name starts with an underscore. */
const asItIs = '.nojekyll';

/**
 * Replaces what an earlier call wrote into the folder. `docs` is the address of the documentation, relative to the page or absolute, to which the page
 * then links.
 *
 * @throws Error if the folder contains anything else
 */
export async function writeStaticPage(folder, { docs } = {}) {
  const present = await readdir(folder).catch((error) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (present.length > 0 && !present.includes(asItIs)) {
    throw new Error(
      `${folder} is not empty: expected a folder that does not exist yet, or one that this command has written`,
    );
  }
  await rm(folder, { recursive: true, force: true });
  await cp(built, folder, { recursive: true });
  await writeFile(join(folder, asItIs), '');
  if (docs === undefined) return;
  const index = join(folder, 'index.html');
  const page = await readFile(index, 'utf8');
  await writeFile(index, page.replace('</title>', `</title>\n    <link rel="help" href="${escaped(docs)}" />`));
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}
