import { type Backend, crossEntropy, type FloatDType, tensor } from '@softgrad/core';
import { expect, test } from 'vitest';

/** The exponent of the first power of 2 beyond the range. */
const beyond = { float32: 128, float64: 1024 } as const;
/** Exponents of 1 / (divisor · T) from there on: at each of the first a kernel may begin to split it into two factors. */
const offsets = [-4, -3, -2, -1, 0, 1, 2, 3, 17, 30];
const exponent = -95;
const temperature = 2 ** exponent;

const classes = [0, 1, 2, 3];
const ignoreIndex = 9;

/** The last row has no target. A masked class makes backend wasm compute with vectors of target weights. */
const problems = ([0, 1] as const).flatMap((axis) =>
  (
    [
      [0, 1, 2, 3, ignoreIndex],
      [0, 1, 2, 2, ignoreIndex],
    ] as const
  ).map((targets, k) => ({
    axis,
    targets,
    mask: k === 0 ? undefined : [true, true, true, false],
  })),
);

/**
 * Means whose divisor is small, because class weights of opposite signs cancel: 1 / (divisor · T) goes beyond the range, but the gradients of
 * confident rows do not. For backends that compute with operands up to the ends of the range.
 */
export function testSmallDivisors(backend: Backend): void {
  test.each(['float32', 'float64'] as const)(
    'a gradient of a mean is in the range although its factor is not: %s',
    async (dtype: Exclude<FloatDType, 'float16'>) => {
      const unit = dtype === 'float64' ? 2 ** -52 : 2 ** -23;
      for (const offset of offsets) {
        const share = 2 ** -(beyond[dtype] + offset + exponent);
        const weight = [1, -1, share, share];
        for (const { axis, targets, mask } of problems) {
          const rows = targets.length;
          const at = (row: number, c: number) => (axis === 1 ? row * classes.length + c : c * rows + row);
          const x = new Float64Array(rows * classes.length);
          const expected = new Float64Array(x.length);
          for (const [row, target] of targets.entries()) {
            const quotient = (c: number) => (c === target ? 0 : -40 - c);
            const others = classes.filter((c) => c !== target && (mask?.[c] ?? true));
            const sum = others.reduce((total, c) => total + Math.exp(quotient(c)), 0);
            // The weights of the targets add up to twice the share.
            const factor = (weight[target] ?? 0) / (2 * share);
            for (const c of classes) {
              x[at(row, c)] = quotient(c) * temperature;
              const difference = c === target ? -sum : others.includes(c) ? Math.exp(quotient(c)) : 0;
              expected[at(row, c)] = difference * factor * 2 ** -exponent;
            }
          }
          const shape = axis === 1 ? [rows, classes.length] : [classes.length, rows];
          const options = { axis, temperature, weight, ignoreIndex };
          const kept = mask && (axis === 1 ? [mask] : mask.map((keep) => [keep]));
          const logits = tensor(x, { shape, dtype, backend });
          const gradient = await crossEntropy
            .gradient(logits, targets, kept ? { ...options, mask: kept } : options)
            .data();
          const errors = Array.from(gradient, (value, i) => Math.abs(Number(value) - (expected[i] ?? Number.NaN)));
          const wrong = errors.findIndex((error, i) => !(error <= 8 * unit * Math.abs(expected[i] ?? 0)));
          expect({ offset, axis, mask, wrong }).toEqual({ offset, axis, mask, wrong: -1 });
        }
      }
    },
  );
}
