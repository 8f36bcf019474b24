import { Float16Array } from '@petamoriken/float16';
import {
  Decimal,
  Field,
  FixedSizeList,
  Float16,
  Float32,
  List,
  makeVector,
  Table,
  tableFromArrays,
  vectorFromArray,
} from 'apache-arrow';
import { table } from 'arquero';
import { matrix } from 'mathjs';
import { Matrix } from 'ml-matrix';
import { Tensor as OnnxTensor } from 'onnxruntime-common';
import { isSoftgradError, softmax, type TensorInput, tensor } from 'softgrad';
import { expect, test } from 'vitest';

/** The expression that the error suggests for an input that cannot be read. */
function instead(input: unknown): string {
  try {
    // JavaScript without types can pass these.
    softmax(input as TensorInput);
  } catch (error) {
    if (isSoftgradError(error) && error.code === 'ERR_DTYPE') return error.message.replace(/^.* pass /, '');
    throw error;
  }
  return 'it was read';
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
] as const)('for %s the error names an expression that is read', (_what, input, expected, shape) => {
  const text = instead(input);
  expect(text).toMatch(expected);
  const [expression] = text.split(', whose shape');
  // A reader's code with the expression that the error suggests, where x is the object.
  const read: unknown = new Function('x', `return ${expression}`)(input);
  expect(softmax(read as TensorInput).shape).toEqual(shape);
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
  const [expression] = instead(input).split(', whose shape');
  const read: unknown = new Function('x', `return ${expression}`)(input);
  expect(await tensor(read as TensorInput).array()).toEqual(expected);
});

test.each([
  ['a table with decimals of Arrow, whose toArray() returns their words', new Table({ a: halves, b: decimals })],
  ['a column of decimals of Arrow', decimals],
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
