export {
  type FileArray,
  formatBytes,
  formatPosition,
  formatShape,
  type OwnBytes,
  sizeOf,
} from './array.js';
export { type CsvRecord, type CsvSource, csvLines, csvRows, type TableOptions } from './csv.js';
export { decodeText, encodingOf, type TextEncoding } from './decode.js';
export { csvParseOptions, type Delimiter, delimiterSample, detectDelimiter } from './delimiter.js';
export { adviceOnName } from './file-name.js';
export { halfToNumber, numberToHalf } from './half.js';
export { type JsonOptions, parseJson } from './json.js';
export { jsonRows } from './json-text.js';
export { type NpyArray, type NpyDescr, npyArray, npyElements, npyHeader, npyRows } from './npy.js';
export { npzBytes, npzRows } from './npz.js';
export { type FileSource, knownEndings, type OpenOptions, openRows } from './open.js';
export { isPrinted } from './printed.js';
export { quote } from './quote.js';
export type { ReadAt, ReadInto } from './read-at.js';
export { type CsvCounts, recordLines } from './record-lines.js';
export { arrayRows, type OnShare, placeOf, type RowReader, readAll } from './row-reader.js';
export { safetensorsRows } from './safetensors.js';
export { parseText, textRows } from './text.js';
