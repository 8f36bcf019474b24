import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSoftgradError, SoftgradError, shortened } from '@softgrad/core';
import {
  adviceOnName,
  arrayRows,
  formatBytes,
  knownEndings,
  npyRows,
  openRows,
  type RowReader,
  type TableOptions,
  textRows,
} from '@softgrad/formats';
import type { Context } from '../context.js';
import { decimal } from '../options.js';
import { missingPermission } from '../permission.js';
import { startLateProgress } from '../progress.js';
import { openCsv } from './csv.js';

const besides = '- for text or a .npy on standard input, or numbers between commas';
const expected = `expected ${knownEndings}, ${besides}`;

/**
 * Opens the array that an argument of a command names: a file by its ending; `FILE.npz:name` and `FILE.safetensors:name` for one array of
 * several, and `FILE.json:name` for one of an object; the folder (or s3:// URL) of a finished `softgrad run`, or FOLDER:name; `-` for standard input, which may be JSON, an array as NumPy prints it,
 * a table or a .npy; or numbers separated by commas.
 *
 * @throws ERR_VALUE for a file that does not exist, cannot be read or has an unknown format
 */
export async function openArray(argument: string, context: Context, table: TableOptions = {}): Promise<RowReader> {
  const { memory } = context.limits;
  const numbers = numbersIn(argument, table.booleans);
  if (numbers) return arrayRows({ shape: [numbers.length], data: numbers }, argument);
  if (argument === '-') return standardInputRows(await readStandardInput(context), context, table);
  const parts = await openParts(argument);
  if (parts) return parts;
  const [, archive, entry] = archiveMember.exec(argument) ?? [];
  const path = archive ?? argument;
  const handle = await openFile(path);
  const { size } = await handle.stat();
  const readWhole = /\.(?:json|txt|npz)$/i.test(path);
  const progress = startLateProgress(`reading ${path}`, 1, context, readWhole ? size : 0);
  try {
    return await openRows(
      {
        name: path,
        byteLength: size,
        read: (position, length) => readAt(handle, path, position, length),
        whole: () => readBytes(path, size, memory),
        table: (preferred, options) => openCsv(path, size, preferred, options),
        close: () => handle.close(),
      },
      { ...table, entry, memory, besides, onShare: progress.update },
    );
  } finally {
    progress.stop();
  }
}

/**
 * Opens the file of an option: errors about it name the option, too.
 *
 * @throws as `openArray`
 */
export async function openOperand(
  label: string,
  file: string,
  context: Context,
  table: TableOptions = {},
): Promise<RowReader> {
  const named = (error: unknown): never => {
    throw isSoftgradError(error) ? new SoftgradError(error.code, `${label} ${error.message}`, { cause: error }) : error;
  };
  const reader = await openArray(file, context, table).catch(named);
  return { ...reader, next: (count) => reader.next(count).catch(named) };
}

/** The result of `softgrad run` in a folder, as one array; null if the argument does not name such a folder. */
async function openParts(argument: string): Promise<RowReader | null> {
  if (argument.startsWith('s3://')) return openStoredParts(argument);
  const [, folder = argument, entry] = /(.*):([a-z-]+)$/s.exec(argument) ?? [];
  for (const [path, name] of [
    [argument, undefined],
    [folder, entry],
  ] as const) {
    const manifest = await stat(join(path, 'manifest.json')).catch(() => null);
    if (!manifest?.isFile()) continue;
    const { folderStore, partsReader } = await import('@softgrad/distributed');
    return partsReader(folderStore(path), name);
  }
  return null;
}

/** `s3://BUCKET/FOLDER`, or `s3://BUCKET/FOLDER:name` for one array of several. */
async function openStoredParts(argument: string): Promise<RowReader> {
  const { openStore, partsReader } = await import('@softgrad/distributed');
  const [, place = argument, entry] = /(.*):([a-z-]+)$/s.exec(argument) ?? [];
  return partsReader(await openStore(place), entry);
}

/** Numbers separated by commas. No file has such a name, because none of the numbers is a known ending; a word alone is a name. */
function numbersIn(argument: string, booleans = false): Float64Array | null {
  const parts = argument.split(',').map((text) => text.trim());
  const number = (text: string): number | null => {
    if (booleans && /^(?:true|false)$/i.test(text)) return /^t/i.test(text) ? 1 : 0;
    if (parts.length > 1 && /^[-+]?(?:nan|inf|infinity)$/i.test(text))
      return /n$/i.test(text) ? Number.NaN : text.startsWith('-') ? -Infinity : Infinity;
    const value = decimal(text);
    return Number.isFinite(value) ? value : null;
  };
  const values = parts.flatMap((text) => number(text) ?? []);
  return values.length === parts.length ? Float64Array.from(values) : null;
}

/** An archive or a .json and the name of one of its arrays, which may contain slashes, as a model's parameters have them. */
const archiveMember = /(.*\.(?:npz|json|safetensors)):(.+)$/is;

/** Data from a pipe has no ending; a .npy is recognized by its first bytes. */
async function standardInputRows(bytes: Uint8Array, context: Context, table: TableOptions): Promise<RowReader> {
  const name = 'standard input';
  const isNpy = bytes[0] === 0x93 && Buffer.from(bytes.subarray(1, 6)).toString('latin1') === 'NUMPY';
  if (!isNpy) {
    const progress = startLateProgress(`reading ${name}`, 1, context, bytes.length);
    try {
      return await textRows(bytes, name, context.limits.memory, { ...table, onShare: progress.update });
    } finally {
      progress.stop();
    }
  }
  const read = async (position: number, length: number) => bytes.subarray(position, position + length);
  return npyRows(read, bytes.length, name);
}

/** Node reads at most this much in one call. */
const largestRead = 2 ** 31 - 1;

async function readBytes(path: string, size: number, memory: number): Promise<Uint8Array> {
  const most = Math.min(memory, largestRead);
  if (size <= most) return readFile(path);
  throw new SoftgradError(
    'ERR_OUT_OF_MEMORY',
    `${path}: ${formatBytes(size)} have to be read at once, but at most ${formatBytes(most)} can be; use .npy or .csv, which are read row by row`,
  );
}

async function openFile(path: string): Promise<FileHandle> {
  const failed = (cause: unknown): never => {
    throw new SoftgradError('ERR_VALUE', `${path || "''"}: ${reasonNotOpened(path, cause)}`, { cause });
  };
  // Before it is opened: opening a named pipe waits for a writer, and no signal but SIGKILL ends a process that waits for this.
  const found = await stat(path).catch(failed);
  if (found.isFile()) return open(path, 'r').catch(failed);
  const reason = found.isDirectory() ? await aboutFolder(path) : `not a regular file; ${expected}`;
  throw new SoftgradError('ERR_VALUE', `${path}: ${reason}`);
}

function reasonNotOpened(path: string, cause: unknown): string {
  if (/^file:\/\//i.test(path)) return `a URL, which is not read; expected the path of the file, ${path.slice(7)}`;
  if (/^[a-z]+:\/\//i.test(path))
    return `a URL, which is not read; download it, or pipe it, as in curl -s URL | softgrad softmax -; ${expected}`;
  if (codeOf(cause) !== 'ENOENT') return systemReason(cause);
  const reason = systemReason(cause) + adviceOnName(path);
  const numbers = withCommas(path);
  if (numbersIn(numbers))
    return `${reason}; expected numbers with commas alone between them, as in ${shortened(numbers)}`;
  const misspelled = misspelledNumber(path);
  if (misspelled !== null) return `${reason}; ${misspelled}`;
  return /^\s*\[.*\]\s*$/s.test(path)
    ? `${reason}; lists are read from standard input, as in echo '${shortened(path)}' | softgrad softmax -`
    : `${reason}; ${expected}`;
}

/** What is wrong with a number on the command line, if all that is between commas looks like numbers, or is missing. */
function misspelledNumber(argument: string): string | null {
  const parts = argument.split(',').map((text) => text.trim());
  const alike = parts.every((text) =>
    /^(?:[-+]?(?:\d[\d.]*|\.\d+)(?:[ex][-+]?[\da-f]+)?|[-+]?[a-z]{3,8}|)$/i.test(text),
  );
  const wrong = parts.find((text) => numbersIn(`0,${text}`) === null);
  if (!alike || wrong === undefined || !/\d/.test(argument)) return null;
  const found =
    wrong === '' ? 'a number is missing beside a comma' : `'${shortened(wrong)}' cannot be read as a number`;
  return `${found}; expected decimal numbers in the range of float64, nan, inf or -inf, with commas between them`;
}

/** Numbers between blanks or semicolons, or in the brackets of a list, as they are read from the command line. */
function withCommas(text: string): string {
  return text
    .replace(/^\s*\[([^[\]]*)\]\s*$/, '$1')
    .trim()
    .replace(/\s*[,;]\s*|\s+/g, ',');
}

/** What a folder is that does not have the results of a finished run. */
async function aboutFolder(path: string): Promise<string> {
  const plan = await stat(join(path, 'plan.json')).catch(() => null);
  return plan === null
    ? `is a directory; ${expected}, or the folder of a finished \`softgrad run\``
    : `the folder of a run that is not finished; softgrad run --resume ${path} continues it`;
}

/** The code of an error of the operating system or of node; empty for anything else. */
export function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : '';
}

/** The reason that the operating system gave, in words. */
export function systemReason(cause: unknown): string {
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'no such file or directory',
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EISDIR: 'is a directory',
    ENOTDIR: 'a part of the path is not a directory',
    ENOSPC: 'no space left on the device; free some, or write to another one',
    EDQUOT: 'the disk quota is used up; free some space, or write to another disk',
    EFBIG: 'larger than the file system, or the limit of this process (ulimit -f), allows',
    EIO: 'the disk reports an error',
    ENAMETOOLONG: 'the name is too long',
    ELOOP: 'symbolic links that lead back to themselves',
    EROFS: 'the file system is read-only',
  };
  const known = reasons[codeOf(cause)] ?? missingPermission(cause);
  return known ?? (cause instanceof Error ? cause.message : String(cause));
}

async function readAt(handle: FileHandle, path: string, position: number, length: number): Promise<Uint8Array> {
  const bytes = allocate(path, length);
  let filled = 0;
  while (filled < length) {
    const count = Math.min(length - filled, largestRead);
    const { bytesRead } = await handle.read(bytes, filled, count, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

function allocate(path: string, length: number): Uint8Array {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new SoftgradError('ERR_OUT_OF_MEMORY', `${path}: cannot hold ${formatBytes(length)} of it at once`, {
      cause,
    });
  }
}

async function readStandardInput(context: Context): Promise<Uint8Array> {
  const stdin = context.stdin();
  if (stdin.isTTY)
    context.stderr.write(
      'reading numbers (JSON, a table, or as NumPy prints them) from standard input; end with Ctrl-D\n',
    );
  const chunks: Uint8Array[] = [];
  for await (const chunk of stdin) chunks.push(chunk);
  return Buffer.concat(chunks);
}
