import { describe, expect, test } from 'vitest';
import { exact } from '../conformance/index.js';
import { gradcheck, gradgradcheck, softmax, type Tensor, tensor } from '../src/index.js';

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

describe('a derivative may write to its operands and return them', () => {
  const x = like([[1, 2, 3]]);
  const direction = () => like([[1, 1, 1]]);
  const halfSquares = (values: Float64Array) => values.map((value) => value ** 2 / 2);
  const written = (values: ArrayLike<number>, out: Tensor) =>
    tensor(Float64Array.from(values), { shape: out.shape, out });
  const products = (a: Tensor, b: Tensor) => a.dataSync().map((value, i) => Number(value) * Number(b.dataSync()[i]));

  test.each([
    ['its cotangent', (at: Tensor, g: Tensor) => written(products(at, g), g), true],
    ['x', (at: Tensor, g: Tensor) => written(products(at, g), at), true],
    ['its cotangent, with zeros', (_: Tensor, g: Tensor) => written([0, 0, 0], g), false],
  ] as const)('%s', async (_, vjp, ok) => {
    const cotangent = direction();
    const report = await gradcheck({ name: 'half squares', forward: halfSquares, vjp }, x, { cotangent });
    expect(report).toMatchObject({ ok, checked: 3 });
    const hvp = (at: Tensor, g: Tensor, t: Tensor) => vjp(t, g) && vjp(at, g);
    await gradgradcheck({ name: 'half squares', forward: halfSquares, hvp }, x, { cotangent, tangent: cotangent });
    expect([[...x.dataSync()], [...cotangent.dataSync()]]).toEqual([
      [1, 2, 3],
      [1, 1, 1],
    ]);
  });

  test('what the caller passed in stays alive, whichever of it is returned', async () => {
    const [cotangent, tangent] = [direction(), direction()];
    const linear = { name: 'linear', forward: (values: Float64Array) => values };
    const square = { name: 'half squares', forward: halfSquares };
    expect((await gradcheck({ ...linear, vjp: (_, g) => g }, x, { cotangent })).ok).toBe(true);
    expect((await gradcheck({ ...linear, vjp: () => cotangent }, x, { cotangent })).ok).toBe(true);
    expect((await gradcheck({ ...square, vjp: (at) => at }, x, { cotangent })).ok).toBe(true);
    for (const hvp of [(_: Tensor, g: Tensor) => g, (_: Tensor, __: Tensor, t: Tensor) => t, () => tangent]) {
      expect((await gradgradcheck({ ...square, hvp }, x, { cotangent, tangent })).ok).toBe(true);
    }
    expect([x, cotangent, tangent].map(({ disposed }) => disposed)).toEqual([false, false, false]);
  });
});
