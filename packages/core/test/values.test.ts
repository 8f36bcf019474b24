import { beforeAll, describe, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import {
  byteSize,
  crossEntropy,
  type DType,
  hostArray,
  isFloat,
  isSoftgradError,
  loadProvider,
  SoftgradError,
  setBackend,
  softmax,
  tensor,
} from '../src/index.js';
import { shortened } from '../src/shortened.js';
import { describe as inWords } from '../src/tensor/describe.js';
import { largestFinite } from '../src/tensor/dtype.js';
import { preview } from '../src/tensor/nested.js';
import { broadcasts, sameShape } from '../src/tensor/shape.js';
import { failure } from './failure.js';

beforeAll(async () => {
  await setBackend(exact);
});

describe('a dtype', () => {
  test.each([
    ['float16', Float32Array, 2, 65504],
    ['float32', Float32Array, 4, 3.4028234663852886e38],
    ['float64', Float64Array, 8, Number.MAX_VALUE],
    ['int32', Int32Array, 4, null],
    ['bool', Uint8Array, 1, null],
  ] as const)('%s has its host array, size and largest number', (dtype, type, bytes, largest) => {
    const array = hostArray(3, dtype);
    expect(array).toEqual(new type(3));
    expect(array.constructor).toBe(type);
    expect(byteSize(dtype)).toBe(bytes);
    expect(isFloat(dtype)).toBe(largest !== null);
    if (dtype !== 'int32' && dtype !== 'bool') expect(largestFinite(dtype)).toBe(largest);
  });

  test('has one of five names, and none that an object happens to have', () => {
    const expected = 'expected one of float16, float32, float64, int32, bool';
    for (const name of ['number', 'constructor', '', undefined]) {
      expect(failure(() => hostArray(1, name as DType))).toEqual([
        'ERR_DTYPE',
        `hostArray: unknown dtype '${name}'; ${expected}`,
      ]);
    }
    expect(failure(() => hostArray(1, Float64Array as never))).toEqual([
      'ERR_DTYPE',
      `hostArray: unknown dtype 'Float64Array' (did you mean 'float64'?); ${expected}`,
    ]);
  });

  test('of more elements than fit is an error that says how many bytes, with its cause', () => {
    try {
      hostArray(2 ** 50, 'float64');
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({
        code: 'ERR_OUT_OF_MEMORY',
        message: `cannot allocate ${2 ** 53} bytes for ${2 ** 50} float64 elements`,
        cause: expect.any(RangeError),
      });
    }
  });
});

test('an error of softgrad is known by its name and code, of whichever copy of core it is', () => {
  const own = new SoftgradError('ERR_AXIS', 'text', { cause: 1 });
  expect([own.name, own.code, own.message, own.cause, own instanceof Error]).toEqual([
    'SoftgradError',
    'ERR_AXIS',
    'text',
    1,
    true,
  ]);
  const foreign = Object.assign(new Error('x'), { name: 'SoftgradError', code: 'ERR_VALUE' });
  const others = [
    new Error('x'),
    Object.assign(new Error('x'), { code: 'ERR_VALUE' }),
    Object.assign(new Error('x'), { name: 'SoftgradError' }),
    { name: 'SoftgradError', code: 'ERR_VALUE' },
    null,
    undefined,
    'SoftgradError',
  ];
  expect([own, foreign, ...others].map(isSoftgradError)).toEqual([true, true, ...others.map(() => false)]);
});

describe('a value in words', () => {
  test.each([
    [null, 'null'],
    [undefined, 'undefined'],
    [[], 'an array of 0 entries'],
    [[1], 'an array of 1 entry'],
    [[1, 2], 'an array of 2 entries'],
    ['', 'the text ""'],
    ['a "quoted" text', 'the text "a \\"quoted\\" text"'],
    ['twenty characters...', 'the text "twenty characters..."'],
    ['twenty-one characters', 'the text "twenty-one character…"'],
    [0, '0'],
    [Number.NaN, 'NaN'],
    [false, 'false'],
    [Promise.resolve(1), 'a promise (await it first)'],
    [new Date(0), 'an object (Date)'],
    [{}, 'an object (Object)'],
    [Object.create(null), 'an object (no prototype)'],
    [() => 1, 'function'],
    [Symbol('x'), 'symbol'],
    [1n, 'bigint'],
  ])('%o', (value, words) => {
    expect(inWords(value)).toBe(words);
  });

  test('a tensor', () => {
    expect(inWords(tensor([1]))).toBe('a tensor');
  });

  test('nested arrays are cut after six entries of each dimension, numbers after six digits', () => {
    const flat = (...values: number[]) => preview(values, [values.length], false);
    expect(flat(1, 2, 3, 4, 5, 6)).toBe('[1, 2, 3, 4, 5, 6]');
    expect(flat(1, 2, 3, 4, 5, 6, 7)).toBe('[1, 2, 3, 4, 5, 6, … 1 more]');
    expect(preview([1, 0], [2, 1], true)).toBe('[[true], [false]]');
    expect(preview([1, 2, 3, 4, 5, 6], [2, 3], false)).toBe('[[1, 2, 3], [4, 5, 6]]');
    expect(preview([7], [], false)).toBe('7');
    expect([flat(), preview([], [2, 0], false), preview([], [0, 3], false)]).toEqual(['[]', '[[], []]', '[]']);
    expect(flat(1 / 3, 1e-20 / 3, 123456789, Number.NaN, -0)).toBe('[0.333333, 3.33333e-21, 123457000, NaN, 0]');
  });
});

describe('a shape', () => {
  test.each([
    [3, 'shape must be an array of dimensions, not number'],
    [new Int32Array([2]), 'shape must be an array of dimensions, not object'],
    [[-1], 'dimension -1 of shape (-1,) must be an integer ≥ 0'],
    [[2, 0.5], 'dimension 0.5 of shape (2, 0.5) must be an integer ≥ 0'],
    [[2 ** 53], `dimension ${2 ** 53} of shape (${2 ** 53},) must be an integer ≥ 0`],
    [['2'], 'dimension the text "2" of shape (2,) must be an integer ≥ 0'],
    [[2 ** 27, 2 ** 26], `shape (${2 ** 27}, ${2 ** 26}) has more elements than a number can count`],
  ])('%o is refused', (shape, message) => {
    expect(failure(() => tensor([1], { shape: shape as never }))).toEqual(['ERR_SHAPE', `tensor: ${message}`]);
  });

  test('may have dimensions of 0, and one dimension with a comma after it in words', () => {
    expect(tensor([], { shape: [0, 3] }).shape).toEqual([0, 3]);
    expect([[], [3], [2, 0]].map((shape) => failure(() => tensor([1, 2], { shape }))[1])).toEqual([
      "tensor: 2 values don't fill shape () of 1 elements",
      "tensor: 2 values don't fill shape (3,) of 3 elements",
      "tensor: 2 values don't fill shape (2, 0) of 0 elements",
    ]);
  });

  test('is the same as another of equal dimensions and of no fewer and no more', () => {
    const same = ([a, b]: readonly (readonly number[])[]) => sameShape(a, b);
    expect(
      [
        [[], []],
        [
          [2, 3],
          [2, 3],
        ],
      ].map(same),
    ).toEqual([true, true]);
    const different = [
      [[2], [2, 1]],
      [[2, 1], [2]],
      [
        [2, 3],
        [2, 4],
      ],
      [
        [2, 3],
        [4, 3],
      ],
    ];
    expect(different.map(same)).toEqual(different.map(() => false));
  });

  test('broadcasts to one whose last dimensions are equal to it where it is not 1', () => {
    const to = [2, 3, 4];
    const fits = [[], [4], [1], [3, 4], [3, 1], [1, 4], [2, 3, 4], [2, 1, 1], [1, 1, 1]];
    const not = [[3], [2], [2, 4], [4, 3], [2, 3], [1, 2, 3, 4], [1, 3, 4, 4], [3, 3, 4], [2, 3, 0]];
    expect(fits.map((from) => broadcasts(from, to))).toEqual(fits.map(() => true));
    expect(not.map((from) => broadcasts(from, to))).toEqual(not.map(() => false));
  });
});

describe('an axis', () => {
  test('counts from the first dimension or from behind the last', async () => {
    const x = tensor([[[1], [2]]]);
    const along = (axis: number) => softmax(x, { axis }).array();
    for (const [axis, negative] of [
      [0, -3],
      [1, -2],
      [2, -1],
    ]) {
      expect(await along(axis)).toEqual(await along(negative));
    }
    expect(await along(0)).toEqual([[[1], [1]]]);
  });

  test.each([
    [[2, 3], 2, 'softmax: axis 2 of a rank-2 tensor; expected -2 to 1'],
    [[2, 3], -3, 'softmax: axis -3 of a rank-2 tensor; expected -2 to 1'],
    [[2, 3], 0.5, 'softmax: axis 0.5 of a rank-2 tensor; expected -2 to 1'],
    [[2], Number.NaN, 'softmax: axis NaN of a rank-1 tensor; expected -1 to 0'],
    [[], 0, 'softmax: axis 0 of a rank-0 tensor; expected a tensor of at least one dimension'],
    [[], -1, 'softmax: axis -1 of a rank-0 tensor; expected a tensor of at least one dimension'],
    [[2], '0', 'softmax: axis is the text "0"; expected an integer'],
    [[2], [0], 'softmax: axis is an array of 1 entry; expected an integer'],
  ])('of %j that is %o is refused', (shape, axis, message) => {
    const x = tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), { shape });
    expect(failure(() => softmax(x, { axis: axis as never }))).toEqual(['ERR_AXIS', message]);
  });
});

test('a text is cut after the given length, never inside of a character', () => {
  expect(shortened('x'.repeat(60))).toBe('x'.repeat(60));
  expect(shortened('x'.repeat(61))).toBe(`${'x'.repeat(60)}…`);
  expect(shortened('abcd', 3)).toBe('abc…');
  // 𝟙 consists of two code units.
  expect(shortened('ab𝟙d', 3)).toBe('ab…');
  expect(shortened('a𝟙cd', 3)).toBe('a𝟙…');
});

test.each<[string, () => unknown]>([
  ['an option', () => softmax([[1]], { ['x'.repeat(99)]: 1 })],
  ['a dtype', () => tensor([1], { dtype: 'x'.repeat(99) as DType })],
  ['a reduction', () => crossEntropy([[1]], [0], { reduction: 'x'.repeat(99) as 'mean' })],
  ['the name of a backend', () => loadProvider('x'.repeat(99))],
])('a long name is cut where it is refused: %s', async (_, call) => {
  const error = await Promise.resolve()
    .then(call)
    .catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ message: expect.stringMatching(/(?<!x)x{60}…/) });
  expect(error).toMatchObject({ message: expect.not.stringMatching(/x{61}/) });
});
