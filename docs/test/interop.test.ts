import { tableFromArrays } from 'apache-arrow';
import { table } from 'arquero';
import { matrix } from 'mathjs';
import { Matrix } from 'ml-matrix';
import { Tensor as OnnxTensor } from 'onnxruntime-common';
import { isSoftgradError, softmax, type TensorInput } from 'softgrad';
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

test('a tensor of onnxruntime on a device says how to fetch its data', () => {
  const x = OnnxTensor.fromGpuBuffer({} as never, { dataType: 'float32', dims: [1, 2] });
  expect(instead(x)).toBe('{ data: await x.getData(), dims: x.dims, type: x.type }');
});

test('64-bit labels of onnxruntime are refused with the conversion', () => {
  expect(instead(new OnnxTensor('int64', BigInt64Array.of(1n), [1]))).toContain('Int32Array.from(data, Number)');
});
