import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { resolve } from 'import-meta-resolve';

/**
 * The file that `import(name)` loads from a package that is installed in the current folder or in one around it. It may be missing: packages
 * name files that a build has yet to write.
 *
 * @returns null if no package of that name is installed, or if it is not the name of a package
 * @throws Error if the package has no such entry
 */
export function packageEntry(name: string, folder = process.cwd()): string | null {
  if (!/^(?:@[a-z\d][\w.-]*\/)?[a-z\d][\w.-]*(?:\/[\w.-]+)*$/i.test(name)) return null;
  let url: string;
  try {
    url = resolve(name, pathToFileURL(join(folder, 'importing.js')).href);
  } catch (error) {
    const [, missing] =
      (error instanceof Error && /^Cannot find package '(.*)' imported from/.exec(error.message)) || [];
    if (missing === undefined) throw error;
    // The name if there is no such package; its folder if it has no entry.
    return isAbsolute(missing) ? mainOf(missing) : null;
  }
  // Modules of Node have no file.
  return url.startsWith('file:') ? fileURLToPath(url) : null;
}

/** The entry that the package in a folder names, null if there is no package. */
function mainOf(folder: string): string | null {
  let manifest: unknown;
  try {
    manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  } catch {
    return null;
  }
  const main = typeof manifest === 'object' && manifest !== null && 'main' in manifest ? manifest.main : undefined;
  return join(folder, typeof main === 'string' ? main : 'index.js');
}
