import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { resolve } from 'import-meta-resolve';

/**
 * The file that `import(name)` loads from a package that is installed in the current folder or in one around it.
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
    if (error instanceof Error && error.message.startsWith('Cannot find package')) return null;
    throw error;
  }
  // Modules of Node have no file.
  return url.startsWith('file:') ? fileURLToPath(url) : null;
}
