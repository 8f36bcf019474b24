import { isSoftgradError } from '@softgrad/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FileArray, jsonRows, parseJson, sizeOf } from '../src/index.js';

const parse = (text: string, entry?: string) => parseJson(Buffer.from(text), 'x.json', { entry });

function write(array: FileArray): string {
  const rows = [...jsonRows(array)].join('');
  return array.shape.length === 0 ? rows : `[${rows}]`;
}

test('nested lists of any depth have the shape of their nesting', () => {
  expect(parse('[[1, 2, 3], [4, 5, 6]]')).toEqual({
    shape: [2, 3],
    data: Float64Array.of(1, 2, 3, 4, 5, 6),
  });
  expect(parse('[[[0.5]], [[1]]]')).toEqual({ shape: [2, 1, 1], data: Float64Array.of(0.5, 1) });
  expect(parse('2.5')).toEqual({ shape: [], data: Float64Array.of(2.5) });
  expect(parse('[]').shape).toEqual([0]);
  expect(parse('[[], []]').shape).toEqual([2, 0]);
  expect(parse('[true, false]')).toEqual({ shape: [2], data: Uint8Array.of(1, 0) });
});

test('NaN and infinities are read as words in quotes, and bare as Python writes them', () => {
  const values = Float64Array.of(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
  expect(parse('["NaN", "Infinity", "-Infinity"]').data).toEqual(values);
  expect(parse('[NaN, Infinity, -Infinity]').data).toEqual(values);
  expect(parse('[NaN,"NaN",-Infinity,"-Infinity"]').data[3]).toBe(Number.NEGATIVE_INFINITY);
  expect(parse('{"a-NaN b": [NaN]}').data).toEqual(Float64Array.of(Number.NaN));
  expect(parse('{"x": [NaN], "of": "no NaN, \\"Infinity\\" or NaN left"}', 'x').data).toEqual(
    Float64Array.of(Number.NaN),
  );
});

test('words count only as whole entries: within a text they are unchanged, and a text may be no other word', () => {
  for (const [text, found] of [
    ['["a NaN"]', '"a NaN"'],
    ['["a NaN b"]', '"a NaN b"'],
    ['["NaN b"]', '"NaN b"'],
    ['["-NaN"]', '"-NaN"'],
    ['["nan"]', '"nan"'],
    ['["constructor"]', '"constructor"'],
  ]) {
    expect(() => parse(text)).toThrow(`x.json: [0] is the text ${found}; expected a number`);
  }
  for (const text of ['[NaNa]', '[aNaN]', '[-NaN]', '[--Infinity]', '[+Infinity]', '[Infinity_]', '[-infinity]']) {
    expect(() => parse(text), text).toThrow('not JSON at');
  }
  expect(parse('[ NaN , -Infinity,"Infinity"]\n').data).toEqual(
    Float64Array.of(Number.NaN, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY),
  );
});

test('a byte order mark is skipped', () => {
  expect(parse('\ufeff[1]').data).toEqual(Float64Array.of(1));
});

test('every float64 is read back as it was written, including NaN, infinities and −0', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(4), { maxLength: 3 }), fc.infiniteStream(fc.double()), (shape, doubles) => {
      // An empty list does not determine the length of its rows.
      const empty = shape.indexOf(0);
      const written = empty < 0 ? shape : shape.slice(0, empty + 1);
      const data = Float64Array.from({ length: sizeOf(written) }, () => doubles.next().value);
      const read = parse(write({ shape: written, data }));
      expect(read.shape).toEqual(written);
      expect(read.data).toEqual(data);
    }),
  );
});

describe('invalid arrays are errors that say where and why', () => {
  test.each([
    ['[[1, 2], [3]]', 'x.json: ragged: [1] has 1 entries; expected 2, as in [0]'],
    ['[[[1, 2]], [[1, 2, 3]]]', 'x.json: ragged: [1][0] has 3 entries; expected 2, as in [0][0]'],
    ['[[1, 2], 3]', 'x.json: [1] is 3; expected a list of 2'],
    ['[1, [2]]', 'x.json: [1] is a list of 1; expected a number'],
    ['[[1, "two"]]', 'x.json: [0][1] is the text "two"; expected a number'],
    ['[1, null]', 'x.json: [1] is null; expected a number (write "NaN" for a missing value)'],
    ['{"a": [1, "b"]}', 'x.json: [1] is the text "b"; expected a number'],
    ['{"a": {"b": [1]}}', 'x.json: "a" is an object; expected nested lists of numbers'],
    ['{}', 'x.json: an empty object; expected nested lists'],
    ['{"loss": 1, "gradient": [2]}', 'x.json: an object of 2 ("loss", "gradient"); choose one, as in x.json:loss'],
    [
      '{"data": [1, 2, 3], "shape": [2, 2]}',
      'x.json: data of shape (3,) for the shape (2, 2); expected a flat list of as many numbers',
    ],
    [
      '{"data": [[1, 2]], "shape": [2, 1]}',
      'x.json: data of shape (1, 2) for the shape (2, 1); expected a flat list of as many numbers',
    ],
    [
      '{"data": [1], "shape": [-1, -1]}',
      'x.json: the shape is "[-1,-1]"; expected a flat list of lengths, as in [2, 3]',
    ],
    [
      '{"shape": [[2], [2]], "data": [1, 2, 3, 4]}',
      'x.json: the shape is "[[2],[2]]"; expected a flat list of lengths, as in [2, 3]',
    ],
    ['{"shape": [true], "data": [1]}', 'x.json: the shape is "[true]"; expected a flat list of lengths, as in [2, 3]'],
    [
      '[[1, 1e400]]',
      'x.json: [0][1] is a number beyond float64; expected a number in the range of float64, up to 1.8e308 in size, or "Infinity" in quotes',
    ],
    [
      '{"a": [-1e400]}',
      'x.json: [0] is a number beyond float64; expected a number in the range of float64, up to 1.8e308 in size, or "-Infinity" in quotes',
    ],
    [
      '{"a": [1],\n "b": 2, "\\u0061": [3]}',
      'x.json: line 2, column 10: the name "a" a second time; expected each name once',
    ],
    [
      '{"x": {"data": [1], "shape": [1], "data": [2]}}',
      'x.json: line 1, column 35: the name "data" a second time; expected each name once',
    ],
    [
      '{"x": {"data": [1], "shape": [1]}, "x": [2]}',
      'x.json: line 1, column 36: the name "x" a second time; expected each name once',
    ],
    ['[1, true]', 'x.json: [1] is a boolean and [0] is a number; expected all of one kind'],
    ['[1, 2', 'x.json: line 1, column 6: not JSON at the end of the file; expected nested lists of numbers'],
    ['[1,\n 2,, 3]', 'x.json: line 2, column 4: not JSON at ", 3]"; expected nested lists of numbers'],
    ['[1, nan]', 'x.json: line 1, column 5: not JSON at "nan]"; expected nested lists of numbers'],
    ['[NaN, nan]', 'x.json: line 1, column 7: not JSON at "nan]"; expected nested lists of numbers'],
    [
      '[-Infinity,\n NaN, "NaN", 1_0]',
      'x.json: line 2, column 15: not JSON at "_0]"; expected nested lists of numbers',
    ],
    ['[NaN', 'x.json: line 1, column 5: not JSON at the end of the file; expected nested lists of numbers'],
    ['[null]', 'x.json: [0] is null; expected a number (write "NaN" for a missing value)'],
    ['null', 'x.json: the value is null; expected a number (write "NaN" for a missing value)'],
    ['[[1, 2], null]', 'x.json: [1] is null; expected a list of 2'],
    ['[[1], true]', 'x.json: [1] is true; expected a list of 1'],
    ['[[1], "a"]', 'x.json: [1] is the text "a"; expected a list of 1'],
    ['[[1], {}]', 'x.json: [1] is an object; expected a list of 1'],
    ['[[], [1]]', 'x.json: ragged: [1] has 1 entries; expected 0, as in [0]'],
    ['[1, true, 2, false]', 'x.json: [1] is a boolean and [0] is a number; expected all of one kind'],
    ['[false, 2]', 'x.json: [0] is a boolean and [1] is a number; expected all of one kind'],
    ['[[true, true], [true, 0]]', 'x.json: [0][0] is a boolean and [1][1] is a number; expected all of one kind'],
    ['[1, ["NaN"]]', 'x.json: [1] is a list of 1; expected a number'],
    ['[1,, 2,\n 3]', 'x.json: line 1, column 4: not JSON at ", 2,\\n 3]"; expected nested lists of numbers'],
    [`${' '.repeat(20)}[1,, 2]`, 'x.json: line 1, column 24: not JSON at ", 2]"; expected nested lists of numbers'],
    ['[1, 2] 3', 'x.json: line 1, column 8: not JSON at "3"; expected nested lists of numbers'],
    ['[1 /* two */]', 'x.json: line 1, column 4: not JSON at "/* two */]"; expected nested lists of numbers'],
    ['[1, 2 \n\n', 'x.json: line 3, column 1: not JSON at the end of the file; expected nested lists of numbers'],
    [
      `[1,\n2,\n oops${'s'.repeat(40)}]`,
      `x.json: line 3, column 2: not JSON at "oops${'s'.repeat(16)}"; expected nested lists of numbers`,
    ],
    [`${'['.repeat(64)}x`, 'x.json: line 1, column 65: not JSON at "x"; expected nested lists of numbers'],
    [`${'['.repeat(65)}${']'.repeat(65)}`, 'x.json: lists nested more than 64 deep'],
    ['', 'x.json: line 1, column 1: not JSON at the end of the file; expected nested lists of numbers'],
    [
      'const x = [1, 2];',
      'x.json: line 1, column 1: not JSON at "const x = [1, 2];"; expected nested lists of numbers, or the ending .txt, for arrays as they are printed and written in code',
    ],
    [`${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'x.json: lists nested more than 64 deep'],
  ])('%.30j', (text, message) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ message }));
  });
});

test('an object holds one array, or several of which one is named, nested or flat', () => {
  const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
  const matrix = { shape: [2, 1], data: Float64Array.of(1, 2) };
  const flat = { data: [1, 2], shape: [2, 1] };
  for (const value of [{ a: [[1], [2]] }, flat, { a: flat }, { ...flat, dtype: 'float32' }]) {
    expect(parseJson(bytes(value), 'x.json'), JSON.stringify(value)).toEqual(matrix);
  }
  const both = bytes({ loss: 0.5, gradient: [[1], [2]], flat, nested: { a: [1] } });
  const named = (entry: string, of = both) => parseJson(of, 'x.json', { entry });
  expect(named('gradient')).toEqual(matrix);
  expect(named('flat')).toEqual(matrix);
  expect(named('loss')).toEqual({ shape: [], data: Float64Array.of(0.5) });
  expect(() => named('toString')).toThrow(
    'x.json: has no array "toString"; it holds "loss", "gradient", "flat", "nested"',
  );
  expect(() => named('nested')).toThrow('x.json:nested: "nested" is an object; ');
  expect(() => named('a', bytes([1]))).toThrow('x.json: has no array "a"; it holds one without a name');
});

test('names that only seem to be repeated are read: in another object, within texts, and as texts', () => {
  const text = String.raw`{"x": {"data": [1], "shape": [1]}, "y": {"data": [2], "shape": [1]}, "a": ["x", "x"], "\"a": "{\"a\": 1, \"a\": 1}"}`;
  expect(parseJson(Buffer.from(text), 'x.json', { entry: 'y' }).data).toEqual(Float64Array.of(2));
});

test('a flat array is read in row-major order; any other layout is refused by the name of its key', () => {
  const flat = { data: [1, 2, 3, 4, 5, 6], shape: [2, 3] };
  const read = (layout: object) => parse(JSON.stringify({ ...flat, ...layout }));
  for (const layout of [{ order: 'C' }, { stride: [3, 1], offset: 0 }, { strides: [3, 1], offset: null }]) {
    expect(read(layout), JSON.stringify(layout)).toEqual({ shape: [2, 3], data: Float64Array.of(1, 2, 3, 4, 5, 6) });
  }
  for (const [layout, found] of [
    [{ order: 'F' }, String.raw`order is "\"F\""`],
    [{ stride: [1, 2] }, 'stride is "[1,2]"'],
    [{ strides: [24, 8] }, 'strides is "[24,8]"'],
    [{ offset: 1 }, 'offset is "1"'],
  ] as const) {
    const [key] = Object.keys(layout);
    expect(() => read(layout)).toThrow(
      expect.objectContaining({
        code: 'ERR_VALUE',
        message: `x.json: ${found}; expected the data in row-major order, without ${key}`,
      }),
    );
  }
});

test('any text gives an array that fits its shape, or a one-line error', () => {
  const fragment = fc.constantFrom(
    '[',
    ']',
    ',',
    '1',
    '-',
    '.5',
    'e9',
    '"',
    'NaN',
    'Infinity',
    'true',
    'null',
    '{',
    '\n',
    '\u001b[31m',
    '\u2028',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(fragment, { maxLength: 20 }).map((parts) => parts.join('')),
        fc.json(),
        fc.string(),
      ),
      (text) => {
        try {
          const array = parse(text);
          expect(array.data.length).toBe(sizeOf(array.shape));
        } catch (error) {
          if (!isSoftgradError(error)) throw error;
          expect(error.message).toMatch(/^x\.json: \P{Cc}+$/u);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('unclosed lists nested deeper than any stack are the same error as closed ones', () => {
  const deep = new TextEncoder().encode('['.repeat(200_000));
  expect(() => parseJson(deep, 'deep.json')).toThrow(
    expect.objectContaining({ code: 'ERR_SHAPE', message: 'deep.json: lists nested more than 64 deep' }),
  );
});

test('lists may be 64 deep', () => {
  expect(parse(`${'['.repeat(64)}1${']'.repeat(64)}`).shape).toEqual(new Array(64).fill(1));
});

test('each error has the code of its kind', () => {
  for (const [text, code] of [
    ['[[1], [2, 3]]', 'ERR_SHAPE'],
    ['[[1], 2]', 'ERR_SHAPE'],
    ['[1, [2]]', 'ERR_VALUE'],
    ['[1, true]', 'ERR_VALUE'],
    ['[1', 'ERR_VALUE'],
    ['["x"]', 'ERR_VALUE'],
    ['[1e999]', 'ERR_VALUE'],
    ['{}', 'ERR_VALUE'],
    ['{"a": {"b": [1]}}', 'ERR_VALUE'],
    ['{"a": [1], "a": [2]}', 'ERR_VALUE'],
    ['{"data": [1], "shape": [2]}', 'ERR_SHAPE'],
    ['{"data": [1], "shape": [[1]]}', 'ERR_SHAPE'],
  ] as const) {
    expect(() => parse(text), text).toThrow(expect.objectContaining({ code }));
  }
});

describe('an object of several arrays', () => {
  const several = JSON.stringify(Object.fromEntries(Array.from({ length: 9 }, (_, k) => [`a${k}`, [k]])));
  const eight = '"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"';
  const parseAs = (text: string, name: string, entry?: string) => parseJson(Buffer.from(text), name, { entry });

  test.each([
    [
      'lists at most eight names',
      several,
      'x.json',
      undefined,
      `an object of 9 (${eight}, …); choose one, as in x.json:a0`,
    ],
    ['lists them for an unknown name too', several, 'x.json', 'b', `has no array "b"; it holds ${eight}, …`],
    [
      'of another file is chosen from one',
      '{"a": 1, "b": 2}',
      'x.json.txt',
      undefined,
      'choose one, as in FILE.json:a',
    ],
    ['whose name is no word', '{"a b": 1, "c": 2}', 'x.JSON', undefined, 'choose one, as in x.JSON:NAME'],
    ['is not a list, which has no names', '[1]', 'x.json', 'a', 'has no array "a"; it holds one without a name'],
  ])('%s', (_, text, name, entry, message) => {
    expect(() => parseAs(text, name, entry)).toThrow(
      expect.objectContaining({ code: 'ERR_VALUE', message: expect.stringMatching(`: .*`) }),
    );
    expect(() => parseAs(text, name, entry)).toThrow(message);
  });

  test('is flat if it has both data and shape, of which one can be named', () => {
    const flat = '{"data": [1, 2, 3, 4], "shape": [2, 2]}';
    expect(parseAs(flat, 'x.json').shape).toEqual([2, 2]);
    expect(parseAs(flat, 'x.json', 'data').shape).toEqual([4]);
    expect(parseAs('{"data": [[1, 2]]}', 'x.json').shape).toEqual([1, 2]);
    expect(parseAs('{"shape": [[1, 2]]}', 'x.json').shape).toEqual([1, 2]);
    expect(parseAs('{"data": [], "shape": [0]}', 'x.json').shape).toEqual([0]);
    expect(() => parse('{"data": ["y"], "shape": [1]}')).toThrow('x.json:data: [0] is the text "y"');
    expect(() => parse('{"data": [1], "shape": ["y"]}')).toThrow('x.json:shape: [0] is the text "y"');
    expect(() => parse('{"data": [1], "shape": [1, -1]}')).toThrow(
      'the shape is "[1,-1]"; expected a flat list of lengths',
    );
  });

  test('may not have a name twice, wherever the colon is and whatever is between them', () => {
    for (const text of ['{"a" : [1], "a"\n: [2]}', '{"a": {"data": [1], "shape": [1]}, "a": [2]}'])
      expect(() => parse(text), text).toThrow('the name "a" a second time');
    // Objects in a list are refused for what they are.
    expect(() => parse('[{"a": 1, "a": 2}]')).toThrow('[0] is an object; expected a number');
  });
});

test('shares of the work are reported once for each 8192 numbers, in lists and in members of objects', () => {
  const data = Array(20_000).fill(0);
  for (const value of [data, { a: data }, { data, shape: [20_000] }, { a: { data, shape: [20_000] } }]) {
    const shares: number[] = [];
    const bytes = Buffer.from(JSON.stringify(value));
    parseJson(bytes, 'x.json', { onShare: (share) => shares.push(share) });
    expect(shares).toEqual([0.1, 0.5, 0.5 + 0.5 * (8192 / 20_000), 0.5 + 0.5 * (16_384 / 20_000)]);
    expect(parseJson(bytes, 'x.json').data).toHaveLength(20_000);
  }
});

test('text longer than any string is an error', () => {
  // The memory is never accessed, so none is used.
  const bytes = new Uint8Array(2 ** 29 - 23);
  expect(() => parseJson(bytes, 'x.json')).toThrow(
    expect.objectContaining({
      code: 'ERR_VALUE',
      message: 'x.json: 536870889 bytes are more text than can be parsed; expected a .npy file for data of this size',
    }),
  );
});

describe('written rows', () => {
  test('are on lines of their own, with nested lists on one line, numbers in full precision, and words for NaN and infinities', () => {
    expect(write({ shape: [2, 2], data: Float64Array.of(1, -0, 0.1, 1e300) })).toBe('[[1,-0],\n [0.1,1e+300]]');
    expect(write({ shape: [3], data: Float64Array.of(1 / 3, Number.NaN, Number.NEGATIVE_INFINITY) })).toBe(
      '[0.3333333333333333,"NaN","-Infinity"]',
    );
    expect(write({ shape: [2, 2, 1], data: Int32Array.of(1, 2, 3, 4) })).toBe('[[[1],[2]],\n [[3],[4]]]');
    expect(write({ shape: [], data: Int32Array.of(5) })).toBe('5');
    expect(write({ shape: [0], data: new Float64Array(0) })).toBe('[]');
    expect(write({ shape: [2, 0], data: new Float64Array(0) })).toBe('[[],\n []]');
  });

  test('come in pieces, each of which fits into a string', () => {
    // The last two have a whole number of pieces.
    for (const shape of [[40_000], [2, 20_000], [1, 2, 20_000], [2 ** 14], [2, 2 ** 14]]) {
      const data = Int32Array.from({ length: sizeOf(shape) }, (_, k) => k % 1000);
      const pieces = [...jsonRows({ shape, data })];
      expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(2 ** 16);
      expect(JSON.parse(`[${pieces.join('')}]`).flat(Number.POSITIVE_INFINITY)).toEqual([...data]);
    }
  });
});
