// Copies the built page into a folder that any static host can serve: it needs no headers, and its URLs are relative.
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const built = fileURLToPath(new URL('dist/', import.meta.url));

/** Without this file, GitHub Pages leaves out files whose name starts with an underscore. */
const asItIs = '.nojekyll';

/** What a call wrote into a folder, as a list of paths: the next call replaces these files and no others. */
const written = '.softgrad-page.json';

/**
 * Replaces what an earlier call wrote into the folder. A repository's `.git` in it is left as it is. `docs` is the address of the documentation,
 * relative to the page or absolute, to which the page then links.
 *
 * @throws Error if the folder contains anything else, before anything is written
 */
export async function writeStaticPage(folder, { docs } = {}) {
  await checkFolder(folder);
  const earlier = await writtenInto(folder);
  const others = (await filesIn(folder)).filter((file) => !earlier.includes(file) && file.split('/')[0] !== '.git');
  if (others.length > 0) {
    const more = others.length > 1 ? ` and ${others.length - 1} more` : '';
    throw new Error(
      `${folder} contains ${others[0]}${more}: expected a folder that does not exist yet, an empty one, or only what this command has written into it`,
    );
  }
  const files = await filesIn(built);
  await mkdir(folder, { recursive: true });
  // First the list: a call that was interrupted can be repeated.
  await writeFile(join(folder, written), JSON.stringify([...new Set([...earlier, ...files, asItIs, written])]));
  for (const file of earlier) if (file !== written) await rm(join(folder, file), { force: true });
  await cp(built, folder, { recursive: true });
  await writeFile(join(folder, asItIs), '');
  if (docs !== undefined) {
    const index = join(folder, 'index.html');
    const page = await readFile(index, 'utf8');
    const link = `</title>\n    <link rel="help" href="${escaped(docs)}" />`;
    await writeFile(
      index,
      page.replace('</title>', () => link),
    );
  }
  await writeFile(join(folder, written), `${JSON.stringify([...files, asItIs, written], null, 2)}\n`);
}

/** @throws Error if a page cannot be written to this path, because something that is not a folder is there */
export async function checkFolder(folder) {
  try {
    await readdir(folder);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(error.code) && dirname(folder) !== folder) await checkFolder(dirname(folder));
    if (error.code === 'ENOENT') return;
    const what = error.code === 'ENOTDIR' ? 'is not a folder' : `cannot be read: ${error.message}`;
    throw new Error(`${folder} ${what}; expected a folder for the page, or a path where there is none yet`, {
      cause: error,
    });
  }
}

async function writtenInto(folder) {
  try {
    return JSON.parse(await readFile(join(folder, written), 'utf8')).filter((file) => !file.split('/').includes('..'));
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw new Error(`${join(folder, written)} is not the list of files that this command writes: ${error.message}`, {
      cause: error,
    });
  }
}

/** The paths of all files in a folder, with slashes; none if there is no folder. */
async function filesIn(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)).replaceAll('\\', '/'))
    .sort();
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}
