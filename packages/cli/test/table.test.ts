import { expect, test } from 'vitest';
import { formatAlike } from '../src/table.js';

test.each([
  [
    [1, -2, 0],
    ['1', '-2', '0'],
  ],
  [
    [0.0486, 0.5],
    ['0.048600', '0.500000'],
  ],
  [
    [12.345678, 0.05],
    ['12.3457', '0.0500'],
  ],
  // Six digits after the first of −1003.05 leave one of −0.0486: that is no result.
  [
    [-1003.0486, -0.0486],
    ['-1.00305e+3', '-4.86000e-2'],
  ],
  [
    [-1e5, -1.0986123],
    ['-1.00000e+5', '-1.09861e+0'],
  ],
  [
    [Number.NEGATIVE_INFINITY, -1.0986123, 0],
    ['-Infinity', '-1.09861', '0.00000'],
  ],
])('numbers of one table are in one notation that keeps digits of each: %j', (values, texts) => {
  expect(formatAlike(values)).toEqual(texts);
});
