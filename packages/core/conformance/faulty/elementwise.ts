import type { ExactBuffer } from '../exact.js';
import { type Fault, faultyKernels, valueAt } from './fault.js';

/** Mistakes of elementwise functions. */
export const faultyElementwise: readonly Fault[] = [
  faultyKernels(
    'naive-sigmoid',
    'computes 1 / (1 + exp(−x)), which is 0 where exp(−x) overflows.',
    'sigmoid/values:shape=7x5;axis=1;input=wide',
    () => ({ sigmoid: (out, x) => out.data.set(x.data.map((v) => 1 / (1 + Math.fround(Math.exp(-v))))) }),
  ),
  faultyKernels(
    'relu-swallows-nan',
    'compares with 0, which turns NaN into 0.',
    'relu/values:shape=7x5;axis=1;input=nan',
    () => ({ relu: (out, x) => out.data.set(x.data.map((v) => (v <= 0 || Number.isNaN(v) ? 0 : v))) }),
  ),
  faultyKernels(
    'relu-slope-at-zero',
    'passes the gradient where y is 0.',
    'relu/vjp:shape=7x5;axis=1;input=broad',
    () => ({ reluVjp: (out, y, g) => out.data.set(y.data.map((v, i) => (v >= 0 ? valueAt(g, i) : 0))) }),
  ),
  ...(['sigmoid', 'relu'] as const).map((name) =>
    faultyKernels(
      `${name}-vjp-beside-nan`,
      'multiplies four elements by 0 if one of their cotangents is not finite.',
      `${name}/vjp:shape=7x5;axis=1;input=nan`,
      (right) => ({
        [`${name}Vjp`](out: ExactBuffer, y: ExactBuffer, g: ExactBuffer, length: number) {
          const sums = g.data.map((_, i) =>
            [0, 1, 2, 3].reduce((sum, k) => sum + 0 * (g.data[i - (i % 4) + k] ?? 0), 0),
          );
          right[`${name}Vjp`]?.(out, y, g, length);
          out.data.set(out.data.map((value, i) => value + (sums[i] ?? 0)));
        },
      }),
    ),
  ),
];
