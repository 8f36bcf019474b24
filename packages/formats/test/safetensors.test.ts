import { readFileSync } from 'node:fs';
import { isSoftgradError } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { bfloat16ToNumber } from '../src/half.js';
import { safetensorsRows } from '../src/index.js';
import { plain } from './numpy-files.js';

interface Stored {
  readonly tensors: Readonly<
    Record<string, { readonly shape: readonly number[]; readonly values: readonly (number | string)[] }>
  >;
  readonly base64: string;
}

/** A file that the safetensors library wrote (fixtures/make_safetensors_file.py), and the values of its tensors. */
const stored: Stored = JSON.parse(readFileSync(new URL('fixtures/safetensors.json', import.meta.url), 'utf8'));
const written = Buffer.from(stored.base64, 'base64');

function open(bytes: Uint8Array, entry: string | null, name = 'x.safetensors') {
  return safetensorsRows(async (at, length) => bytes.subarray(at, at + length), bytes.length, entry, name);
}

/** A file with this header and this many bytes of data. */
function file(header: unknown, dataBytes = 0): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, Buffer.alloc(dataBytes)]);
}

const tensor = (changes = {}) => ({ a: { dtype: 'F32', shape: [1, 2], data_offsets: [0, 8], ...changes } });

describe('a file of the safetensors library', () => {
  const readable = Object.entries(stored.tensors).filter(([name]) => name !== 'float8');

  test.each(readable)('%s', async (name, { shape, values }) => {
    const reader = await open(written, name);
    expect([reader.name, reader.shape]).toEqual([`x.safetensors:${name}`, shape]);
    const array = await reader.next(Number.MAX_SAFE_INTEGER);
    expect(array?.shape).toEqual(shape);
    expect(array && plain(array)).toEqual(values);
    expect(await reader.next(1)).toBeNull();
  });

  test('row by row', async () => {
    const reader = await open(written, 'block/0:weight');
    const rows = [await reader.next(1), await reader.next(1), await reader.next(1)];
    expect(rows.map((row) => row && plain(row))).toEqual([
      Array.from({ length: 12 }, (_, k) => k),
      Array.from({ length: 12 }, (_, k) => 12 + k),
      null,
    ]);
  });

  test('16-bit floats are read as float32, which represents them exactly', async () => {
    for (const name of ['float16', 'bfloat16']) {
      expect((await (await open(written, name)).next(1))?.data).toBeInstanceOf(Float32Array);
    }
  });
});

test('every bfloat16 is the float32 of which it is the upper half', () => {
  const bytes = new DataView(new ArrayBuffer(4));
  for (let bits = 0; bits < 65536; bits++) {
    bytes.setUint32(0, bits * 65536);
    if (!Object.is(bfloat16ToNumber(bits), bytes.getFloat32(0))) throw new Error(`${bits}`);
  }
});

test('with one tensor no name is needed, and metadata is not a tensor', async () => {
  const reader = await open(file({ __metadata__: { format: 'pt' }, ...tensor() }, 8), null);
  expect(reader.name).toBe('x.safetensors');
  expect(await reader.next(9)).toEqual({ shape: [1, 2], data: Float32Array.of(0, 0) });
});

describe('unreadable tensors are errors that say which and why', () => {
  const names = Object.fromEntries(Array.from({ length: 11 }, (_, k) => [`t${k}`, tensor().a]));
  const huge = Buffer.alloc(16);
  huge.writeBigUInt64LE(2n ** 63n);

  test.each<[string, Uint8Array, string | null, RegExp]>([
    [
      'no name of several',
      file(names, 8),
      null,
      /holds 11 tensors \("t0", .*"t7" and 3 more\); choose one, as in x\.safetensors:t0$/,
    ],
    ['another name', file(tensor(), 8), 'b', /^x\.safetensors: has no tensor "b"; it holds "a"$/],
    ['the metadata', file({ __metadata__: {}, ...tensor() }, 8), '__metadata__', /has no tensor "__metadata__"/],
    ['the name of a method', file(tensor(), 8), 'toString', /has no tensor "toString"/],
    ['no tensor', file({}), null, /holds no tensor; expected at least one$/],
    ['8-bit floats', written, 'float8', /float8: the dtype is "F8_E4M3"; expected BF16, F16, F32, F64, BOOL, I8,/],
    ['a dtype that is a method', file(tensor({ dtype: 'toString' }), 8), 'a', /the dtype is "toString"/],
    ['nothing', new Uint8Array(0), null, /^x\.safetensors: not a \.safetensors file: 0 bytes; expected at least 8$/],
    ['a header longer than the file', file('{}').subarray(0, 9), null, /its header should take 2 bytes, but 1 follow/],
    ['a header longer than any', huge, null, /its header should take 9223372036854776000 bytes, but 8 follow/],
    ['a header that is cut', file('{"a": '), null, /its header is not JSON: "\{\\"a\\": "$/],
    ['a list', file([1]), null, /its header is "\[1\]"; expected an object$/],
    [
      'an entry that is none',
      file({ a: 5 }),
      'a',
      /^x\.safetensors:a: its entry in the header is "5"; expected dtype, shape and data_offsets$/,
    ],
    ['no dtype', file(tensor({ dtype: undefined }), 8), null, /its entry in the header is .*; expected dtype/],
    ['a negative dimension', file(tensor({ shape: [-1, -2] }), 8), null, /its entry in the header/],
    ['a shape that is a text', file(tensor({ shape: '12' }), 8), null, /its entry in the header/],
    ['one offset', file(tensor({ data_offsets: [0] }), 8), null, /its entry in the header/],
    ['three offsets', file(tensor({ data_offsets: [0, 8, 9] }), 8), null, /its entry in the header/],
    [
      'offsets of another length',
      file(tensor({ data_offsets: [0, 4] }), 8),
      null,
      /bytes 0 to 4 of 8; expected the 8 that shape \(1, 2\) of F32 takes$/,
    ],
    ['data that is cut', file(tensor(), 7), null, /bytes 0 to 8 of 7; expected the 8/],
    [
      'a shape past all numbers',
      file(tensor({ shape: [2 ** 52, 2 ** 52] }), 8),
      null,
      /expected the 8\.1.*e\+31 that shape/,
    ],
    [
      'empty rows without end',
      file(tensor({ shape: [2 ** 24 + 1, 0], data_offsets: [0, 0] })),
      null,
      /has no elements; expected dimensions of at most 16777216$/,
    ],
  ])('%s', async (_, bytes, entry, message) => {
    const error = await open(bytes, entry).catch((caught: unknown) => caught);
    if (!isSoftgradError(error)) throw error;
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain('\n');
    expect(error.code).toBe(error.message.includes('the dtype is') ? 'ERR_DTYPE' : 'ERR_VALUE');
  });
});

test('a header that is JSON but no object is refused, whatever it is', async () => {
  for (const header of ['5', 'null', 'true', '"a"', '[]', '[{}]']) {
    await expect(open(file(header), null), header).rejects.toThrow(/its header is .*; expected an object/);
  }
});

test('only a tensor without elements is held to the longest dimension', async () => {
  const header = (shape: readonly number[], end: number) => file({ a: { dtype: 'U8', shape, data_offsets: [0, end] } });
  const opened = (bytes: Uint8Array, more: number) =>
    safetensorsRows(async (at, length) => bytes.subarray(at, at + length), bytes.length + more, null, 'x');
  const most = 2 ** 24;
  expect((await opened(header([most + 1], most + 1), most + 1)).shape).toEqual([most + 1]);
  expect((await opened(header([0, most], 0), 0)).shape).toEqual([0, most]);
  await expect(opened(header([0, most + 1], 0), 0)).rejects.toThrow(/expected dimensions of at most 16777216/);
});

test('a name that the header has twice is refused, also if both have the same bytes', async () => {
  const entry = (shape: string, offsets: string) => `"a":{"dtype":"F32","shape":${shape},"data_offsets":${offsets}}`;
  const both = [
    `{${entry('[1,2]', '[0,8]')},${entry('[2,1]', '[0,8]')}}`,
    `{${entry('[2]', '[0,8]')},${entry('[2]', '[8,16]')}}`,
  ];
  for (const header of [...both, '{"a":{"dtype":"F32","shape":[1,2],"shape":[2,1],"data_offsets":[0,8]}}']) {
    await expect(open(file(header, header === both[1] ? 16 : 8), 'a'), header).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: expect.stringMatching(
        /: line 1, column \d+: the name "(?:a|shape)" a second time; expected each name once$/,
      ),
    });
  }
});

describe('bytes of no tensor, or of two, are refused', () => {
  const b = (begin: number, end: number) => ({ b: { dtype: 'F32', shape: [1, 2], data_offsets: [begin, end] } });

  test.each<[string, Uint8Array, RegExp]>([
    ['a gap', file({ ...tensor(), ...b(12, 20) }, 20), /bytes 8 to 12 of 20 belong to no tensor/],
    ['an overlap', file({ ...tensor(), ...b(4, 12) }, 12), /bytes 4 to 8 of 12 belong to two tensors/],
    ['more at the end', file(tensor(), 9), /bytes 8 to 9 of 9 belong to no tensor/],
    ['less at the end', file({ ...tensor(), ...b(8, 16) }, 12), /bytes 12 to 16 of 12 are missing/],
  ])('%s', async (_, bytes, message) => {
    await expect(open(bytes, 'a')).rejects.toMatchObject({
      code: 'ERR_VALUE',
      message: expect.stringMatching(message),
    });
  });

  test('another tensor whose entry is invalid is named', async () => {
    await expect(open(file({ ...tensor(), b: { dtype: 'F32', shape: [1, 2] } }, 8), 'a')).rejects.toThrow(
      /safetensors:b: its entry in the header is/,
    );
  });

  test('tensors may be in any order, and empty ones anywhere', async () => {
    const empty = { c: { dtype: 'F32', shape: [0, 2], data_offsets: [8, 8] } };
    const reader = await open(file({ ...b(8, 16), ...empty, ...tensor() }, 16), 'a');
    expect(reader.shape).toEqual([1, 2]);
  });
});
