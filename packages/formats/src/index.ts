export { type FileArray, formatBytes, formatPosition, formatShape, sizeOf } from './array.js';
export { type CsvRecord, type CsvSource, csvLines, csvRows } from './csv.js';
export { halfToNumber, numberToHalf } from './half.js';
export { jsonRows, parseJson } from './json.js';
export { type NpyDescr, npyElements, npyHeader, npyRows, type ReadAt } from './npy.js';
export { npzBytes, npzRows } from './npz.js';
export { quote } from './quote.js';
export { arrayRows, type RowReader, readAll } from './rows.js';
