import { setFlagsFromString } from 'node:v8';
import { expect, test } from 'vitest';
import { rowsOf } from '../src/tensor/shape.js';

setFlagsFromString('--allow-natives-syntax');
const isHeldAsInteger = new Function('value', 'return %IsSmi(value)') as (value: number) => boolean;

test('the rows of a shape that is held as floats are held as integers, which makes loops over them faster', () => {
  const shape = [...new Float64Array([2, 3, 5])];
  expect(shape.map(isHeldAsInteger)).toEqual([false, false, false]);
  expect(rowsOf(shape, 1)).toEqual({ outer: 2, classes: 3, inner: 5 });
  expect(Object.values(rowsOf(shape, 1)).map(isHeldAsInteger)).toEqual([true, true, true]);
  expect(rowsOf([2 ** 31, 2 ** 32, 0], 1)).toEqual({ outer: 2 ** 31, classes: 2 ** 32, inner: 0 });
});
