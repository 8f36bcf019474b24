import { SoftgradError } from '@softgrad/core';
import type { TableOptions } from './csv.js';
import { parseJson } from './json.js';
import { npyRows } from './npy.js';
import { npzRows } from './npz.js';
import type { ReadAt } from './read-at.js';
import { arrayRows, type RowReader } from './row-reader.js';
import { safetensorsRows } from './safetensors.js';
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
  table(preferred: ',' | '\t', options: TableOptions): Promise<RowReader>;
  /** Ends reading by `read`. */
  close(): Promise<void>;
}

export interface OpenOptions extends TableOptions {
  /** The array of a .npz or .safetensors; default: the only one. */
  readonly entry?: string | undefined;
  /** Most bytes that may be held at once. */
  readonly memory: number;
  /** What the caller takes besides, for the message about an unknown ending. */
  readonly besides?: string | undefined;
}

/** The endings that are known, for messages. */
export const knownEndings = '.npy, .npz, .safetensors, .json, .csv, .tsv, .txt';

/**
 * Opens the array in a file, in the format that the ending of its name tells, whatever its case. Closing the reader, or failing, closes
 * the source.
 *
 * @throws ERR_VALUE for an ending that tells no format, and whatever reading the format throws
 */
export async function openRows(source: FileSource, options: OpenOptions): Promise<RowReader> {
  const { name, byteLength } = source;
  const { entry = null, besides } = options;
  const ending = /[^/\\](\.[^./\\]*)$/.exec(name)?.[1]?.toLowerCase() ?? '';
  try {
    if (ending === '.npy' || ending === '.safetensors') {
      const rows =
        ending === '.npy'
          ? await npyRows(source.read, byteLength, name)
          : await safetensorsRows(source.read, byteLength, entry, name);
      return { ...rows, close: () => source.close() };
    }
    const rows = await openWhole(source, ending, options);
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
  { entry, memory, header, headerAdvice }: OpenOptions,
): Promise<RowReader | null> {
  const { name } = source;
  const table = { header, headerAdvice };
  switch (ending) {
    case '.csv':
      return source.table(',', table);
    case '.tsv':
      return source.table('\t', table);
    case '.json':
      return arrayRows(parseJson(await source.whole(), name), name);
    case '.txt':
      return arrayRows(await parseText(await source.whole(), name, memory, table), name);
    case '.npz':
      return npzRows(await source.whole(), entry ?? null, memory, name);
    default:
      return null;
  }
}
