import { SoftgradError } from '@softgrad/core';
import { formatShape, sizeOf } from './array.js';
import { quote } from './quote.js';
import type { ReadAt } from './read-at.js';
import { type Element, mostEmpty, type StoredArray } from './stored.js';

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** NumPy itself refuses headers longer than 10,000 bytes; headers of arrays of numbers are much shorter. */
const longestHeader = 65_536;
/** The magic bytes, the version and the length of the header. */
const shortest = 10;
const highestRank = 64;

/** Reads a header and checks it against the length of the file, so that no memory is allocated for data that is not there. */
export async function parseHeader(read: ReadAt, byteLength: number, name: string): Promise<StoredArray> {
  const fail = (what: string): never => {
    throw new SoftgradError('ERR_VALUE', `${name}: ${what}`);
  };
  const start = await read(0, 12);
  const isNpy = magic.every((byte, i) => start[i] === byte);
  if (isNpy && start.length < shortest) {
    fail(`truncated: the file has ${start.length} bytes; expected at least ${shortest} before its header`);
  }
  if (!isNpy) {
    fail(
      `not a .npy file: expected it to start with the bytes 93 4E 55 4D 50 59, found ${start.length === 0 ? 'nothing' : hex(start.subarray(0, 6))}`,
    );
  }
  const [version = 0, minor = 0] = start.subarray(6);
  if (version < 1 || version > 3 || minor !== 0) {
    fail(`.npy format version ${version}.${minor} at byte 6; expected 1.0, 2.0 or 3.0`);
  }
  const lengthBytes = version === 1 ? 2 : 4;
  const headerStart = 8 + lengthBytes;
  let headerLength = 0;
  for (let i = 0; i < lengthBytes; i++) headerLength += (start[8 + i] ?? 0) * 256 ** i;
  if (headerStart + headerLength > byteLength) {
    fail(`truncated: the header should take ${headerLength} bytes, but the whole file has ${byteLength}`);
  }
  if (headerLength > longestHeader) {
    fail(`the header has ${headerLength} bytes; expected at most ${longestHeader}`);
  }
  const text = new TextDecoder(version === 3 ? 'utf-8' : 'latin1').decode(await read(headerStart, headerLength));
  const { descr, fortranOrder, shape } = parseDict(text, name, fail);
  const element = parseDescr(descr, name);
  const dataOffset = headerStart + headerLength;
  const promised = sizeOf(shape) * element.bytes;
  const present = byteLength - dataOffset;
  if (promised > present) {
    fail(
      `truncated: shape ${formatShape(shape)} of ${descr} takes ${promised} bytes, but ${present} follow the header at byte ${dataOffset}`,
    );
  }
  if (promised < present) {
    fail(
      `${present - promised} bytes too many after the ${promised} that shape ${formatShape(shape)} of ${descr} takes; expected one array and nothing else`,
    );
  }
  return { shape, fortranOrder, element, dataOffset };
}

const entry = /\s*'(descr|fortran_order|shape)'\s*:\s*(?:'([^'\\]*)'|(True|False)|\(([^()]*)\))\s*(?:,|(?=\}))/y;

/** Reads the three entries of the header's Python dict. Any other expression is an error; nothing is evaluated. */
function parseDict(text: string, name: string, fail: (what: string) => never) {
  const trimmed = text.replace(/[\s\0]+$/, '');
  const field = /'descr'\s*:\s*\[\s*(?:\(\s*'([^'\\]*)')?/.exec(trimmed);
  if (field) refuseDtype(`a record with named fields (save one field${example(field[1])})`, name);
  if (!trimmed.startsWith('{')) fail(`the header is not a dict: ${quote(trimmed)}`);
  const found = new Map<string, RegExpExecArray>();
  let end = 1;
  entry.lastIndex = end;
  for (let match = entry.exec(trimmed); match; match = entry.exec(trimmed)) {
    const [, key = ''] = match;
    if (found.has(key)) fail(`the header has '${key}' twice`);
    found.set(key, match);
    end = entry.lastIndex;
  }
  if (!/^\s*\}$/.test(trimmed.slice(end))) {
    fail(
      `cannot read the header from character ${end}: ${quote(trimmed.slice(end))}; expected a dict like {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}`,
    );
  }
  const get = (key: string) => found.get(key) ?? fail(`the header lacks '${key}'`);
  const descr = get('descr')[2] ?? fail("'descr' is not a string");
  const order = get('fortran_order')[3] ?? fail("'fortran_order' is neither True nor False");
  const tuple = get('shape')[4] ?? fail("'shape' is not a tuple of integers");
  return { descr, fortranOrder: order === 'True', shape: parseShape(tuple, fail) };
}

/** An example of saving a field of a record as an array. */
function example(field: string | undefined): string {
  return field === undefined ? '' : `, as in np.save('field.npy', a[${quote(field)}])`;
}

function parseShape(tuple: string, fail: (what: string) => never): number[] {
  const shown = quote(`(${tuple})`);
  const parts = tuple.split(',').map((part) => part.trim());
  // (3,) ends in a comma; (3) is not a tuple in Python.
  if (parts.length === 1 && parts[0] !== '') fail(`'shape' is ${shown}, not a tuple`);
  if (parts.at(-1) === '') parts.pop();
  if (parts.length > highestRank) fail(`${parts.length} dimensions; expected at most ${highestRank}`);
  const shape = parts.map((part, axis) => {
    // Python 2 wrote 3L for an integer.
    if (!/^\d+L?$/.test(part))
      fail(`dimension ${axis} of shape ${shown} is ${quote(part)}; expected an integer of 0 or more`);
    return Number.parseInt(part, 10);
  });
  // Also if another dimension is 0: the product of the others is checked.
  if (!Number.isSafeInteger(sizeOf(shape.filter((length) => length > 0)) * 16)) {
    fail(`shape ${shown} has more elements than a file can hold`);
  }
  // Such a header is cheap to write, but writing as many empty rows would never end.
  const longest = Math.max(0, ...shape);
  if (shape.includes(0) && longest > mostEmpty) {
    fail(`shape ${shown} has no elements, but a dimension of ${longest}; expected at most ${mostEmpty}`);
  }
  return shape;
}

function parseDescr(descr: string, name: string): Element {
  const match = /^(?:([<>])(f[248]|[iu][248])|[<>|](b1|[iu]1))$/.exec(descr);
  if (!match) return refuseDtype(`${quote(descr)}, ${meaning(descr)}`, name);
  const code = (match[2] ?? match[3]) as Element['code'];
  return { code, bytes: Number(code[1]), littleEndian: match[1] !== '>' };
}

function refuseDtype(what: string, name: string): never {
  throw new SoftgradError('ERR_DTYPE', `${name}: the dtype is ${what}; expected f2, f4, f8, integers or bool`);
}

function meaning(descr: string): string {
  const kind = descr.replace(/^[<>|=]/, '')[0];
  if (kind === 'O') return 'Python objects (pickle), which are never loaded (save a.astype(float))';
  if (kind === 'c') return 'complex numbers (save the real part)';
  if (kind === 'U' || kind === 'S') return 'text';
  if (kind === 'M' || kind === 'm') return 'dates or times';
  if (/^[<>|]V2$/.test(descr))
    return "bytes without a meaning, which is how NumPy stores bfloat16 (save a.astype('f4'))";
  if (kind === 'V')
    return "bytes without a meaning, which is how NumPy stores float8 and records (save a.astype('f4'), or one field)";
  if (kind === 'f') return "a float of a width that is not read here (save a.astype('f8'))";
  return 'no number format that is read here';
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join(' ');
}
