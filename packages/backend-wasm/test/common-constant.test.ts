import { crossEntropy, type FloatDType, logSoftmax, softmax, softmin, tensor } from '@softgrad/core';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { testCommonConstantOfLoss } from '../../../common-constant.shared.js';
import { wasm } from '../src/index.js';

type Opened = Awaited<ReturnType<typeof wasm.open>>;
let backend: Opened;
beforeAll(async () => {
  backend = await wasm.open();
});
afterAll(() => backend.close());

const constants = { float32: [2 ** 16, -1000], float64: [2 ** 40, -(2 ** 30)] } as const;
const unit = { float32: 2 ** -24, float64: 2 ** -53 } as const;

/** Every way in which rows are processed. */
const longest = inject('everything') ? [1000, 5000] : [1000];
const shapes: Record<FloatDType & keyof typeof unit, readonly (readonly [number, number])[]> = {
  float32: [2, 3, 4, 5, 8, 11, 16, 17, 18, 24, 33, 128, ...longest].map((classes) => [9, classes] as const),
  float64: [2, 3, 4, 5, 7, 8, 9, 17, 33, 128, ...longest].map((classes) => [9, classes] as const),
};
const columns = [2, 3, 4, 5, 7, 17, 40];

describe.each(['float32', 'float64'] as const)('%s', (dtype) => {
  test.each(inject('everything') ? [1, 0.3, 200] : [1, 200])(
    'at temperature %d a constant that all cotangents have in common costs no digits',
    async (T) => {
      const sizes = [
        ...shapes[dtype].map(([rows, classes]) => ({ rows, classes, axis: 1 })),
        ...columns.map((classes) => ({ rows: 9, classes, axis: 0 })),
      ];
      for (const { rows, classes, axis } of sizes) {
        const shape = axis === 1 ? [rows, classes] : [classes, rows];
        const x = tensor(
          values(shape, (row, c) => (T * (Math.cos(row + c * c) - 1)) / 4, axis),
          { shape, dtype, backend },
        );
        const s = softmax(x, { axis, temperature: T });
        const y = logSoftmax(x, { axis, temperature: T });
        for (const constant of constants[dtype]) {
          for (const isMasked of [false, true]) {
            const small = values(shape, (row, c) => Math.round(60 * Math.sin(row + 3 * c)) / 64, axis);
            const large = tensor(
              small.map((value) => value + constant),
              { shape, dtype, backend },
            );
            const mask = isMasked
              ? values(shape, (_, c) => (c % 3 === 0 && classes > 4 ? 0 : 1), axis).map(Boolean)
              : null;
            if (mask && classes <= 4) continue;
            const p = mask
              ? softmax(x, { axis, temperature: T, mask: tensor(mask, { shape, dtype: 'bool', backend }) })
              : s;
            const label = JSON.stringify({ shape, axis, constant, isMasked });
            const expected = derivatives(await p.data(), small, shape, axis, T);
            assertEach(await softmax.vjp(p, large, { axis, temperature: T }).data(), expected.ofSoftmax, label);
            if (!mask)
              assertEach(
                await logSoftmax.jvp(y, large, { axis, temperature: T }).data(),
                expected.ofLog,
                `log ${label}`,
              );
            if (!mask) {
              const q = softmin(x, { axis, temperature: T });
              const ofSoftmin = derivatives(await q.data(), small, shape, axis, -T).ofSoftmax;
              assertEach(await softmin.vjp(q, large).data(), ofSoftmin, `softmin ${label}`);
              // The cotangent is overwritten.
              assertEach(
                await softmax.vjp(s, large, { axis, temperature: T, out: large }).data(),
                expected.ofSoftmax,
                `in place ${label}`,
              );
            }
          }
        }
      }

      function assertEach(
        found: ArrayLike<number>,
        expected: readonly { value: number; size: number }[],
        label: string,
      ) {
        for (const [i, { value, size }] of expected.entries()) {
          const bound = 200 * unit[dtype] * size;
          if (!(Math.abs(found[i] - value) <= bound))
            expect.fail(`${label}: element ${i} is ${found[i]}, expected ${value} ± ${bound}`);
        }
      }
    },
  );
});

testCommonConstantOfLoss(
  ['float32', 'float64'],
  async ({ logits, tangent, target, labelSmoothing, shape, axis, dtype }) => {
    const [x, t] = [logits, tangent].map((values) => tensor(values, { shape, dtype, backend }));
    const q = target instanceof Float64Array ? tensor(target, { shape, dtype, backend }) : target;
    return crossEntropy.jvp(x, q, t, { axis, labelSmoothing, reduction: 'none' }).data();
  },
);

/** A function of row and class, as the elements of a matrix whose rows are along an axis. */
function values(shape: readonly number[], f: (row: number, c: number) => number, axis: number): number[] {
  return Array.from({ length: shape[0] * shape[1] }, (_, i) => {
    const [a, b] = [Math.floor(i / shape[1]), i % shape[1]];
    return axis === 1 ? f(a, b) : f(b, a);
  });
}

/** `s_i Σ_j s_j (g_i − g_j) / T`, that without the factor s_i, and the sizes of their terms. */
function derivatives(s: ArrayLike<number>, g: readonly number[], shape: readonly number[], axis: number, T: number) {
  const [rows, classes] = axis === 1 ? shape : [shape[1], shape[0]];
  const index = (row: number, c: number) => (axis === 1 ? row * classes + c : c * rows + row);
  const ofSoftmax: { value: number; size: number }[] = [];
  const ofLog: { value: number; size: number }[] = [];
  for (let row = 0; row < rows; row++) {
    let mean = 0;
    let total = 0;
    let size = 0;
    for (let c = 0; c < classes; c++) {
      const i = index(row, c);
      mean += s[i] * g[i];
      total += s[i];
      size += s[i] * Math.abs(g[i]);
    }
    for (let c = 0; c < classes; c++) {
      const i = index(row, c);
      const value = (g[i] * total - mean) / T;
      const terms = (Math.abs(g[i]) + size) / Math.abs(T);
      ofLog[i] = { value, size: terms };
      ofSoftmax[i] = { value: s[i] * value, size: s[i] * terms };
    }
  }
  return { ofSoftmax, ofLog };
}
