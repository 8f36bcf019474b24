import { describe, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import { gradcheck, gradgradcheck, softmax, tensor } from '../src/index.js';

const backend = await exact.open();
const like = (values: number[][], dtype: 'float64' | 'float32' = 'float64') => tensor(values, { backend, dtype });

describe('options that would make every derivative right', () => {
  test.each([
    ['step', 0, '> 0, not 0'],
    ['step', -1e-3, '> 0, not -0.001'],
    ['step', Number.NaN, '> 0, not NaN'],
    ['step', Number.POSITIVE_INFINITY, '> 0, not Infinity'],
    ['tolerance', -1, '≥ 0, not -1'],
    ['tolerance', Number.NaN, '≥ 0, not NaN'],
    ['tolerance', Number.POSITIVE_INFINITY, '≥ 0, not Infinity'],
  ])('%s: %d is refused', async (option, value, expected) => {
    for (const check of [gradcheck, gradgradcheck]) {
      await expect(check(softmax, like([[1, 2]]), { [option]: value })).rejects.toMatchObject({
        code: 'ERR_VALUE',
        message: `${check.name}: ${option} must be a finite number ${expected}`,
      });
    }
  });
});
