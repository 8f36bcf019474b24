import { type Backend, type CrossEntropyParameters, type FloatDType, hostArray, type Rows } from '@softgrad/core';
import { plain, plainCrossEntropy, reference, referenceCrossEntropy, tolerance } from '@softgrad/core/conformance';
import { describe, expect, inject, test } from 'vitest';
import { type WasmBuffer, wasm } from '../src/index.js';
import { rowLengths } from './defines.js';
import { compute, logits, random } from './ulp.js';

type Host = Float32Array | Float64Array;

const lengthsOf = (dtype: FloatDType) => rowLengths(dtype).filter((length) => length < 1100);

/** Numbers of rows that leave groups and blocks incomplete; short rows of `npm test` are either one or more than a block. */
function counts(classes: number): readonly number[] {
  if (classes >= 20) return [1, 5];
  const moreThanBlock = 4 * Math.floor(256 / classes) + 3;
  return inject('everything') ? [1, 5, moreThanBlock] : [1, moreThanBlock];
}

/** Runs a kernel that writes into the middle of a buffer of sevens, at an odd element, and asserts that the sevens around it are unchanged. */
function guarded(
  backend: Backend<WasmBuffer>,
  dtype: FloatDType,
  length: number,
  operands: readonly Host[],
  run: (out: WasmBuffer, ...operands: readonly WasmBuffer[]) => void,
): ArrayLike<number> {
  const bytes = dtype === 'float64' ? 8 : 4;
  const place = (host: Host) => {
    const room = backend.alloc(host.length + 16, dtype);
    backend.write(room, hostArray(host.length + 16, dtype).fill(7));
    const inside = { ...room, address: room.address + 5 * bytes, length: host.length };
    backend.write(inside, host);
    return { room, inside };
  };
  const out = place(hostArray(length, dtype) as Host);
  const placed = operands.map(place);
  run(out.inside, ...placed.map(({ inside }) => inside));
  const all = backend.readSync?.(out.room) ?? [];
  for (let i = 0; i < all.length; i++) {
    if ((i < 5 || i >= 5 + length) && all[i] !== 7) expect.fail(`wrote outside, at ${i - 5} of ${length}`);
  }
  for (const { room } of [out, ...placed]) backend.free(room);
  return Array.prototype.slice.call(all, 5, 5 + length);
}

function outside(actual: ArrayLike<number>, expected: ArrayLike<number>, bounds: ArrayLike<number>): readonly string[] {
  return Array.from({ length: expected.length }, (_, i) => i)
    .filter((i) => !(Math.abs(actual[i] - expected[i]) <= bounds[i]))
    .map((i) => `${i}: ${actual[i]}, expected ${expected[i]}`)
    .slice(0, 3);
}

test('lengths of rows: npm test has those on both sides of each threshold, and few others', () => {
  const counts = (['float32', 'float64'] as const).map((dtype) => rowLengths(dtype).length);
  expect(counts).toEqual(inject('everything') ? [51, 48] : [26, 22]);
});

describe.each(['float32', 'float64'] as const)('%s', (dtype: FloatDType) => {
  test.each(lengthsOf(dtype))(
    'the derivatives of softmax over rows of %i are right and touch nothing else',
    async (classes) => {
      const backend = await wasm.open({ relaxedSimd: false });
      const precision = tolerance.precisionOf(backend.supports, dtype);
      for (const outer of counts(classes)) {
        const rows: Rows = { outer, classes, inner: 1 };
        const size = outer * classes;
        // Flat rows and nearly one-hot rows.
        for (const spread of [1, 30]) {
          const x = logits(dtype, size, spread, 0, classes + outer);
          const s = compute(backend, [x], (out, input) => backend.softmax(out, input, rows, plain));
          const probabilities = dtype === 'float64' ? Float64Array.from(s) : Float32Array.from(s);
          const g = logits(dtype, size, 3, 1, classes + 1);
          const vjp = guarded(backend, dtype, size, [probabilities, g], (out, a, b) =>
            backend.vjp(out, a, b, rows, plain),
          );
          const expected = reference.softmaxVjp(probabilities, g, rows);
          const bounds = tolerance.softmaxVjpTolerance(precision, probabilities, g, expected, rows);
          expect(outside(vjp, expected, bounds)).toEqual([]);
          if (size * classes > (inject('everything') ? 70_000 : 20_000)) continue;
          const jacobian = guarded(backend, dtype, size * classes, [probabilities], (out, a) =>
            backend.jacobian(out, a, rows, plain),
          );
          const matrices = reference.softmaxJacobian(probabilities, rows);
          const entries = tolerance.softmaxJacobianTolerance(precision, probabilities, matrices, rows);
          expect(outside(jacobian, matrices, entries)).toEqual([]);
        }
      }
    },
  );

  test.each(lengthsOf(dtype))(
    'logSoftmax and crossEntropy over rows of %i are right and touch nothing else',
    async (classes) => {
      const backend = await wasm.open({ relaxedSimd: false });
      const precision = tolerance.operationPrecision(backend.supports, dtype);
      const [unit, floor] = dtype === 'float64' ? [2 ** -53, 2 ** -1074] : [2 ** -24, 2 ** -149];
      for (const outer of counts(classes)) {
        const rows: Rows = { outer, classes, inner: 1 };
        const size = outer * classes;
        for (const { spread, temperature, isWeighted } of [
          { spread: 1, temperature: 1, isWeighted: true },
          { spread: 30, temperature: 1, isWeighted: false },
          { spread: 90, temperature: 1, isWeighted: true },
          { spread: 4, temperature: -0.5, isWeighted: true },
        ]) {
          const x = logits(dtype, size, spread, 0, classes + outer);
          const parameters = { temperature, mask: null };
          const log = guarded(backend, dtype, size, [x], (out, input) =>
            backend.kernels?.logSoftmax?.(out, input, rows, parameters),
          );
          const expected = reference.logSoftmax(x, rows, { temperature });
          expect(
            outside(log, expected, tolerance.logSoftmaxTolerance(precision, x, expected, rows, { temperature })),
          ).toEqual([]);

          const next = random(size);
          const indices = Int32Array.from({ length: outer }, () =>
            next() < 0.1 ? -100 : Math.floor(next() * classes),
          );
          // Without weights and a scale, each row's factor is 1.
          const weight = isWeighted ? logits(dtype, classes, 0.5, 1, 5) : null;
          const scale = isWeighted ? 0.25 : 1;
          const target = backend.alloc(outer, 'int32');
          const weights = weight && backend.alloc(classes, dtype);
          const loss = backend.alloc(outer, dtype);
          backend.write(target, indices);
          if (weights && weight) backend.write(weights, weight);
          const settings: CrossEntropyParameters<WasmBuffer> = {
            ...plainCrossEntropy,
            ...parameters,
            target: { kind: 'indices', buffer: target },
            weight: weights,
            scale,
          };
          const gradient = guarded(backend, dtype, size, [x], (out, input) =>
            backend.kernels?.crossEntropy?.({ loss, gradient: out }, input, rows, settings),
          );
          const losses = backend.readSync?.(loss) ?? [];
          const alone = backend.alloc(outer, dtype);
          const logitsBuffer = backend.alloc(size, dtype);
          backend.write(logitsBuffer, x);
          backend.kernels?.crossEntropy?.({ loss: alone, gradient: null }, logitsBuffer, rows, settings);
          const right = referenceCrossEntropy(x, { kind: 'indices', values: indices }, rows, {
            temperature,
            weight,
            reduction: 'none',
          });
          const wanted = right.loss.map((value) => value * scale);
          const lossBounds = wanted.map((value) => 12 * unit * Math.abs(value) + floor);
          expect(outside(losses, wanted, lossBounds)).toEqual([]);
          expect(outside(backend.readSync?.(alone) ?? [], wanted, lossBounds)).toEqual([]);
          const slopes = right.gradient.map((value) => value * scale);
          expect(
            outside(
              gradient,
              slopes,
              slopes.map((value) => 10 * unit * Math.abs(value) + floor),
            ),
          ).toEqual([]);
          for (const buffer of [target, ...(weights ? [weights] : []), loss, alone, logitsBuffer]) backend.free(buffer);
        }
      }
    },
  );
});
