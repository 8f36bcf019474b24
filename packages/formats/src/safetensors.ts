import { SoftgradError } from '@softgrad/core';
import { formatShape, sizeOf } from './array.js';
import { refuseRepeatedNames } from './json-syntax.js';
import { quote } from './quote.js';
import type { ReadAt } from './read-at.js';
import type { RowReader } from './row-reader.js';
import { type Element, mostEmpty, storedRows } from './stored.js';

/** The format's own limit. */
const longestHeader = 100_000_000;
/** How many names a message lists. */
const shownNames = 8;

const codes: Readonly<Record<string, Element['code']>> = {
  BF16: 'bf',
  F16: 'f2',
  F32: 'f4',
  F64: 'f8',
  BOOL: 'b1',
  I8: 'i1',
  U8: 'u1',
  I16: 'i2',
  U16: 'u2',
  I32: 'i4',
  U32: 'u4',
  I64: 'i8',
  U64: 'u8',
};

/**
 * Reads one tensor of a .safetensors file, whole or row by row: the named one, or the only one. bfloat16 is read as the Float32Array of its
 * values, like float16.
 *
 * Format: https://github.com/huggingface/safetensors#format
 *
 * @param byteLength of the file
 * @param entry the name of the tensor; null for the only one
 * @param name of the file, for messages
 * @throws ERR_VALUE for a file that is not a valid .safetensors file, if there is no such tensor, or if there are several and no name is given; `next`
 *   throws it for an integer that float64 cannot represent
 * @throws ERR_DTYPE for a dtype other than BF16, F16, F32, F64, BOOL and integers of 8 to 64 bits
 * @example
 * const header = new TextEncoder().encode('{"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}');
 * const file = new Uint8Array([header.length, 0, 0, 0, 0, 0, 0, 0, ...header, ...npyElements(Float32Array.of(1, 2), '<f4')]);
 * const reader = await safetensorsRows(async (at, length) => file.slice(at, at + length), file.length, 'x', 'model.safetensors');
 * (await reader.next(2))?.data; // [1, 2]
 */
export async function safetensorsRows(
  read: ReadAt,
  byteLength: number,
  entry: string | null,
  name: string,
): Promise<RowReader> {
  const { tensors, dataOffset } = await readHeader(read, byteLength, name);
  const names = Object.keys(tensors).filter((key) => key !== '__metadata__');
  const chosen = entry ?? onlyOf(names, name);
  if (!names.includes(chosen)) {
    throw new SoftgradError('ERR_VALUE', `${name}: has no tensor ${quote(chosen)}; it holds ${listOf(names)}`);
  }
  const label = entry === null ? name : `${name}:${entry}`;
  const { dtype, shape, begin, end } = parseTensor(tensors[chosen], label);
  const code = Object.hasOwn(codes, dtype) ? codes[dtype] : undefined;
  if (code === undefined) {
    const known = Object.keys(codes).join(', ');
    throw new SoftgradError('ERR_DTYPE', `${label}: the dtype is ${quote(dtype)}; expected ${known}`);
  }
  const bytes = code === 'bf' ? 2 : Number(code[1]);
  const takes = sizeOf(shape) * bytes;
  if (end - begin !== takes || dataOffset + end > byteLength) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${label}: bytes ${begin} to ${end} of ${byteLength - dataOffset}; expected the ${takes} that shape ${formatShape(shape)} of ${dtype} takes`,
    );
  }
  checkCoverage(tensors, names, byteLength - dataOffset, name);
  if (takes === 0 && Math.max(0, ...shape) > mostEmpty) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${label}: shape ${formatShape(shape)} has no elements; expected dimensions of at most ${mostEmpty}`,
    );
  }
  const array = {
    shape,
    fortranOrder: false,
    element: { code, bytes, littleEndian: true },
    dataOffset: dataOffset + begin,
  };
  return storedRows(read, array, byteLength, label);
}

type Header = Readonly<Record<string, unknown>>;

async function readHeader(read: ReadAt, byteLength: number, name: string) {
  const refuse = (what: string): never => {
    throw new SoftgradError('ERR_VALUE', `${name}: not a .safetensors file: ${what}`);
  };
  const start = await read(0, 8);
  if (start.length < 8) refuse(`${start.length} bytes; expected at least 8`);
  const length = Number(new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true));
  if (length > Math.min(longestHeader, byteLength - 8)) {
    refuse(`its header should take ${length} bytes, but ${byteLength - 8} follow; expected at most ${longestHeader}`);
  }
  const text = new TextDecoder().decode(await read(8, length));
  let tensors: unknown;
  try {
    tensors = JSON.parse(text);
  } catch {
    refuse(`its header is not JSON: ${quote(text)}`);
  }
  if (!isObject(tensors)) return refuse(`its header is ${quote(text)}; expected an object`);
  refuseRepeatedNames(text, name);
  return { tensors, dataOffset: 8 + length };
}

function isObject(value: unknown): value is Header {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseTensor(entry: unknown, label: string) {
  const { dtype, shape, data_offsets: offsets } = isObject(entry) ? entry : {};
  const [begin = 0, end, ...more] = isCounts(offsets) ? offsets : [];
  if (typeof dtype !== 'string' || !isCounts(shape) || end === undefined || more.length > 0) {
    throw new SoftgradError(
      'ERR_VALUE',
      `${label}: its entry in the header is ${quote(JSON.stringify(entry))}; expected dtype, shape and data_offsets`,
    );
  }
  return { dtype, shape, begin, end };
}

/** The format has tensors one after another. */
function checkCoverage(tensors: Header, names: readonly string[], dataBytes: number, name: string): void {
  const spans = names.map((key) => parseTensor(tensors[key], `${name}:${key}`));
  spans.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const { begin, end } of [...spans, { begin: dataBytes, end: dataBytes }]) {
    if (begin !== covered) {
      const span = `bytes ${Math.min(begin, covered)} to ${Math.max(begin, covered)} of ${dataBytes}`;
      const fault =
        begin > covered ? 'belong to no tensor' : begin < dataBytes ? 'belong to two tensors' : 'are missing';
      throw new SoftgradError(
        'ERR_VALUE',
        `${name}: ${span} ${fault}; expected tensors one after another, each name once`,
      );
    }
    covered = end;
  }
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && count >= 0);
}

function onlyOf(names: readonly string[], name: string): string {
  const [first, ...others] = names;
  if (first === undefined) throw new SoftgradError('ERR_VALUE', `${name}: holds no tensor; expected at least one`);
  if (others.length === 0) return first;
  throw new SoftgradError(
    'ERR_VALUE',
    `${name}: holds ${names.length} tensors (${listOf(names)}); choose one, as in ${name}:${first}`,
  );
}

function listOf(names: readonly string[]): string {
  const listed = names.slice(0, shownNames).map((name) => quote(name));
  const more = names.length - listed.length;
  return `${listed.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
