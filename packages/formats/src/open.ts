import { checkOptions, namesOf, SoftgradError } from '@softgrad/core';
import { type TableOptions, tableNames } from './csv.js';
import { parseJson } from './json.js';
import { npyRows } from './npy.js';
import { npzRows } from './npz.js';
import type { ReadAt } from './read-at.js';
import { arrayRows, type OnShare, type RowReader } from './row-reader.js';
import { safetensorsRows } from './safetensors.js';
import { textRows } from './text.js';

/** A file on disk, or one chosen in a web page. */
export interface FileSource {
  /** The path or name, whose ending determines the format; error messages use it. */
  readonly name: string;
  readonly byteLength: number;
  readonly read: ReadAt;
  /** All bytes. @throws ERR_OUT_OF_MEMORY if they do not fit into memory */
  whole(): Promise<Uint8Array>;
  /** The rows of a table, read by a parser; `preferred` is the delimiter unless the file has another one. */
  table(preferred: ',' | '\t', options: TableOptions): Promise<RowReader>;
  /** Ends reading by `read`. */
  close(): Promise<void>;
}

/** What is read of a file, and how. */
export interface OpenOptions extends TableOptions {
  /** The name of the array in a .npz, .safetensors or .json file; default: the only one. */
  readonly entry?: string | undefined;
  /** The largest number of bytes that an array of a .npz or .txt file may take: `limit` of `npzRows` and `textRows`. */
  readonly memory: number;
  /** Other inputs that the caller accepts, for the message about an unknown ending. */
  readonly besides?: string | undefined;
  /** Is called for files that are read whole: .json, .txt and .npz. */
  readonly onShare?: OnShare | undefined;
}

const optionNames = namesOf<OpenOptions>({ ...tableNames, entry: true, memory: true, besides: true, onShare: true });

/** The known endings, for messages. */
export const knownEndings = '.npy, .npz, .safetensors, .json, .csv, .tsv, .txt';

/**
 * Opens the array in a file. The ending of its name, in upper or lower case, determines the format. The source is closed when the reader is
 * closed or fails.
 *
 * @throws ERR_VALUE for an unknown ending or option, and whatever reading the format throws
 * @example
 * const bytes = new TextEncoder().encode('[[1, 2], [3, 4]]');
 * const reader = await openRows(
 *   {
 *     name: 'logits.json',
 *     byteLength: bytes.length,
 *     read: async (position, length) => bytes.slice(position, position + length),
 *     whole: async () => bytes,
 *     table: (_, options) => textRows(bytes, 'logits.csv', 1e9, options),
 *     async close() {},
 *   },
 *   { memory: 1e9 },
 * );
 * reader.shape; // [2, 2]
 */
export async function openRows(source: FileSource, options: OpenOptions): Promise<RowReader> {
  const { name, byteLength } = source;
  const { entry = null, besides } = options;
  const ending = /[^/\\](\.[^./\\]*)$/.exec(name)?.[1]?.toLowerCase() ?? '';
  try {
    checkOptions('openRows', options, optionNames);
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
  const compressed = compressions[ending];
  if (compressed !== undefined) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${name}: compressed; expected its content on standard input, as in ${compressed} -c FILE | softgrad softmax -`,
    );
  }
  const found = ending === '' ? 'the name has no ending' : `unknown ending ${ending}`;
  const expected = besides === undefined ? knownEndings : `${knownEndings}, ${besides}`;
  throw new SoftgradError('ERR_VALUE', `${name}: ${found}; expected ${expected}`);
}

/** Commands that unpack compressed files, by ending. */
const compressions: Readonly<Record<string, string>> = {
  '.gz': 'gunzip',
  '.bz2': 'bunzip2',
  '.zst': 'unzstd',
  '.xz': 'unxz',
};

/** null if the ending has no known format. */
async function openWhole(
  source: FileSource,
  ending: string,
  { entry, memory, header, headerAdvice, booleans, onShare }: OpenOptions,
): Promise<RowReader | null> {
  const { name } = source;
  const table = { header, headerAdvice, booleans };
  switch (ending) {
    case '.csv':
      return source.table(',', table);
    case '.tsv':
      return source.table('\t', table);
    case '.json':
      return arrayRows(parseJson(await source.whole(), name, { entry, onShare }), name);
    case '.txt':
      return textRows(await source.whole(), name, memory, { ...table, onShare });
    case '.npz':
      return npzRows(await source.whole(), entry ?? null, memory, name, onShare);
    default:
      return null;
  }
}
