import { basename, isAbsolute, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The most frames of a stack that are shown. */
const shown = 3;

/** The folder of softgrad's packages beside this one. */
const packages = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Where what caused an error, else the error itself, was thrown in files that are not softgrad's own: the innermost frames, as `at softmax (mine.js:12:7)`.
 * Paths are relative to the current folder; of files elsewhere, only the name.
 */
export function framesOf(error: unknown): readonly string[] {
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

function isOwn(file: string): boolean {
  const inPackage = file.startsWith(packages) ? file.slice(packages.length) : '';
  return (
    /^[\w-]+[\\/](?:bin|dist|src)[\\/]/.test(inPackage) ||
    /[\\/]node_modules[\\/](?:@softgrad[\\/]|softgrad[\\/])/.test(file)
  );
}

function format({ name, file, place }: Frame): string {
  const path = relative('', file);
  const where = `${path.startsWith('..') || isAbsolute(path) ? `…/${basename(file)}` : path}${place}`;
  return name === '' ? `at ${where}` : `at ${name} (${where})`;
}
