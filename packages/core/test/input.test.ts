import { beforeAll, describe, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import { setBackend, type TensorInput, type TensorOptions, tensor } from '../src/index.js';
import { failure } from './failure.js';

beforeAll(async () => {
  await setBackend(exact);
});

/** Shape, dtype and elements of the tensor that is made. */
function read(input: unknown, options?: TensorOptions) {
  const x = tensor(input as TensorInput, options);
  return [x.shape, x.dtype, [...x.dataSync()]];
}

const message = (input: unknown, options?: TensorOptions) => failure(() => tensor(input as TensorInput, options));

describe('nested arrays', () => {
  test('of booleans and of numbers become the dtype that is asked for', () => {
    expect(read([true, false])).toEqual([[2], 'bool', [1, 0]]);
    expect(read([true, false], { dtype: 'float64' })).toEqual([[2], 'float64', [1, 0]]);
    expect(read([1, 0, 1], { dtype: 'bool' })).toEqual([[3], 'bool', [1, 0, 1]]);
    expect(read([[3, -(2 ** 31)]], { dtype: 'int32' })).toEqual([[1, 2], 'int32', [3, -(2 ** 31)]]);
    expect(read(false)).toEqual([[], 'bool', [0]]);
    expect(read([0.1])).toEqual([[1], 'float32', [Math.fround(0.1)]]);
    expect(read([0.1], { dtype: 'float16' })).toEqual([[1], 'float16', [0.0999755859375]]);
    expect(read([1, 2, 3, 4, 5, 6], { shape: [3, 2] })).toEqual([[3, 2], 'float32', [1, 2, 3, 4, 5, 6]]);
  });

  test.each([
    [[true, 1], undefined, 'ERR_DTYPE', 'entry [1] is 1, expected a boolean'],
    [[[1], [true]], undefined, 'ERR_DTYPE', 'entry [1][0] is true, expected a number'],
    [[1, 2 ** 31], 'int32', 'ERR_DTYPE', 'element 1 is 2147483648, which int32 cannot hold'],
    [[Number.NaN], 'int32', 'ERR_DTYPE', 'element 0 is NaN, which int32 cannot hold'],
    [[0, Number.NaN], 'bool', 'ERR_DTYPE', 'element 1 is NaN; a bool is true, false, 1 or 0'],
    [[-1], 'bool', 'ERR_DTYPE', 'element 0 is -1; a bool is true, false, 1 or 0'],
    [[[1, 2], 3], undefined, 'ERR_SHAPE', 'ragged input: entry [1] has 3, expected 2 as in shape (2, 2)'],
    [[[1, 2], [3]], undefined, 'ERR_SHAPE', 'ragged input: entry [1] has 1 entry, expected 2 as in shape (2, 2)'],
    [[[1], [2, 3]], undefined, 'ERR_SHAPE', 'ragged input: entry [1] has 2 entries, expected 1 as in shape (2, 1)'],
    [
      [
        [[1], [2]],
        [[3], [4, 5]],
      ],
      undefined,
      'ERR_SHAPE',
      'ragged input: entry [1][1] has 2 entries, expected 1 as in shape (2, 2, 1)',
    ],
    [[[[1, 2]], [[3, 'x']]], undefined, 'ERR_DTYPE', 'entry [1][0][1] is the text "x", expected a number'],
    [[[[1, 2]], 5], undefined, 'ERR_SHAPE', 'ragged input: entry [1] has 5, expected 1 as in shape (2, 1, 2)'],
    [
      [
        [1, 2],
        [3, [4]],
      ],
      undefined,
      'ERR_SHAPE',
      'entry [1][1] is an array of 1 entry, expected a number',
    ],
  ] as const)('%j as %s: %s', (input, dtype, code, text) => {
    expect(message(input, { dtype })).toEqual([code, `tensor: ${text}`]);
  });
});

describe('values that are not arrays', () => {
  const expected = 'expected nested arrays, a typed array, or an object with data and shape';
  test.each([
    ['text', 'the text "text"'],
    ['a text of twenty-one', 'the text "a text of twenty-one"'],
    ['a text of twenty-one.', 'the text "a text of twenty-one…"'],
    [null, 'null'],
    [undefined, 'undefined'],
    [() => 1, 'function'],
    [{}, 'an object (Object)'],
    [{ data: [1] }, 'an object (Object)'],
    [{ shape: [1] }, 'an object (Object)'],
    [{ data: 5, shape: [1] }, 'an object (Object)'],
    [{ data: [1], shape: 1 }, 'an object (Object)'],
    [new DataView(new ArrayBuffer(8)), 'an object (DataView)'],
  ])('%o is refused', (input, words) => {
    expect(message(input)).toEqual(['ERR_DTYPE', `tensor: cannot read ${words}; ${expected}`]);
  });

  test('64-bit integers are refused wherever they are', () => {
    const text = (array: string) =>
      `tensor: 64-bit integers are not a dtype here; convert the data with ${array}.from(data, Number), and keep its shape`;
    const [least, most] = [-(2n ** 31n), 2n ** 31n - 1n];
    for (const data of [BigInt64Array.of(least, most), BigUint64Array.of(0n, most)]) {
      expect(message(data)).toEqual(['ERR_DTYPE', text('Int32Array')]);
      expect(message({ data, shape: [2] })).toEqual(['ERR_DTYPE', text('Int32Array')]);
    }
    // These would wrap.
    for (const data of [BigInt64Array.of(0n, least - 1n), BigInt64Array.of(most + 1n), BigUint64Array.of(2n ** 32n)]) {
      expect(message(data)).toEqual(['ERR_DTYPE', text('Array')]);
    }
  });
});

describe('flat data', () => {
  test('has the dtype of its array unless another is asked for', () => {
    expect(read(Uint8Array.of(1, 2))).toEqual([[2], 'int32', [1, 2]]);
    expect(read(Float64Array.of(1, 2), { shape: [2, 1] })).toEqual([[2, 1], 'float64', [1, 2]]);
    expect(read(Float64Array.of(0.1), { dtype: 'float32' })).toEqual([[1], 'float32', [Math.fround(0.1)]]);
    expect(read(Uint8Array.of(1, 0), { dtype: 'bool' })).toEqual([[2], 'bool', [1, 0]]);
    expect(read({ data: [true, false], shape: [2] })).toEqual([[2], 'bool', [1, 0]]);
    expect(read({ data: [1, 2], shape: [2] })).toEqual([[2], 'float32', [1, 2]]);
    expect(read({ data: [], shape: [0, 2] })).toEqual([[0, 2], 'float32', []]);
    expect(read({ data: Int8Array.of(-1), shape: [] })).toEqual([[], 'int32', [-1]]);
  });

  test('is checked for values that its dtype cannot represent', () => {
    expect(message(Uint8Array.of(1, 2), { dtype: 'bool' })).toEqual([
      'ERR_DTYPE',
      'tensor: element 1 is 2; a bool is true, false, 1 or 0',
    ]);
    expect(message(Uint32Array.of(2 ** 32 - 1))).toEqual([
      'ERR_DTYPE',
      'tensor: element 0 is 4294967295, which int32 cannot hold',
    ]);
    expect(message({ data: [1, null], shape: [2] })).toEqual([
      'ERR_DTYPE',
      'tensor: element 1 is null, expected a number',
    ]);
    expect(message({ data: [1, '2'], shape: [2] })).toEqual([
      'ERR_DTYPE',
      'tensor: element 1 is the text "2", expected a number',
    ]);
  });

  test('is written over by out in the dtype of out', () => {
    const labels = tensor([1, 2], { dtype: 'int32' });
    tensor([3, 4], { out: labels });
    expect([...labels.dataSync()]).toEqual([3, 4]);
    const given = Int32Array.of(5, 6);
    tensor(given, { out: labels });
    given.fill(0);
    expect([...labels.dataSync()]).toEqual([5, 6]);
    const double = tensor([1, 2], { dtype: 'float64' });
    tensor([0.1, 0.2], { out: double });
    expect([...double.dataSync()]).toEqual([0.1, 0.2]);
  });
});

describe('strided data', () => {
  const data = Float64Array.of(0, 1, 2, 3, 4, 5);

  test('is read with its strides and offset, each of which may be left out', () => {
    expect(read({ data, shape: [2], offset: 4 })).toEqual([[2], 'float64', [4, 5]]);
    expect(read({ data, shape: [2, 2], offset: 2 })).toEqual([[2, 2], 'float64', [2, 3, 4, 5]]);
    expect(read({ data, shape: [2, 3], strides: [1, 2], stride: [3, 1] })[2]).toEqual([0, 2, 4, 1, 3, 5]);
    expect(read({ data, shape: [3, 1, 2], strides: [2, 99, -1], offset: 1 })).toEqual([
      [3, 1, 2],
      'float64',
      [1, 0, 3, 2, 5, 4],
    ]);
    expect(read({ data, shape: [], strides: [], offset: 3 })).toEqual([[], 'float64', [3]]);
    expect(read({ data, shape: [2, 2], strides: [-2, -1], offset: 5 })[2]).toEqual([5, 4, 3, 2]);
    expect(read({ data, shape: [0, 3], strides: [3, 1], offset: 77 })).toEqual([[0, 3], 'float64', []]);
    expect(read({ data, shape: [2, 3], strides: [1, 2] }, { shape: [6] })).toEqual([
      [6],
      'float64',
      [0, 2, 4, 1, 3, 5],
    ]);
    expect(read({ data, shape: [2, 3] }, { shape: [3, 2], dtype: 'int32' })).toEqual([
      [3, 2],
      'int32',
      [0, 1, 2, 3, 4, 5],
    ]);
  });

  test('has the dtype of its array', () => {
    const strided = (array: unknown) => read({ data: array, shape: [2], strides: [2] });
    expect(strided([true, false, false])).toEqual([[2], 'bool', [1, 0]]);
    expect(strided(Int16Array.of(1, 2, 3))).toEqual([[2], 'int32', [1, 3]]);
    expect(strided(Float32Array.of(1, 2, 3))).toEqual([[2], 'float32', [1, 3]]);
    expect(strided([1, 2, 3])).toEqual([[2], 'float32', [1, 3]]);
  });

  test.each([
    [{ data, shape: [2], strides: [1, 1] }, "strides (1, 1) and offset 0 don't fit shape (2,)"],
    [{ data, shape: [2, 2], strides: [1] }, "strides (1) and offset 0 don't fit shape (2, 2)"],
    [{ data, shape: [2], strides: [0.5] }, "strides (0.5) and offset 0 don't fit shape (2,)"],
    [{ data, shape: [2], strides: [1], offset: 0.5 }, "strides (1) and offset 0.5 don't fit shape (2,)"],
    [
      { data, shape: [2], strides: [1], offset: 5 },
      'shape (2,) with strides (1) and offset 5 reaches elements 5 to 6 of data that has 6',
    ],
    [
      { data, shape: [2], offset: -1 },
      'shape (2,) with strides (1) and offset -1 reaches elements -1 to 0 of data that has 6',
    ],
    [
      { data, shape: [3, 2], strides: [-2, 1], offset: 3 },
      'shape (3, 2) with strides (-2, 1) and offset 3 reaches elements -1 to 4 of data that has 6',
    ],
    [{ data, shape: [-1], strides: [1] }, 'dimension -1 of shape (-1,) must be an integer ≥ 0'],
    [{ data, shape: [5] }, "6 values don't fill shape (5,) of 5 elements"],
  ])('%j is refused', (input, text) => {
    expect(message(input)).toEqual(['ERR_SHAPE', `tensor: ${text}`]);
  });

  test('fits another shape only if that has as many elements', () => {
    const text = "tensor: 6 values don't fill shape (5,) of 5 elements";
    expect(message({ data, shape: [2, 3] }, { shape: [5] })).toEqual(['ERR_SHAPE', text]);
    expect(message({ data, shape: [2, 3], strides: [1, 2] }, { shape: [5] })).toEqual(['ERR_SHAPE', text]);
  });
});

test('shapes are frozen, and not the array that was given', () => {
  const shape = [2, 1];
  for (const x of [tensor([1, 2], { shape }), tensor(Float32Array.of(1, 2), { shape })]) {
    expect(x.shape).not.toBe(shape);
    expect(Object.isFrozen(x.shape)).toBe(true);
  }
});

describe('arrays of typed rows', () => {
  test('have the dtype of their rows', () => {
    expect(read([Float32Array.of(1, 2), Float32Array.of(3, 4)])).toEqual([[2, 2], 'float32', [1, 2, 3, 4]]);
    expect(read([Float64Array.of(0.1)])).toEqual([[1, 1], 'float64', [0.1]]);
    expect(read([[Uint8Array.of(1), Uint8Array.of(2)]])).toEqual([[1, 2, 1], 'int32', [1, 2]]);
    expect(read([Float64Array.of(0.5)], { dtype: 'float32' })).toEqual([[1, 1], 'float32', [0.5]]);
    expect(read([Uint8Array.of(1, 0)], { dtype: 'bool' })).toEqual([[1, 2], 'bool', [1, 0]]);
    expect(read([Float32Array.of(1, 2)], { shape: [2, 1] })).toEqual([[2, 1], 'float32', [1, 2]]);
    expect(read([new Float32Array(0)])).toEqual([[1, 0], 'float32', []]);
  });

  test('of several dtypes have the one that holds the values of all', () => {
    const single = Float32Array.of(0.5);
    const double = Float64Array.of(16777217);
    const labels = Int32Array.of(3);
    for (const rows of [
      [single, double],
      [double, single],
      [labels, double],
      [[1], double],
      [[[single], [double]]].flat(),
    ]) {
      const [, dtype, values] = read(rows);
      expect([dtype, (values as number[]).includes(16777217)]).toEqual(['float64', true]);
    }
    expect(read([labels, single])).toEqual([[2, 1], 'float32', [3, 0.5]]);
    expect(read([single, labels])).toEqual([[2, 1], 'float32', [0.5, 3]]);
    expect(read([labels, [0.5]])).toEqual([[2, 1], 'float32', [3, 0.5]]);
    expect(read([labels, Uint8Array.of(1)])).toEqual([[2, 1], 'int32', [3, 1]]);
    expect(message([[true], labels])[1]).toBe('tensor: entry [1][0] is 3, expected a boolean');
    expect(message([[true], single])[1]).toBe('tensor: entry [1][0] is 0.5, expected a boolean');
    expect(message([labels, [true]])[1]).toBe('tensor: entry [1][0] is true, expected a number');
  });

  test('are refused where they are ragged, no numbers, or of 64-bit integers', () => {
    expect(message([Float32Array.of(1, 2), Float32Array.of(3)])).toEqual([
      'ERR_SHAPE',
      'tensor: ragged input: entry [1] has 1 entry, expected 2 as in shape (2, 2)',
    ]);
    expect(message([Float32Array.of(1, 2), 3])).toEqual([
      'ERR_SHAPE',
      'tensor: ragged input: entry [1] has 3, expected 2 as in shape (2, 2)',
    ]);
    expect(message([new DataView(new ArrayBuffer(8))])).toEqual([
      'ERR_DTYPE',
      'tensor: entry [0] is an object (DataView), expected a number',
    ]);
    expect(message([BigInt64Array.of(1n)])[1]).toMatch(/64-bit integers are not a dtype here/);
    expect(message([Float32Array.of(1), BigInt64Array.of(1n)])[0]).toBe('ERR_DTYPE');
  });
});

describe('tensors of onnxruntime', () => {
  test('of float16 are in bits', () => {
    const bits: readonly (readonly [number, number])[] = [
      [0x0000, 0],
      [0x8000, -0],
      [0x0001, 2 ** -24],
      [0x83ff, -1023 * 2 ** -24],
      [0x0400, 2 ** -14],
      [0x3c00, 1],
      [0xbc01, -(1 + 2 ** -10)],
      [0x7bff, 65504],
      [0x7c00, Number.POSITIVE_INFINITY],
      [0xfc00, Number.NEGATIVE_INFINITY],
      [0x7e00, Number.NaN],
    ];
    const data = Uint16Array.from(bits, ([pattern]) => pattern);
    const dims = [1, bits.length];
    expect(read({ data, dims, type: 'float16' })).toEqual([dims, 'float32', bits.map(([, value]) => value)]);
    expect(read({ data: data.subarray(5, 6), dims: [1], type: 'float16' }, { dtype: 'float64' })).toEqual([
      [1],
      'float64',
      [1],
    ]);
    // A slice with strides, and unambiguous numbers.
    const strided = { data: Uint16Array.of(0x3c00, 0, 0x4000), shape: [2], strides: [2], offset: 0, type: 'float16' };
    expect(read(strided)).toEqual([[2], 'float32', [1, 2]]);
    expect(read({ ...strided, stride: [-1], strides: undefined, offset: 2 })).toEqual([[2], 'float32', [2, 0]]);
    expect(read({ data: Uint16Array.of(0x3c00), dims: [1], type: 'uint16' })).toEqual([[1], 'int32', [0x3c00]]);
    expect(read({ data: Float32Array.of(1), dims: [1], type: 'float16' })).toEqual([[1], 'float32', [1]]);
  });

  test('of bool are booleans', () => {
    const data = Uint8Array.of(1, 0);
    expect(read({ data, dims: [2], type: 'bool' })).toEqual([[2], 'bool', [1, 0]]);
    expect(read({ data, dims: [2], type: 'bool' }, { dtype: 'float32' })).toEqual([[2], 'float32', [1, 0]]);
    expect(read({ data, dims: [2], type: 'uint8' })).toEqual([[2], 'int32', [1, 0]]);
    expect(read({ data, dims: [2], type: 'bool', strides: [-1], offset: 1 })).toEqual([[2], 'bool', [0, 1]]);
    expect(read({ data, dims: [1], type: 'bool', offset: 1 })).toEqual([[1], 'bool', [0]]);
    expect(read({ data, dims: [1], type: 'bool', offset: 1 }, { dtype: 'int32' })).toEqual([[1], 'int32', [0]]);
  });

  test('on a device say how to fetch their data', () => {
    const tensorOn = (location: string) => ({
      location,
      dims: [1],
      getData: () => {},
      get data() {
        if (location.startsWith('cpu')) return Float32Array.of(1);
        throw new Error('not on CPU');
      },
    });
    for (const location of ['cpu', 'cpu-pinned']) expect(read(tensorOn(location))).toEqual([[1], 'float32', [1]]);
    // Other objects may have one of the two members.
    const { data, ...plain } = { data: Float32Array.of(1), shape: [1], location: 'gpu-buffer', getData: () => {} };
    for (const member of ['location', 'getData'] as const) {
      expect(read({ data, shape: plain.shape, [member]: plain[member] })).toEqual([[1], 'float32', [1]]);
    }
    expect(message(tensorOn('gpu-buffer'))).toEqual([
      'ERR_DTYPE',
      'tensor: the data of the onnxruntime tensor is on its device (gpu-buffer); if the tensor is called x, pass { data: await x.getData(), dims: x.dims, type: x.type }',
    ]);
  });
});

test("a polyfill's Float16Array, which is not a view of memory, is read by index", () => {
  const polyfilled = (...values: readonly number[]) => Object.assign({ [Symbol.toStringTag]: 'Float16Array' }, values);
  expect(read({ ...polyfilled(1, 2.5), length: 2 })).toEqual([[2], 'float32', [1, 2.5]]);
  expect(read({ ...polyfilled(1, 2.5), length: 2 }, { shape: [2, 1] })).toEqual([[2, 1], 'float32', [1, 2.5]]);
});

describe('unsupported objects of other libraries are errors that say what to pass instead', () => {
  const method = () => {};
  const tfjs = { dataSync: method, arraySync: method, dispose: method, data: method };
  const jax = { jsAsync: method, data: method, dispose: method };
  test.each([
    ['ml-matrix', { to2DArray: method, length: 1 }, 'x.to2DArray()'],
    ['mathjs and a column of Arrow', { toArray: method, getChild: method, length: 1 }, 'x.toArray()'],
    [
      'a table of Arrow',
      { schema: { fields: [{ type: { typeId: 3, precision: 1 } }] }, getChild: method, toArray: method },
      'x.schema.fields.map(({ name }) => x.getChild(name).toArray()), whose shape is (columns, rows)',
    ],
    [
      'a table of Arquero',
      { columnNames: () => ['a'], array: () => [1] },
      'x.columnNames().map((name) => Float64Array.from(x.array(name), Number)), whose shape is (columns, rows)',
    ],
    [
      'TensorFlow.js',
      { ...tfjs, dtype: 'float32' },
      '{ data: await x.data(), shape: x.shape }, or without a copy backend.fromTf(x) of @softgrad/backend-tfjs',
    ],
    ['integers of TensorFlow.js', { ...tfjs, dtype: 'int32' }, '{ data: await x.data(), shape: x.shape }'],
    ['booleans of TensorFlow.js', { ...tfjs, dtype: 'bool' }, "{ data: await x.data(), shape: x.shape, type: 'bool' }"],
    ['jax-js', { ...jax, dtype: 'float32' }, '{ data: await x.ref.data(), shape: x.shape }'],
    ['booleans of jax-js', { ...jax, dtype: 'bool' }, 'await x.ref.jsAsync()'],
    ['danfo', { values: [[1]] }, 'x.values'],
    ['an object with a length', { length: 2, 0: 1, 1: 2 }, 'Array.from(x)'],
    ['a set', new Set([1]), 'Array.from(x)'],
  ])('%s', (_library, input, instead) => {
    const [code, text] = message(input);
    expect(code).toBe('ERR_DTYPE');
    expect(text).toMatch(/^tensor: cannot read an object \(\w+\); if it is called x, pass /);
    expect(text.slice(text.indexOf('pass ') + 5)).toBe(instead);
  });

  const given = ', and give the list its shape: tensor(list, { shape })';
  test.each([
    ['a matrix', { to2DArray: method }, 'x.to2DArray()'],
    ['a vector of TensorFlow.js', { ...tfjs, dtype: 'int32', shape: [2] }, 'await x.data()'],
    ['a matrix of TensorFlow.js', { ...tfjs, dtype: 'int32', shape: [1, 2] }, `await x.data()${given}`],
    ['booleans of TensorFlow.js', { ...tfjs, dtype: 'bool', shape: [2] }, 'await x.array()'],
    ['a number of TensorFlow.js', { ...tfjs, dtype: 'float32', shape: [] }, 'await x.array()'],
    ['a vector of jax-js', { ...jax, dtype: 'float32', shape: [2] }, 'await x.ref.data()'],
    ['booleans of jax-js', { ...jax, dtype: 'bool', shape: [2] }, 'await x.ref.jsAsync()'],
    ['an ndarray', { data: [1, 2], shape: [2], stride: [1], offset: 0 }, 'await tensor(x).data()'],
    ['a tensor of onnxruntime', { data: Float32Array.of(1), dims: [1, 1] }, `await tensor(x).data()${given}`],
  ])('%s in a list', (_what, input, instead) => {
    const what = `tensor: entry [0] is an object (Object), expected a number; if it is called x, pass ${instead}`;
    expect(message([input])).toEqual(['ERR_DTYPE', what]);
    expect(message([Float32Array.of(1, 2), input])[1]).toMatch(
      /ragged input: entry \[1\] has an object .*; if it is called x, pass /,
    );
  });

  // The tests of the documentation run these expressions with the libraries themselves.
  test('every type of a column of Arrow, of a table of Arquero and of a matrix of mathjs has its expression', () => {
    const child = { nullCount: 1 };
    const instead = (input: object) => message(input)[1].split('; if it is called x, pass ')[1] ?? null;
    const column = (type: object, more: object = {}) => instead({ toArray: method, type, ...more });
    const numbers = 'Float64Array.from(x, Number)';
    const present = 'Float64Array.from(x, (value) => Number(value ?? NaN))';
    const filled = ', with what stands for its missing values';
    const integers = ', or Array.from(x, Number) for class indices';
    const int64 = { typeId: 2, bitWidth: 64 };
    const texts = { typeId: 5 };
    for (const [type, whole, partial] of [
      [{ typeId: 2, bitWidth: 32 }, 'x.toArray()', present],
      [int64, numbers + integers, present],
      [{ typeId: 3, precision: 0 }, 'Array.from(x)', present],
      [{ typeId: 3, precision: 2 }, 'x.toArray()', present],
      [{ typeId: 6 }, 'x.toArray()', 'Array.from(x, (value) => value ?? false)'],
      ...[8, 9, 10, 18].map((typeId) => [{ typeId }, numbers, present] as const),
      [{ typeId: -1, dictionary: int64 }, numbers + integers, present],
      [{ typeId: -1, dictionary: { typeId: 3, precision: 1 } }, numbers, present],
      [{ typeId: -1, dictionary: texts }, null, null],
      [{ typeId: 7 }, null, null],
      [texts, null, null],
      [{}, null, null],
      ...[12, 16].map((typeId) => {
        const rows = '(row) => Float64Array.from(row, (value) => Number(value ?? NaN)))';
        const type = { typeId, children: [{ type: { typeId: 3, precision: 1 } }] };
        return [type, 'Array.from(x, (row) => row.toArray())', `Array.from(x).filter(Boolean).map(${rows}`] as const;
      }),
      [{ typeId: 12, children: [{ type: texts }] }, null, null],
      [{ typeId: 13, children: [{ type: int64 }] }, null, null],
    ] as const) {
      expect(column(type), JSON.stringify(type)).toBe(whole);
      expect(column(type, { nullCount: 0, data: [{ nullCount: 0, children: [{}] }] })).toBe(whole);
      for (const missing of [child, { data: [child] }, { children: [child] }, { data: [{ children: [{}, child] }] }])
        expect(column(type, missing), JSON.stringify(type)).toBe(partial && partial + filled);
    }

    const table = (types: object, columns: object = {}) => {
      const fields = Object.entries(types).map(([name, type]) => ({ name, type }));
      return instead({ schema: { fields }, getChild: (name: string) => Reflect.get(columns, name) ?? null });
    };
    const columns = (values: string) => `x.schema.fields.map(({ name }) => ${values}), whose shape is (columns, rows)`;
    const each = 'Float64Array.from(x.getChild(name), Number)';
    const float32 = { typeId: 3, precision: 1 };
    expect(table({ a: float32, b: { ...float32 } })).toBe(columns('x.getChild(name).toArray()'));
    expect(table({ a: float32, b: int64 })).toBe(columns(each));
    expect(table({ a: int64, b: int64 })).toBe(columns(each));
    expect(table({ a: float32, b: texts })).toBe(null);
    expect(table({ a: texts, b: float32 })).toBe(null);
    expect(table({})).toBe(null);
    expect(table({ a: float32, b: float32 }, { b: child })).toBe(
      columns('Float64Array.from(x.getChild(name), (value) => Number(value ?? NaN))') + filled,
    );

    const arquero = (second: readonly unknown[]) =>
      instead({ columnNames: () => ['a', 'b'], array: (name: string) => (name === 'a' ? [1, 0] : second) });
    const values = (read: string) => `x.columnNames().map((name) => ${read}), whose shape is (columns, rows)`;
    expect(arquero([0, 1n])).toBe(values('Float64Array.from(x.array(name), Number)'));
    for (const missing of ['', null, undefined])
      expect(arquero([2, missing])).toBe(
        values("Float64Array.from(x.array(name), (value) => Number(value === '' ? NaN : (value ?? NaN)))") + filled,
      );

    const matrix = (type: string | undefined) => instead({ toArray: method, getDataType: () => type });
    for (const type of [undefined, 'number', 'boolean']) expect(matrix(type), type).toBe('x.toArray()');
    for (const type of ['BigNumber', 'Fraction', 'bigint']) expect(matrix(type), type).toBe('x.map(Number).toArray()');
    for (const type of ['Complex', 'string', 'mixed']) expect(matrix(type), type).toBe(null);
  });

  test('a tensor in a list, and in nested lists', () => {
    const instead = 'expected a number; if it is called x, pass await x.data()';
    expect(message([tensor([1])])).toEqual(['ERR_DTYPE', `tensor: entry [0] is a tensor, ${instead}`]);
    expect(message([[tensor([1])]])).toEqual(['ERR_DTYPE', `tensor: entry [0][0] is a tensor, ${instead}`]);
    expect(message([tensor(1)])[1]).toMatch(/pass await x\.array\(\)$/);
  });

  test('an array among numbers, which is none of theirs', () => {
    expect(message([1, [2]])).toEqual(['ERR_SHAPE', 'tensor: entry [1] is an array of 1 entry, expected a number']);
    const text = 'tensor: entry [1] is an object (Float32Array), expected a number';
    expect(message([1, Float32Array.of(2)])).toEqual(['ERR_DTYPE', text]);
  });

  test('a tensor, which is one already', () => {
    const text = "tensor: cannot read a tensor; if it is called x, pass await x.to(backend), or await x.to('float32')";
    expect(message(tensor([1]))).toEqual(['ERR_DTYPE', text]);
  });
});
