import { readdirSync, realpathSync } from 'node:fs';
import { basename, isAbsolute, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The most frames of a stack that are shown. */
const shown = 3;

/**
 * Where what caused an error, else the error itself, was thrown in files that are not softgrad's own: the innermost frames, as `at softmax (mine.js:12:7)`.
 * Paths are relative to the current folder; of files elsewhere, only the name.
 */
export function framesOf(error: unknown): readonly string[] {
  const own = codeFolders(fileURLToPath(new URL('../../', import.meta.url)));
  const isOwn = (file: string) =>
    own.some((folder) => file.startsWith(folder)) ||
    // commander calls the command's code between two of its frames.
    /[\\/]node_modules[\\/](?:@softgrad|softgrad|commander)[\\/]/.test(file);
  for (const { stack = '' } of chain(error).reverse()) {
    const frames = stack.split('\n').flatMap((line) => parse(line) ?? []);
    // What called softgrad's command is not part of the author's backend.
    const last = frames.findLastIndex(({ file }) => isOwn(file));
    const called = last < 0 ? frames : frames.slice(0, last);
    const foreign = called.filter(({ file }) => !isOwn(file)).slice(0, shown);
    if (foreign.length > 0) return foreign.map(format);
  }
  return [];
}

/** The stack of an error and those of its causes, or null if it has none. */
export function stackOf(error: unknown): string | null {
  return (
    chain(error)
      .flatMap(({ stack }) => stack ?? [])
      .join('\ncaused by ') || null
  );
}

function chain(error: unknown): Error[] {
  const errors: Error[] = [];
  for (let one = error; one instanceof Error && !errors.includes(one); one = one.cause) errors.push(one);
  return errors;
}

interface Frame {
  readonly name: string;
  readonly file: string;
  readonly place: string;
}

/** The frame in a line of a stack; undefined for one in Node itself or without a file. */
function parse(line: string): Frame | undefined {
  const [, name = '', path, place = ''] =
    /^\s*at (?:(.*) \()?(?:async )?((?:file:\/\/|\/|[A-Za-z]:[\\/]).*?)(:\d+:\d+)\)?$/.exec(line) ?? [];
  if (path === undefined) return undefined;
  return { name, file: path.startsWith('file:') ? fileURLToPath(path.replace(/[?#].*$/, '')) : path, place };
}

/** Where the code of the packages in a folder is. Stacks contain real paths, so links to packages are resolved. */
export function codeFolders(packages: string): readonly string[] {
  const folders = allowed(() => readdirSync(packages)).flatMap((name) =>
    allowed(() => [realpathSync(join(packages, name))]),
  );
  return folders.flatMap((folder) => ['bin', 'dist', 'src'].map((part) => `${folder}${sep}${part}${sep}`));
}

/** What `read` returns, or nothing if that fails: a link may be broken, and Node's permission model may deny reading a folder. */
function allowed(read: () => readonly string[]): readonly string[] {
  try {
    return read();
  } catch {
    return [];
  }
}

function format({ name, file, place }: Frame): string {
  const path = relative('', file);
  const where = `${path.startsWith('..') || isAbsolute(path) ? `…/${basename(file)}` : path}${place}`;
  return name === '' ? `at ${where}` : `at ${name} (${where})`;
}
