import type { Backend, CrossEntropyParameters, FloatDType, Rows } from '@softgrad/core';
import { plainCrossEntropy } from '@softgrad/core/conformance';
import type { WasmBuffer } from '../src/index.js';
import { compute, logits } from './ulp.js';

/** The results of every kernel for logits, cotangents and targets of a shape: some rows are near each other, others far apart, undefined or huge. */
export function everyKernel(backend: Backend<WasmBuffer>, dtype: FloatDType, rows: Rows): readonly ArrayLike<number>[] {
  const { outer, classes, inner } = rows;
  const size = outer * classes * inner;
  const x = logits(dtype, size, 30, 0, 3);
  // The first block, and most others, have rows that are near each other; some have rows that are far apart, undefined, or too large for exp without a shift.
  for (let k = 0; 1500 + k * 1009 < size; k++)
    x[1500 + k * 1009] = [Number.NaN, Number.NEGATIVE_INFINITY, 400, -90, 1e30][k % 5];
  // So has the last block, which may be incomplete, of every other length.
  if (classes % 2 === 1) x[size - 1] = Number.NaN;
  const g = logits(dtype, size, 3, 1, 4);
  const t = logits(dtype, size, 2, 0, 7);
  const plain = { temperature: 1, mask: null };
  const { kernels, basis } = backend;
  const indices = backend.alloc(outer * inner, 'int32');
  backend.write(
    indices,
    Int32Array.from({ length: outer * inner }, (_, row) => (row % 9 ? (row * 7) % classes : -100)),
  );
  const mask = backend.alloc(size, 'bool');
  backend.write(
    mask,
    Uint8Array.from({ length: size }, (_, i) => Number(i % 5 !== 0)),
  );
  const masked = { temperature: 2, mask: { buffer: mask, outer } };
  /** Rows whose masked probabilities are 0 take another way. */
  const zeroed = x.map((value, i) => (i % 5 ? value : 0));
  const maskedVjp = (s: typeof x, temperature: number) =>
    compute(backend, [s, g], (out, a, b) => kernels?.maskedVjp?.(out, a, b, rows, { ...masked, temperature }));
  const scaled = { ...plainCrossEntropy, scale: 0.5 };
  const loss = backend.alloc(outer * inner, dtype);
  backend.write(loss, logits(dtype, outer * inner, 2, 0, 8));
  const both = (target: CrossEntropyParameters<WasmBuffer>['target'], more: object) => {
    const parameters = { ...scaled, target, ...more };
    const gradient = compute(backend, [x], (out, input) =>
      kernels?.crossEntropy?.({ loss, gradient: out }, input, rows, parameters),
    );
    return [gradient, backend.readSync?.(loss) ?? []];
  };
  const byIndex = { kind: 'indices', buffer: indices } as const;
  /** Only the loss, and only the gradient, in place. */
  const apart = (temperature: number) => {
    const parameters = { ...scaled, temperature, target: byIndex };
    compute(backend, [x], (_, input) => kernels?.crossEntropy?.({ loss, gradient: null }, input, rows, parameters));
    const losses = backend.readSync?.(loss) ?? [];
    const gradient = compute(backend, [x], (out) => {
      backend.write(out, x);
      kernels?.crossEntropy?.({ loss: null, gradient: out }, out, rows, parameters);
    });
    return [losses, gradient];
  };
  const shares = backend.alloc(size, dtype);
  backend.write(shares, logits(dtype, size, 0.5, 0.5, 6));
  const weight = backend.alloc(classes, dtype);
  backend.write(weight, logits(dtype, classes, 0.5, 1, 5));
  const byShare = { kind: 'probabilities', buffer: shares } as const;
  /** One value for each row, in a buffer of exactly that length. */
  const ofRows = (use: (out: WasmBuffer, input: WasmBuffer) => void) => {
    const [input, out] = [backend.alloc(size, dtype), backend.alloc(outer * inner, dtype)];
    backend.write(input, x);
    use(out, input);
    const values = backend.readSync?.(out) ?? [];
    for (const buffer of [input, out]) backend.free(buffer);
    return values;
  };
  const all = [
    compute(backend, [x], (out, input) => backend.softmax(out, input, rows, plain)),
    compute(backend, [x, g], (out, a, b) => backend.vjp(out, a, b, rows, plain)),
    compute(backend, [x, g], (out, a, b) => backend.vjp(out, a, b, rows, { temperature: 2 })),
    ...(inner === 1 ? [x, zeroed].flatMap((s) => [1, 2].map((temperature) => maskedVjp(s, temperature))) : []),
    compute(backend, [x], (out, input) => backend.softmax(out, input, rows, { temperature: -3, mask: null })),
    compute(backend, [x], (out, input) => backend.softmax(out, input, rows, masked)),
    compute(backend, [x], (out, input) => kernels?.logSoftmax?.(out, input, rows, plain)),
    compute(backend, [x], (out, input) => kernels?.logSoftmax?.(out, input, rows, masked)),
    compute(backend, [x, g], (out, a, b) => kernels?.logSoftmaxVjp?.(out, a, b, rows, { temperature: 1 })),
    compute(backend, [x, g], (out, a, b) => kernels?.logSoftmaxJvp?.(out, a, b, rows, { temperature: 1 })),
    compute(backend, [x, g, t], (out, a, b, c) => kernels?.softmaxHvp?.(out, a, b, c, rows, { temperature: 1 })),
    compute(backend, [x, g, t], (out, a, b, c) => kernels?.logSoftmaxHvp?.(out, a, b, c, rows, { temperature: 2 })),
    compute(backend, [x, t], (out, a, b) => kernels?.logSumExpHvp?.(out, a, loss, b, rows, plain)),
    compute(backend, [x, t], (out, a, b) => kernels?.logSumExpHvp?.(out, a, loss, b, rows, masked)),
    ofRows((out, input) => kernels?.logSumExp?.(out, input, rows, plain)),
    ...both(byIndex, {}),
    ...both(byIndex, { temperature: 3 }),
    ...both(byIndex, { labelSmoothing: 0.1 }),
    ...apart(1),
    ...apart(3),
    ...both(byIndex, { weight }),
    ...both(byIndex, { ...masked, weight }),
    ...both(byShare, { weight, labelSmoothing: 0.1 }),
    ...both(byShare, masked),
    compute(backend, [x], (out, input) => kernels?.sigmoid?.(out, input, input.length)),
    compute(backend, [x], (out, input) => basis?.unary(out, 'exp', input, size)),
    compute(backend, [x], (out, input) => basis?.unary(out, 'log', input, size)),
    compute(backend, [x], (out, input) => basis?.unary(out, 'neg', input, size)),
    compute(backend, [x], (out, input) => basis?.transpose(out, input, rows)),
    ofRows((out, input) => basis?.reduce(out, 'sum', input, rows)),
    ofRows((out, input) => basis?.reduce(out, 'max', input, rows)),
    compute(backend, [x, g], (out, a, b) => kernels?.sigmoidVjp?.(out, a, b, size)),
    compute(backend, [x, g, t], (out, a, b, c) => kernels?.sigmoidHvp?.(out, a, b, c, size)),
    compute(backend, [x], (out, input) => kernels?.relu?.(out, input, size)),
    compute(backend, [x, g], (out, a, b) => kernels?.reluVjp?.(out, a, b, size)),
    ofRows((out, input) => kernels?.logSumExp?.(out, input, rows, masked)),
  ];
  const few = { ...rows, outer: Math.max(1, Math.min(outer, Math.floor(600_000 / (classes * classes * inner)))) };
  if (few.outer * inner * classes * classes <= 4.5e6) {
    const s = backend.alloc(few.outer * classes * inner, dtype);
    const matrices = backend.alloc(s.length * classes, dtype);
    backend.write(s, x.subarray(0, s.length));
    backend.jacobian(matrices, s, few, plain);
    all.push(backend.readSync?.(matrices) ?? []);
    backend.jacobian(matrices, s, few, { temperature: 2 });
    all.push(backend.readSync?.(matrices) ?? []);
    kernels?.logSoftmaxJacobian?.(matrices, s, few, { temperature: 1 });
    all.push(backend.readSync?.(matrices) ?? []);
    for (const buffer of [s, matrices]) backend.free(buffer);
  }
  for (const buffer of [indices, mask, loss, shares, weight]) backend.free(buffer);
  return all;
}
