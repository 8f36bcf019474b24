import { createRequire } from 'node:module';
import { init, numpy as np } from '@jax-js/jax';
import { Float16Array } from '@petamoriken/float16';
import { tfjs } from '@softgrad/backend-tfjs';
import * as tf from '@tensorflow/tfjs-core';
import {
  Bool,
  DateDay,
  DateMillisecond,
  Decimal,
  Dictionary,
  DurationSecond,
  Field,
  FixedSizeList,
  Float16,
  Float32,
  Float64,
  Int32,
  Int64,
  List,
  makeVector,
  Table,
  TimeNanosecond,
  TimestampMillisecond,
  tableFromArrays,
  Uint64,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import { table } from 'arquero';
import type * as mathjs from 'mathjs';
import { Matrix } from 'ml-matrix';
import ndarray from 'ndarray';
import { Tensor as OnnxTensor } from 'onnxruntime-common';
import { crossEntropy, isSoftgradError, type MaskInput, softmax, type TensorInput, tensor } from 'softgrad';
import { expect, test, vi } from 'vitest';

// The bundle of math.js: its 1400 modules take ten times as long to load.
const { bignumber, complex, fraction, matrix }: typeof mathjs = createRequire(import.meta.url)(
  'mathjs/lib/browser/math.js',
);

/** The expression that the error suggests for an input that cannot be read. */
function instead(input: unknown): string {
  try {
    // JavaScript without types can pass these.
    softmax(input as TensorInput);
  } catch (error) {
    if (isSoftgradError(error)) return error.message.replace(/^.* pass /, '');
    throw error;
  }
  return 'it was read';
}

type Read = (x: unknown, make: typeof tensor) => Promise<TensorInput>;

/** What a reader's code with the expression that the error suggests gives, where x is the object. */
function passed(input: unknown, x = input): Promise<TensorInput> {
  const [expression] = instead(input).split(/, (?:whose|with what|or|and give) /);
  const read = new Function('x', 'tensor', `return (async () => (${expression}))()`) as Read;
  return read(x, tensor);
}

const arrow = tableFromArrays({ a: Float32Array.of(1, 2), b: Float32Array.of(3, 4) });
const arquero = table({ a: [1, 2], b: [3, 4] });

test.each([
  ['an ml-matrix Matrix', new Matrix([[1, 2]]), 'x.to2DArray()', [1, 2]],
  ['a dense matrix of math.js', matrix([[1, 2]]), 'x.toArray()', [1, 2]],
  ['a sparse matrix of math.js', matrix([[1, 2]], 'sparse'), 'x.toArray()', [1, 2]],
  ['a column of Arrow', arrow.getChild('a'), 'x.toArray()', [2]],
  ['a table of Arrow', arrow, /^x\.schema\.fields\.map\(.*\), whose shape is \(columns, rows\)$/, [2, 2]],
  ['a table of Arquero', arquero, /^x\.columnNames\(\)\.map\(.*\), whose shape is \(columns, rows\)$/, [2, 2]],
] as const)('for %s the error names an expression that is read', async (_what, input, expected, shape) => {
  expect(instead(input)).toMatch(expected);
  expect(softmax(await passed(input)).shape).toEqual(shape);
});

const halves = vectorFromArray([1, 2.5, -3], new Float16());
const rows = [
  [1, 2],
  [3, 4.5],
];
const ofRows = (type: Float16 | Float32) =>
  [new FixedSizeList(2, new Field('row', type)), new List(new Field('row', type))].map((list) =>
    vectorFromArray(rows, list),
  );
const [fixed, list] = ofRows(new Float32());
const [fixedHalves, listOfHalves] = ofRows(new Float16());

const decimals = vectorFromArray([Uint32Array.of(1, 0, 0, 0)], new Decimal(2, 10));

test.each([
  ['a column of float16', halves, [1, 2.5, -3]],
  ['a column of rows', fixed, rows],
  ['a column of rows of float16', fixedHalves, rows],
  ['a part of a column of rows', fixed.slice(1), [[3, 4.5]]],
  ['a column of lists', list, rows],
  ['a column of lists of rows', vectorFromArray([rows, rows], new List(new Field('rows', fixed.type))), [rows, rows]],
  ['a column of lists of float16', listOfHalves, rows],
  [
    'a table with float16',
    new Table({ a: halves, b: makeVector(Float32Array.of(4, 5, 6)) }),
    [
      [1, 2.5, -3],
      [4, 5, 6],
    ],
  ],
])('%s of Arrow has the same values by the expression of the error', async (_what, input, expected) => {
  expect(await tensor(await passed(input)).array()).toEqual(expected);
});

const labels = vectorFromArray([1n, 2n, 0n], new Int64());
const exactly = [16777217, 0.1, -3];
const doubles = vectorFromArray(exactly, new Float64());

test.each([
  ['int64', labels, [1, 2, 0]],
  ['uint64', vectorFromArray([1n, 2n], new Uint64()), [1, 2]],
  ['dates', vectorFromArray([new Date(16777217)], new DateMillisecond()), [16777217]],
  ['days', vectorFromArray([new Date(864e5)], new DateDay()), [864e5]],
  ['times of 64 bits', vectorFromArray([5n], new TimeNanosecond()), [5]],
  ['timestamps', vectorFromArray([5, 16777217], new TimestampMillisecond()), [5, 16777217]],
  ['durations', vectorFromArray([5n], new DurationSecond()), [5]],
  ['a dictionary of int64', vectorFromArray([5n, 6n], new Dictionary(new Int64(), new Int32())), [5, 6]],
  ['a dictionary of float64', vectorFromArray(exactly, new Dictionary(new Float64(), new Int32())), exactly],
  [
    'int32 and float64 in one table',
    new Table({ a: vectorFromArray([1, 2, 3], new Int32()), b: doubles }),
    [[1, 2, 3], exactly],
  ],
  [
    'int64, float16, booleans and float64 in one table',
    new Table({ a: labels, b: halves, c: vectorFromArray([true, false, true], new Bool()), d: doubles }),
    [[1, 2, 0], [1, 2.5, -3], [1, 0, 1], exactly],
  ],
])('%s of Arrow are read as float64', async (_what, input, expected) => {
  const x = tensor(await passed(input));
  expect([x.dtype, await x.array()]).toEqual(['float64', expected]);
});

test('booleans of Arrow are a mask, and integers of 64 bits class indices', async () => {
  const mask = vectorFromArray([true, null, false], new Bool());
  expect(await softmax([1, 2, 3], { mask: (await passed(mask)) as MaskInput }).array()).toEqual([1, 0, 0]);
  expect(instead(labels)).toMatch(/, or Array\.from\(x, Number\) for class indices$/);
  expect(crossEntropy.loss([[1, 2, 3]], Array.from(labels.slice(0, 1), Number)).size).toBe(1);
});

const { NaN: missing } = Number;
const incomplete = vectorFromArray([1, null, 3], new Float64());
const listOf = (type: Float16 | Float32 | Int64) => new List(new Field('row', type, true));

test.each([
  ['a column of float64', incomplete, [1, missing, 3]],
  ['a column of float16', vectorFromArray([1, null], new Float16()), [1, missing]],
  ['a column of int32', vectorFromArray([1, null], new Int32()), [1, missing]],
  ['a column of int64', vectorFromArray([1n, null], new Int64()), [1, missing]],
  ['a dictionary', vectorFromArray([5n, null], new Dictionary(new Int64(), new Int32())), [5, missing]],
  ['a column of lists that have missing entries', vectorFromArray([[1, null]], listOf(new Float32())), [[1, missing]]],
  ['a column of lists without a row', vectorFromArray([[1, 2], null], listOf(new Float32())), [[1, 2]]],
  [
    'a table of Arrow',
    new Table({ a: incomplete, b: vectorFromArray([1, 2, 3], new Int32()) }),
    [
      [1, missing, 3],
      [1, 2, 3],
    ],
  ],
  [
    'a table of Arquero',
    table({ a: [1, null, '', undefined], b: [0, 1, 16777217, 3] }),
    [
      [1, missing, missing, missing],
      [0, 1, 16777217, 3],
    ],
  ],
])('%s with missing values says so, and has no number for them', async (_what, input, expected) => {
  expect(instead(input)).toMatch(/, with what stands for its missing values$/);
  expect(await tensor(await passed(input)).array()).toEqual(expected);
});

test('the integers of Arquero may be BigInts', async () => {
  expect(await tensor(await passed(table({ a: [1n, 2n] }))).array()).toEqual([[1, 2]]);
});

test.each([
  ['columns of Arrow', doubles, [exactly]],
  ['ndarrays', ndarray(Float64Array.from([...exactly, 0]), [3], [-1], 2), [exactly.toReversed()]],
  ['tensors', tensor(Float64Array.from(exactly)), [exactly]],
  ['matrices of ml-matrix', new Matrix([[1, 2]]), [[[1, 2]]]],
])('of a list of %s the error names what to pass for each', async (_what, entry, expected) => {
  const read = await passed([entry], entry);
  expect(await tensor([read] as TensorInput).array()).toEqual(expected);
});

test.each([
  ['BigNumbers', matrix([[bignumber(1), bignumber(2)]]), [[1, 2]]],
  ['fractions', matrix([fraction(1, 2), fraction(1, 4)]), [0.5, 0.25]],
])('matrices of math.js of %s are read by the expression of the error', async (_what, input, expected) => {
  expect(await tensor(await passed(input)).array()).toEqual(expected);
});

test('arrays of jax-js, alone, as masks and in lists, are read by the expression of the error', async () => {
  // jax-js looks for WebGPU in `navigator`, which Node 20 does not have.
  vi.stubGlobal('navigator', globalThis.navigator ?? {});
  await init();
  const x = np.array([1, 2, 3]);
  expect(await tensor(await passed(x)).array()).toEqual([1, 2, 3]);
  const mask = (await passed(np.array([true, false, false]))) as MaskInput;
  expect(await softmax([1, 2, 3], { mask }).array()).toEqual([1, 0, 0]);
  expect(await tensor([await passed([x], x)] as TensorInput).array()).toEqual([[1, 2, 3]]);
});

test('tensors of TensorFlow.js, alone, as masks and in lists, are read by the expression of the error', async () => {
  const backend = await tfjs.open({ engine: 'cpu' });
  await tf.setBackend('cpu');
  const x = tf.tensor1d([1, 2, 16777217], 'int32');
  const read = tensor(await passed(x));
  expect([read.dtype, await read.array()]).toEqual(['int32', [1, 2, 16777217]]);
  const mask = tf.tensor1d([true, false, false]);
  let message = '';
  try {
    softmax([1, 2, 3], { mask: mask as unknown as MaskInput });
  } catch (error) {
    message = String(error);
  }
  expect(message).toContain('softmax: mask: cannot read an object (Tensor); if it is called x, pass { data: ');
  expect(await softmax([1, 2, 3], { mask: (await passed(mask)) as MaskInput }).array()).toEqual([1, 0, 0]);
  expect(await tensor([await passed([x], x)] as TensorInput).array()).toEqual([[1, 2, 16777217]]);
  await backend.close();
});

test("onnxruntime's and ndarray's types need no type argument", () => {
  const outputs: Readonly<Record<string, OnnxTensor>> = {
    logits: new OnnxTensor('float32', Float32Array.of(1, 2), [2]),
  };
  expect(softmax(outputs.logits as OnnxTensor).shape).toEqual([2]);
  const x: ndarray.NdArray = ndarray([1, 2], [2]);
  expect(softmax(x).shape).toEqual([2]);
  expect(() => softmax(new OnnxTensor('string', ['a'], [1]) as OnnxTensor)).toThrow('element 0 is the text "a"');
});

test.each([
  ['a table with decimals of Arrow, whose toArray() returns their words', new Table({ a: halves, b: decimals })],
  ['a column of decimals of Arrow', decimals],
  ['a column of texts of Arrow', vectorFromArray(['1', '2'], new Utf8())],
  ['a dictionary of texts of Arrow', vectorFromArray(['1', '2'])],
  ['a matrix of complex numbers of math.js', matrix([complex(1, 2)])],
  ['a Map, whose entries are pairs of a key and a value', new Map([[1, 2]])],
])('%s has no expression for its values', (_what, input) => {
  expect(() => tensor(input as unknown as TensorInput)).toThrow(/; expected nested arrays/);
});

test("a polyfill's Float16Array is read wherever a typed array is", async () => {
  const data = new Float16Array([1, 2.5]);
  const inputs: readonly unknown[] = [
    data,
    [data],
    [[data]],
    { data, shape: [2] },
    { data, shape: [2], strides: [-1], offset: 1 },
    { data, dims: [2], type: 'float16' },
  ];
  const read = await Promise.all(
    inputs.map(async (input) => {
      const x = tensor(input as TensorInput);
      return [x.shape, x.dtype, [...(await x.data())]];
    }),
  );
  expect(read).toEqual([
    [[2], 'float32', [1, 2.5]],
    [[1, 2], 'float32', [1, 2.5]],
    [[1, 1, 2], 'float32', [1, 2.5]],
    [[2], 'float32', [1, 2.5]],
    [[2], 'float32', [2.5, 1]],
    [[2], 'float32', [1, 2.5]],
  ]);
});

test('a tensor of onnxruntime on a device says how to fetch its data', () => {
  const x = OnnxTensor.fromGpuBuffer({} as never, { dataType: 'float32', dims: [1, 2] });
  expect(instead(x)).toBe('{ data: await x.getData(), dims: x.dims, type: x.type }');
});

test('64-bit labels of onnxruntime are refused with the conversion', () => {
  expect(instead(new OnnxTensor('int64', BigInt64Array.of(1n), [1]))).toContain('Int32Array.from(data, Number)');
});
