import { isSoftgradError } from '@softgrad/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type FileArray,
  halfToNumber,
  npyArray,
  npyElements,
  npyHeader,
  npyRows,
  numberToHalf,
  sizeOf,
} from '../src/index.js';
import { type FixtureFile, numpyFiles, plain } from './numpy-files.js';

const { npy } = numpyFiles;

function open(bytes: Uint8Array, name = 'x.npy') {
  return npyRows(async (position, length) => bytes.subarray(position, position + length), bytes.length, name);
}

async function readWhole(bytes: Uint8Array): Promise<FileArray> {
  const array = await (await open(bytes)).next(Number.MAX_SAFE_INTEGER);
  if (array === null) throw new Error('no chunk');
  return array;
}

test.each([
  ['whole in C order', 'False', 3, '0 to 11 take 48 bytes, but only 44'],
  ['row by row in C order', 'False', 1, '8 to 11 take 16 bytes, but only 12'],
  ['whole in Fortran order', 'True', 3, '0 to 11 take 48 bytes, but only 44'],
  ['row by row in Fortran order', 'True', 1, '11 to 11 take 4 bytes, but only 0'],
])(
  'a file that becomes shorter while it is read is an error, never other numbers: %s',
  async (_, fortran, count, take) => {
    const header = Buffer.from(npyHeader('<f4', [3, 4]))
      .toString('latin1')
      .replace("'fortran_order': False", `'fortran_order': ${fortran.padEnd(5)}`);
    const bytes = Buffer.concat([Buffer.from(header, 'latin1'), npyElements(new Float32Array(12).fill(1), '<f4')]);
    const read = async (position: number, length: number) =>
      bytes.subarray(position, Math.min(position + length, bytes.length - 4));
    const reader = await npyRows(read, bytes.length, 'x.npy');
    const rows: number[] = [];
    const readOn = async () => {
      for (let chunk = await reader.next(count); chunk; chunk = await reader.next(count))
        rows.push(chunk.shape[0] ?? 0);
    };
    await expect(readOn()).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: `x.npy: truncated: elements ${take} could be read`,
    });
    // The rows before are there.
    expect(rows).toEqual(count === 3 ? [] : [1, 1]);
  },
);

describe('files written by NumPy', () => {
  test.each(Object.entries(npy))('%s', async (_, { shape, values, bytes }) => {
    const array = await readWhole(bytes);
    expect(array.shape).toEqual(shape);
    expect(plain(array)).toEqual(values);
  });

  test.each(Object.entries(npy).filter(([, { shape }]) => shape.length > 1))('%s, row by row', async (_, file) => {
    const reader = await open(file.bytes);
    const values: unknown[] = [];
    for (let rows = await reader.next(1); rows; rows = await reader.next(1)) values.push(...plain(rows));
    expect(values).toEqual(file.values);
  });

  test('equal the files written here, byte for byte', () => {
    const written = (descr: Parameters<typeof npyHeader>[0], { shape, values }: FixtureFile) => {
      const data = Float64Array.from(values, Number);
      const typed = descr === '<f8' ? data : descr === '<i4' ? Int32Array.from(data) : Float32Array.from(data);
      return Buffer.concat([npyHeader(descr, shape), npyElements(typed, descr)]);
    };
    for (const [name, descr] of [
      ['<f4 C', '<f4'],
      ['<f8 C', '<f8'],
      ['<i4 C', '<i4'],
      ['version 1', '<f8'],
      ['a scalar', '<f8'],
      ['one dimension', '<f8'],
      ['no rows', '<f8'],
    ] as const) {
      expect(written(descr, npy[name]).toString('latin1'), name).toBe(Buffer.from(npy[name].bytes).toString('latin1'));
    }
  });
});

test('any chunk size gives the same array as reading at once, in C and in Fortran order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 6 }),
      async (shape, fortran, count) => {
        const data = Float64Array.from({ length: sizeOf(shape) }, (_, k) => k);
        const header = Buffer.from(npyHeader('<f8', shape).map((byte) => byte)).toString('latin1');
        const text = fortran ? header.replace("'fortran_order': False", "'fortran_order': True ") : header;
        const bytes = Buffer.concat([Buffer.from(text, 'latin1'), npyElements(data, '<f8')]);
        const whole = await readWhole(bytes);
        const reader = await open(bytes);
        const chunks: number[] = [];
        let rows = 0;
        for (let chunk = await reader.next(count); chunk; chunk = await reader.next(count)) {
          chunks.push(...chunk.data);
          rows += chunk.shape[0];
        }
        expect(rows).toBe(shape[0]);
        expect(chunks).toEqual([...whole.data]);
        // Fortran order of the same numbers: place (i, j, …) holds i + n0 (j + n1 (…)).
        const last = shape.map((length) => length - 1);
        if (fortran && sizeOf(shape) > 0) {
          expect(whole.data[0]).toBe(0);
          expect(whole.data.at(-1)).toBe(last.reduceRight((k, index, axis) => k * shape[axis] + index, 0));
          if (shape.length > 1 && shape.at(-1) !== 1) expect(whole.data[1]).toBe(sizeOf(shape.slice(0, -1)));
        }
      },
    ),
  );
});

test('a reader has the name, shape and length of its file, and how much of it has been read', async () => {
  const { bytes } = npy['version 1'];
  const reader = await open(bytes, 'a.npy');
  expect([reader.name, reader.shape, reader.byteLength]).toEqual(['a.npy', [2, 3, 4], bytes.length]);
  expect(reader.position()).toBe(128);
  await reader.next(1);
  expect(reader.position()).toBe(128 + 96);
  await reader.next(9);
  expect(reader.position()).toBe(bytes.length);
  expect(await reader.next(1)).toBeNull();
  const empty = await open(npy['no rows'].bytes);
  expect(await empty.next(5)).toEqual({ shape: [0, 3], data: new Float64Array(0) });
  expect(await empty.next(5)).toBeNull();
});

test('a file in Fortran order is read at once if all of it is requested, otherwise in one piece for each column', async () => {
  const reads: [number, number][] = [];
  const { bytes } = npy['<f8 F'];
  const opened = () =>
    npyRows(
      async (position, length) => {
        reads.push([position, length]);
        return bytes.subarray(position, position + length);
      },
      bytes.length,
      'x.npy',
    );
  const whole = await opened();
  reads.length = 0;
  await whole.next(2);
  expect(reads).toEqual([[128, 48]]);
  const parts = await opened();
  reads.length = 0;
  await parts.next(1);
  await parts.next(1);
  const row = (first: number) => [0, 1, 2].map((column) => [first + column * 16, 8]);
  expect(reads).toEqual([...row(128), ...row(136)]);
});

test('the length of a header does not depend on the number of rows, and data begins at a multiple of 64', () => {
  for (let extra = 0; extra < 40; extra++) {
    const rest = [10 ** (extra % 8), 10 ** (extra % 5)].slice(0, extra % 3).concat(new Array(extra >> 2).fill(1));
    const [one, ...others] = [1, 10, 10 ** 9, 10 ** 15].map((rows) => npyHeader('<f8', [rows, ...rest]));
    expect(one.length % 64).toBe(0);
    for (const header of others) expect(header.length).toBe(one.length);
    // NumPy leaves room for 21 digits, and fills up to the next multiple of 64.
    const dict = `{'descr': '<f8', 'fortran_order': False, 'shape': (1${rest.map((n) => `, ${n}`).join('') || ','}), }`;
    expect(one.length).toBe(Math.ceil((10 + dict.length + 20 + 1) / 64) * 64);
  }
});

describe('half precision', () => {
  /** Checks many at a time: an assertion for each would take longer than all of them. */
  function expectHalves(pairs: readonly (readonly [value: number, bits: number])[]): void {
    expect(pairs.filter(([value, bits]) => numberToHalf(value) !== bits)).toEqual([]);
  }

  test('is stated of each chunk that is read, and no other dtype is', async () => {
    for (const [dtype, stored] of [
      ['<f2', 'float16'],
      ['<f4', undefined],
      ['<f8', undefined],
    ] as const) {
      const bytes = Buffer.concat([
        npyHeader(dtype, [2, 1]),
        npyElements(dtype === '<f4' ? Float32Array.of(1, 2) : Float64Array.of(1, 2), dtype),
      ]);
      const reader = await open(bytes);
      for (let row = 0; row < 2; row++) expect((await reader.next(1))?.stored, dtype).toBe(stored);
    }
  });

  test('every one of the 65536 bit patterns is read and written back', () => {
    const all = Array.from({ length: 65536 }, (_, bits) => [halfToNumber(bits), bits] as const);
    expectHalves(all.map(([value, bits]) => [value, Number.isNaN(value) ? 0x7e00 : bits]));
    expect([0x0001, 0x0400, 0x3c00, 0xc000, 0x7bff, 0x7c00, 0xfc00, 0x7c01].map(halfToNumber)).toEqual([
      2 ** -24,
      2 ** -14,
      1,
      -2,
      65504,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      Number.NaN,
    ]);
  });

  test('rounds each float64 to the nearest, ties to even: midway between any two neighbours and one float64 to either side', () => {
    const bits = new BigInt64Array(1);
    const double = new Float64Array(bits.buffer);
    const neighbour = (value: number, step: bigint) => {
      double[0] = value;
      bits[0] += step;
      return double[0];
    };
    // Of each binade the first, the last, and some between, even and odd.
    const fractions = [0, 1, 2, 3, 101, 255, 256, 511, 512, 682, 1022, 1023];
    const lowers = Array.from({ length: 31 }, (_, exponent) =>
      fractions.map((fraction) => (exponent << 10) | fraction),
    );
    const pairs: [number, number][] = [];
    for (const lower of lowers.flat()) {
      // The number that would follow the largest stands for infinity.
      const upper = lower + 1;
      const middle = (halfToNumber(lower) + (upper === 0x7c00 ? 65536 : halfToNumber(upper))) / 2;
      for (const [sign, bit] of [
        [1, 0],
        [-1, 0x8000],
      ] as const) {
        pairs.push([sign * neighbour(middle, -1n), lower | bit]);
        pairs.push([sign * middle, (lower % 2 === 0 ? lower : upper) | bit]);
        pairs.push([sign * neighbour(middle, 1n), upper | bit]);
      }
    }
    expectHalves(pairs);
  });

  test('is not rounded to float32 on the way, which would make a tie of what is none', () => {
    expect(Math.fround(2049.0000001)).toBe(2049);
    expect(halfToNumber(numberToHalf(2049.0000001))).toBe(2050);
    expect(halfToNumber(numberToHalf(2049))).toBe(2048);
  });
});

/** A file of version 1 with this header text and this many bytes of data. */
function file(header: string, dataBytes = 0): Uint8Array {
  const text = Buffer.from(`${header}\n`, 'latin1');
  const start = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8];
  return Buffer.concat([Buffer.from(start), text, Buffer.alloc(dataBytes)]);
}

function withShape(shape: string, dataBytes = 0) {
  return file(`{'descr': '<f8', 'fortran_order': False, 'shape': ${shape}, }`, dataBytes);
}

function withDescr(descr: string) {
  return file(`{'descr': ${descr}, 'fortran_order': False, 'shape': (1,), }`, 8);
}

describe('invalid arrays are errors that say where and why', () => {
  const good = npy['version 1'].bytes;
  const huge = Buffer.from(npy['version 2'].bytes);
  huge.writeUInt32LE(0xffffffff, 8);
  const long = Buffer.alloc(80_000, 0x20);
  Buffer.from(npy['version 2'].bytes).copy(long);
  long.writeUInt32LE(65_537, 8);
  const changed = (position: number, byte: number) => {
    const bytes = Buffer.from(good);
    bytes[position] = byte;
    return bytes;
  };

  test.each<[string, Uint8Array, RegExp]>([
    ['nothing', Buffer.alloc(0), /^x\.npy: not a \.npy file: .* found nothing$/],
    ['another format', Buffer.from('[[1, 2], [3, 4]]'), /not a \.npy file: expected .*93 4E .* found 5B 5B/],
    ['a byte of its first that is another', changed(5, 0x5a), /not a \.npy file: .* found 93 4E 55 4D 50 5A$/],
    ['another version', changed(6, 4), /\.npy format version 4\.0 at byte 6; expected 1\.0, 2\.0 or 3\.0$/],
    ['version 0', changed(6, 0), /format version 0\.0/],
    ['a minor version', changed(7, 1), /format version 1\.1/],
    ['a header longer than the file', huge, /truncated: the header should take 4294967295 bytes/],
    ['a header longer than any', long, /the header has 65537 bytes; expected at most 65536/],
    ['a cut header', good.subarray(0, 40), /truncated: the header/],
    ['small bytes', Buffer.from([1, 2, 3, 4, 5, 0x1f, 7, 8, 9, 10]), /found 01 02 03 04 05 1F$/],
    ['a header of no length', Buffer.from([...good.subarray(0, 8), 0, 0]), /the header is not a dict: ""$/],
    ['a cut prefix', good.subarray(0, 9), /truncated: the file has 9 bytes; expected at least 10 before its header/],
    [
      'cut data',
      good.subarray(0, good.length - 5),
      /truncated: shape \(2, 3, 4\) of <f8 takes 192 bytes, but 187 follow/,
    ],
    ['data past the end', Buffer.concat([good, Buffer.alloc(3)]), /3 bytes too many after the 192/],
    ['a longer name', file("{'xdescr': '<f8', 'fortran_order': False, 'shape': (1,), }", 8), /from character 1: /],
    ['two entries without a comma', file("{'descr': '<f8' 'fortran_order': False, 'shape': (1,)}", 8), /character 1: /],
    ['more after the dict', file("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)} + {}", 8), /cannot read/],
    [
      'a dtype that is no string',
      file("{'descr': (1,), 'fortran_order': False, 'shape': (1,)}"),
      /'descr' is not a str/,
    ],
    [
      'an order that is a tuple',
      file("{'descr': '<f8', 'fortran_order': (), 'shape': (1,)}"),
      /is neither True nor Fa/,
    ],
    [
      'a shape that is a string',
      file("{'descr': '<f8', 'fortran_order': False, 'shape': '3'}"),
      /'shape' is not a tup/,
    ],
    ['no shape', file("{'descr': '<f8', 'fortran_order': False}"), /the header lacks 'shape'$/],
    ['no dtype', file("{'fortran_order': False, 'shape': (1,)}"), /the header lacks 'descr'$/],
    ['a dimension that begins well', withShape('(2x,)', 16), /dimension 0 of shape "\(2x,\)" is "2x"; expected an int/],
    ['a dimension that ends well', withShape('(x2,)', 16), /dimension 0 of shape "\(x2,\)" is "x2"/],
    ['a dimension that is missing', withShape('(2, , 3)', 48), /dimension 1 of shape "\(2, , 3\)" is ""/],
    ['no dict', file('__import__("os").system("true")'), /the header is not a dict/],
    [
      'an expression',
      file("{'descr': '<f8', 'fortran_order': False, 'shape': (2 ** 3,), }"),
      /dimension 0 .* "2 \*\* 3"/,
    ],
    [
      'a call',
      file("{'descr': '<f8', 'fortran_order': f(), 'shape': (1,), }"),
      /cannot read the header from character 16/,
    ],
    ['a missing entry', file("{'descr': '<f8', 'shape': (1,), }"), /the header lacks 'fortran_order'/],
    ['an entry twice', file("{'descr': '<f8', 'descr': '<f4', 'shape': (1,), }"), /'descr' twice/],
    ['an entry too many', file("{'descr': '<f8', 'evil': (1,), }"), /cannot read the header/],
    [
      'an order that is no boolean',
      file("{'descr': '<f8', 'fortran_order': 'no', 'shape': (1,), }"),
      /neither True nor/,
    ],
    ['a shape that is no tuple', withShape('(3)', 24), /not a tuple/],
    ['a negative dimension', withShape('(2, -3)', 48), /dimension 1 .* "-3"; expected an integer of 0 or more/],
    ['a product past all files', withShape('(4294967296, 4294967296)'), /more elements than a file can hold/],
    ['a product hidden by a 0', withShape('(0, 9007199254740993, 5)'), /more elements than a file can hold/],
    [
      'empty rows without end',
      withShape('(99999999999, 0)'),
      /shape "\(99999999999, 0\)" has no elements, but a dimension of 99999999999; expected at most 16777216/,
    ],
    ['an empty row without end', withShape('(0, 16777217)'), /has no elements, but a dimension of 16777217/],
    [
      'a large shape without data',
      withShape('(1000000, 1000000)'),
      /truncated: .* takes 8000000000000 bytes, but 0 follow/,
    ],
    ['one element too many for a file', withShape('(562949953421312,)'), /has more elements than a file can hold/],
    ['just as many as one can hold', withShape('(562949953421311,)'), /truncated: .* takes 4503599627370488 bytes/],
    ['too many dimensions', withShape(`(${'1, '.repeat(65)})`, 8), /65 dimensions; expected at most 64/],
    ['Python objects', withDescr("'|O'"), /the dtype is "\|O", Python objects \(pickle\), which are never loaded/],
    [
      'records',
      withDescr("[('x', '<f8'), ('y', '<f8')]"),
      /a record with named fields \(save one field, as in np\.save\('field\.npy', a\["x"\]\)\)/,
    ],
    ['records, with blanks', file("{'descr'  :  [('x', '<f8')], 'shape': (1,)}"), /the dtype is a record/],
    ['records without names', withDescr('[]'), /the dtype is a record with named fields \(save one field\)/],
    ['complex numbers', withDescr("'<c16'"), /complex numbers/],
    ['text', withDescr("'<U8'"), /the dtype is "<U8", text/],
    ['bytes', withDescr("'|S8'"), /the dtype is "\|S8", text; expected f2, f4, f8, integers or bool$/],
    ['dates', withDescr("'<M8[ns]'"), /dates or times/],
    ['times', withDescr("'<m8[ns]'"), /dates or times/],
    ['a float of one byte', withDescr("'<f1'"), /a float of a width .* \(save a\.astype\('f8'\)\)/],
    ['a wide integer without its order', withDescr("'|i4'"), /no number format that is read here/],
    ['more than a dtype', withDescr("'<f8x'"), /a float of a width/],
    ['a dtype with something before it', withDescr("'x<f8'"), /no number format/],
    ['a dtype in native order', withDescr("'=f8'"), /a float of a width/],
    ['long doubles', withDescr("'<f16'"), /a float of a width that is not read here/],
    ['bytes of another length', withDescr("'<V20'"), /is "<V20", bytes .* NumPy stores float8 and records/],
    ['something that ends like them', withDescr("'x<V2'"), /is "x<V2", no number format that is read here/],
    [
      'bfloat16',
      withDescr("'<V2'"),
      /is "<V2", bytes .* NumPy stores bfloat16 \(save a\.astype\('f4'\)\); expected f2,/,
    ],
    ['float8', withDescr("'<V1'"), /"<V1", bytes .* float8 and records \(save a\.astype\('f4'\), or one field\)/],
    ['no number', withDescr("'|X2'"), /no number format that is read here/],
  ])('%s', async (_, bytes, message) => {
    const error = await readWhole(bytes).catch((caught: unknown) => caught);
    expect(isSoftgradError(error), String(error)).toBe(true);
    expect(String(error instanceof Error && error.message)).toMatch(message);
    expect(String(error)).not.toContain('\n');
  });

  test('headers of other writers are read', async () => {
    for (const [header, shape] of [
      ["{'shape':(1,),'fortran_order':True,'descr':'<f8'}", [1]],
      ["{  'descr' : '<f8' , 'fortran_order' : False , 'shape' : ( 1 , 1 ) , }  ", [1, 1]],
      ["{'descr': '<f8', 'fortran_order': False, 'shape': (1L, 1L)}", [1, 1]],
      ["{'descr': '<f8', 'fortran_order': False, 'shape': ()}\0\0", []],
      ["{'descr': '<f8', 'fortran_order': True, 'shape': ()}", []],
    ] as const) {
      const bytes = Buffer.from(file(header, 8));
      bytes.writeDoubleLE(1.5, bytes.length - 8);
      expect(await readWhole(bytes), header).toEqual({ shape, data: Float64Array.of(1.5) });
    }
    for (const descr of ['<b1', '|b1', '|i1', '<i1', '|u1']) {
      const array = await readWhole(file(`{'descr': '${descr}', 'fortran_order': False, 'shape': (3,), }`, 3));
      expect(array.data).toEqual(descr.includes('b') ? new Uint8Array(3) : new Int32Array(3));
    }
    const noElements = withShape('(0, 16777216)');
    expect((await readWhole(noElements)).shape).toEqual([0, 16777216]);
    expect((await readWhole(withShape(`(${'1, '.repeat(64)})`, 8))).shape).toHaveLength(64);
    const longest = Buffer.alloc(12 + 65_536 + 8 * 24, 0x20);
    longest.set(npy['version 2'].bytes.subarray(0, npy['version 2'].bytes.length - 8 * 24));
    longest.fill(0, 12 + 65_536);
    longest.writeUInt32LE(65_536, 8);
    expect((await readWhole(longest)).data).toEqual(new Float64Array(24));
  });

  test('a header of version 3 is UTF-8, one before it is not', async () => {
    const text = "{'descr': '<f8', 'fortran_order': False, 'größe': (1,), }";
    for (const [version, shown] of [
      [2, 'grÃ¶Ã\u009fe'],
      [3, 'größe'],
    ] as const) {
      const body = Buffer.from(text);
      const start = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, version, 0, body.length, 0, 0, 0];
      const error = await readWhole(Buffer.concat([Buffer.from(start), body])).catch((caught: Error) => caught.message);
      expect(error).toContain(`from character 40: " '${shown.replace('\u009f', '\\u009f')}`);
    }
  });

  test('each error has the code of its kind', async () => {
    await expect(readWhole(withDescr("'|O'"))).rejects.toThrow(expect.objectContaining({ code: 'ERR_DTYPE' }));
    await expect(readWhole(withShape('(3)'))).rejects.toThrow(expect.objectContaining({ code: 'ERR_VALUE' }));
  });

  test('a 64-bit integer that float64 cannot represent, with its index', async () => {
    const bytes = Buffer.concat([
      file("{'descr': '<i8', 'fortran_order': False, 'shape': (2, 2), }"),
      Buffer.from(BigInt64Array.of(1n, 2n, 3n, 9007199254740993n).buffer),
    ]);
    await expect(readWhole(bytes)).rejects.toThrow(
      'element [1, 1] is 9007199254740993, which float64 cannot represent',
    );
    const reader = await open(bytes);
    await reader.next(1);
    const refused = { code: 'ERR_VALUE', message: expect.stringContaining('element [1, 1] is 9007199254740993') };
    await expect(reader.next(1)).rejects.toThrow(expect.objectContaining(refused));
    const unsigned = Buffer.concat([
      file("{'descr': '<u8', 'fortran_order': False, 'shape': (4, 3), }"),
      Buffer.from(BigUint64Array.from({ length: 12 }, (_, k) => (k === 11 ? 2n ** 64n - 1n : 1n)).buffer),
    ]);
    const chunks = await open(unsigned);
    await chunks.next(2);
    await expect(chunks.next(2)).rejects.toThrow(
      'element [3, 2] is 18446744073709551615, which float64 cannot represent',
    );
  });
});

test('a damaged file gives an array that fits its shape, or a one-line error', async () => {
  const files = Object.values(npy).map(({ bytes }) => bytes);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...files),
      fc.array(fc.tuple(fc.nat(160), fc.nat(255)), { maxLength: 4 }),
      fc.nat(200),
      async (original, changes, length) => {
        const bytes = Buffer.from(original).subarray(0, changes.length === 0 ? length : original.length);
        for (const [position, value] of changes) if (position < bytes.length) bytes[position] = value;
        try {
          const array = await readWhole(bytes);
          expect(array.data.length).toBe(sizeOf(array.shape));
        } catch (error) {
          if (!isSoftgradError(error)) throw error;
          expect(error.message).toMatch(/^x\.npy: \P{Cc}+$/u);
        }
      },
    ),
    { numRuns: 300 },
  );
});

describe('npyArray', () => {
  const bytes = new Uint8Array([
    ...npyHeader('<f4', [3, 4]),
    ...npyElements(
      Float32Array.from({ length: 12 }, (_, i) => i),
      '<f4',
    ),
  ]);
  const open = (size = bytes.length) =>
    npyArray(
      async (position, length) => bytes.slice(position, Math.min(size, position + length)),
      bytes.length,
      'x.npy',
    );

  test('reads elements from any position', async () => {
    const array = await open();
    expect(array).toMatchObject({ shape: [3, 4], fortranOrder: false, elementBytes: 4, dtype: 'float32' });
    expect(await array.elements(5, 3)).toEqual(Float32Array.of(5, 6, 7));
  });

  test('reports which elements are missing if the file has become shorter', async () => {
    const array = await open(bytes.length - 4);
    expect(await array.elements(0, 11)).toHaveLength(11);
    await expect(array.elements(10, 2)).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: 'x.npy: truncated: elements 10 to 11 take 8 bytes, but only 4 could be read',
    });
  });

  /** The file with its descr replaced, opened to be read directly, and the calls of either way to read it. */
  async function openDirectly(file = bytes, size = file.length) {
    const calls: string[] = [];
    const array = await npyArray(
      async (position, length) => {
        calls.push('read');
        return file.slice(position, position + length);
      },
      file.length,
      'x.npy',
      async (position, into) => {
        calls.push('into');
        const found = file.subarray(position, Math.min(size, position + into.length));
        into.set(found);
        return found.length;
      },
    );
    calls.length = 0;
    return { array, calls };
  }

  test('reads elements into an array: directly if the file has them as the array does, otherwise rounded', async () => {
    const { array, calls } = await openDirectly();
    const single = new Float32Array(5).fill(-1);
    await array.elementsInto(5, single.subarray(1, 4));
    expect([single, calls]).toEqual([Float32Array.of(-1, 5, 6, 7, -1), ['into']]);
    const double = new Float64Array(3);
    await array.elementsInto(5, double);
    expect([double, calls]).toEqual([Float64Array.of(5, 6, 7), ['into', 'read']]);
    const swapped = bytes.slice();
    swapped[bytes.indexOf('<'.charCodeAt(0))] = '>'.charCodeAt(0);
    const other = await openDirectly(swapped);
    await other.array.elementsInto(1, single);
    expect(single).toEqual(await other.array.elements(1, 5));
    expect(other.calls).toEqual(['read', 'read']);
    const wide = new Uint8Array([...npyHeader('<f8', [2]), ...npyElements(Float64Array.of(1 / 3, 2), '<f8')]);
    const doubles = await openDirectly(wide);
    await doubles.array.elementsInto(0, single.subarray(0, 2));
    await doubles.array.elementsInto(0, double.subarray(0, 2));
    expect([[...single.subarray(0, 2)], [...double], doubles.calls]).toEqual([
      [Math.fround(1 / 3), 2],
      [1 / 3, 2, 7],
      ['read', 'into'],
    ]);
    const copying = await open();
    await copying.elementsInto(10, single.subarray(0, 2));
    expect(single.subarray(0, 2)).toEqual(Float32Array.of(10, 11));
  });

  test('reports which elements are missing from an array that is filled directly', async () => {
    const { array } = await openDirectly(bytes, bytes.length - 4);
    await expect(array.elementsInto(10, new Float32Array(2))).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: 'x.npy: truncated: elements 10 to 11 take 8 bytes, but only 4 could be read',
    });
  });
});

test('elements in an array of another type than that of the descr are converted, as by astype', async () => {
  const written = async (descr: '<f2' | '<f4' | '<f8' | '<i4' | '|b1', data: FileArray['data']) => {
    const array = await readWhole(Buffer.concat([npyHeader(descr, [data.length]), npyElements(data, descr)]));
    return [array.data.constructor, ...array.data];
  };
  const numbers = [0, -1.5, 2 ** 24];
  expect(await written('<f4', Float64Array.of(...numbers, 1 / 3))).toEqual([
    Float32Array,
    ...numbers,
    Math.fround(1 / 3),
  ]);
  expect(await written('<f8', Float32Array.of(...numbers))).toEqual([Float64Array, ...numbers]);
  expect(await written('<f8', Int32Array.of(1, -2))).toEqual([Float64Array, 1, -2]);
  expect(await written('<i4', Float64Array.of(...numbers))).toEqual([Int32Array, 0, -1, 2 ** 24]);
  expect(await written('<i4', Uint8Array.of(0, 1))).toEqual([Int32Array, 0, 1]);
  expect(await written('|b1', Float32Array.of(0, 256, 0.5))).toEqual([Uint8Array, 0, 1, 1]);
  expect(await written('<f2', Int32Array.of(1, -2))).toEqual([Float32Array, 1, -2]);
  const same = Float32Array.of(1, 2, 3).subarray(1);
  expect([...npyElements(same, '<f4')]).toEqual([...new Uint8Array(Float32Array.of(2, 3).buffer)]);
  expect(npyElements(same, '<f4').buffer).toBe(same.buffer);
});

test('half precision is written as its bits', () => {
  const written = npyElements(Float64Array.of(1, -2, 65504, 2 ** -24, Number.NEGATIVE_INFINITY), '<f2');
  expect([...new Uint16Array(written.buffer)]).toEqual([0x3c00, 0xc000, 0x7bff, 0x0001, 0xfc00]);
  expect(npyElements(Float64Array.of(1), '<f8')).toHaveLength(8);
});

test('the advice about a record names its first field', async () => {
  const text = "{'descr': [('weight', '<f8'), ('y', '<f8')], 'fortran_order': False, 'shape': (1,), }".padEnd(117);
  const bytes = Uint8Array.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0, ...Buffer.from(`${text}\n`)]);
  await expect(open(bytes)).rejects.toThrow(/as in np\.save\('field\.npy', a\["weight"\]\)/);
});
