import { SoftgradError } from '@softgrad/core';
import { parseJson } from './json.js';
import { npyRows } from './npy.js';
import { npzRows } from './npz.js';
import type { ReadAt } from './read-at.js';
import { arrayRows, type RowReader } from './row-reader.js';
import { parseText } from './text.js';

/** A file, wherever it is: on disk, or chosen in a page. */
export interface FileSource {
  /** The path or name, whose ending tells the format; error messages call the file so. */
  readonly name: string;
  readonly byteLength: number;
  readonly read: ReadAt;
  /** All bytes. @throws ERR_OUT_OF_MEMORY where they are too many to be held */
  whole(): Promise<Uint8Array>;
  /** The rows of a table, whose cells are cut where the file is: `preferred` separates them unless the file says otherwise. */
  table(preferred: ',' | '\t'): Promise<RowReader>;
  /** Ends reading by `read`. */
  close(): Promise<void>;
}

export interface OpenOptions {
  /** The array of a .npz; default: the only one. */
  readonly entry?: string | undefined;
  /** Most bytes that may be held at once. */
  readonly memory: number;
  /** What the caller takes besides, for the message about an unknown ending. */
  readonly besides?: string | undefined;
}

/** The endings that are known, for messages. */
export const knownEndings = '.npy, .npz, .json, .csv, .tsv, .txt';

/**
 * Opens the array in a file, in the format that the ending of its name tells, whatever its case. Closing the reader, or failing, closes
 * the source.
 *
 * @throws ERR_VALUE for an ending that tells no format, and whatever reading the format throws
 */
export async function openRows(source: FileSource, { entry, memory, besides }: OpenOptions): Promise<RowReader> {
  const { name, byteLength } = source;
  const ending = /[^/\\](\.[^./\\]*)$/.exec(name)?.[1].toLowerCase() ?? '';
  try {
    if (ending === '.npy') {
      const rows = await npyRows(source.read, byteLength, name);
      return { ...rows, close: () => source.close() };
    }
    const rows = await openWhole(source, ending, entry ?? null, memory);
    await source.close();
    if (rows) return rows;
  } catch (error) {
    await source.close();
    throw error;
  }
  const found = ending === '' ? 'a name without an ending' : `the ending ${ending}`;
  const expected = besides === undefined ? knownEndings : `${knownEndings}, ${besides}`;
  throw new SoftgradError('ERR_VALUE', `${name}: ${found} tells no format; expected ${expected}`);
}

/** null where the ending tells no format. */
async function openWhole(
  source: FileSource,
  ending: string,
  entry: string | null,
  memory: number,
): Promise<RowReader | null> {
  const { name } = source;
  switch (ending) {
    case '.csv':
      return source.table(',');
    case '.tsv':
      return source.table('\t');
    case '.json':
      return arrayRows(parseJson(await source.whole(), name), name);
    case '.txt':
      return arrayRows(await parseText(await source.whole(), name, memory), name);
    case '.npz':
      return npzRows(await source.whole(), entry, memory, name);
    default:
      return null;
  }
}
