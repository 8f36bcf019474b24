import type { FloatDType, Rows } from '@softgrad/core';
import { plainCrossEntropy, reference, referenceCrossEntropy } from '@softgrad/core/conformance';
import { describe, expect, test } from 'vitest';
import { type WasmBuffer, wasm } from '../src/index.js';
import { compute, logits, random, ulp } from './ulp.js';

// A bound of several ULP does not notice a step that is rounded once more. The mean error does.

const backend = await wasm.open({ relaxedSimd: false });
const { kernels } = backend;

type Host = Float32Array | Float64Array;

/** Rows at a temperature, from near uniform to nearly one-hot; in the last two one probability is above ½ in most rows. */
function problems(dtype: FloatDType) {
  const sizes = [
    [2, 1],
    [3, 1],
    [5, 4],
    [11, 4],
    [24, 20],
    [80, 20],
    [3, 20],
    [2, 8],
  ] as const;
  return [1, -2.87, 0.01].flatMap((temperature) =>
    sizes.map(([classes, spread], seed) => {
      const rows: Rows = { outer: Math.max(5, Math.ceil(400 / classes)), classes, inner: 1 };
      const size = rows.outer * classes;
      const x = logits(dtype, size, spread * Math.abs(temperature), 0, 10 * seed);
      const exact = reference.softmax(x, rows, { temperature });
      const s = dtype === 'float64' ? exact : Float32Array.from(exact);
      const [g, t, ofRow] = [size, size, rows.outer].map((length, k) => logits(dtype, length, 1, 0, 10 * seed + k + 1));
      return { temperature, rows, x, s, g, t, ofRow };
    }),
  );
}

type Problem = ReturnType<typeof problems>[number];

/** The largest and the mean error of some results. Errors are in ULP of `terms`, or of the result if that is larger or has no terms. */
interface Errors {
  largest: number;
  mean: number;
}

function errors(
  dtype: FloatDType,
  all: readonly {
    readonly actual: ArrayLike<number>;
    readonly expected: Float64Array;
    readonly terms?: Float64Array;
  }[],
): Errors {
  const found = all.flatMap(({ actual, expected, terms }) =>
    Array.from(expected.keys()).flatMap((i) => {
      const scale = Math.max(Math.abs(expected[i]), terms?.[i] ?? 0);
      return scale < 1e-30 ? [] : [Math.abs(actual[i] - expected[i]) / ulp(scale, dtype)];
    }),
  );
  return {
    largest: found.reduce((most, error) => Math.max(most, error), 0),
    mean: found.reduce((sum, error) => sum + error, 0) / found.length,
  };
}

/** Calls `sizeOf` with each row, and the size that it returns with each entry. */
function perEntry(
  { rows }: Problem,
  sizeOf: (at: readonly number[], row: number) => (i: number) => number,
): Float64Array {
  const out = new Float64Array(rows.outer * rows.classes);
  reference.rowIndices(rows).forEach((at, row) => {
    const size = sizeOf(at, row);
    for (const i of at) out[i] = size(i);
  });
  return out;
}

/** |v − o| + Σ p |v − o| of a direction, o its value at a probability above ½, or 0. */
function centred(s: Host, v: Host, at: readonly number[]): (i: number) => number {
  const top = at.find((i) => s[i] > 0.5);
  const origin = top === undefined ? 0 : v[top];
  const mean = at.reduce((sum, i) => sum + s[i] * Math.abs(v[i] - origin), 0);
  return (i) => Math.abs(v[i] - origin) + mean;
}

const curvature = (problem: Problem, factorOf: (at: readonly number[], row: number) => number) =>
  perEntry(problem, (at, row) => {
    const size = centred(problem.s, problem.t, at);
    const factor = Math.abs(factorOf(at, row)) / problem.temperature ** 2;
    return (i) => problem.s[i] * size(i) * factor;
  });

function softmaxHvp(problem: Problem) {
  const { temperature, rows, s, g, t } = problem;
  return {
    actual: compute(backend, [s, g, t], (out, a, b, c) => kernels?.softmaxHvp?.(out, a, b, c, rows, { temperature })),
    expected: reference.softmaxHvp(s, g, t, rows, { temperature }),
    terms: perEntry(problem, (at) => {
      const [a, b] = [centred(s, g, at), centred(s, t, at)];
      const mean = at.reduce((sum, i) => sum + s[i] * a(i) * b(i), 0);
      return (i) => (s[i] * (a(i) * b(i) + mean)) / temperature ** 2;
    }),
  };
}

function logSoftmaxHvp(problem: Problem) {
  const { temperature, rows, x, g, t } = problem;
  const exact = reference.logSoftmax(x, rows, { temperature });
  const y = x instanceof Float64Array ? exact : Float32Array.from(exact);
  return {
    actual: compute(backend, [y, g, t], (out, a, b, c) =>
      kernels?.logSoftmaxHvp?.(out, a, b, c, rows, { temperature }),
    ),
    expected: reference.logSoftmaxHvp(y, g, t, rows, { temperature }),
    terms: curvature(problem, (at) => at.reduce((sum, i) => sum + g[i], 0)),
  };
}

function logSumExpHvp(problem: Problem) {
  const { temperature, rows, x, t, ofRow } = problem;
  const cotangent = held(ofRow);
  const actual = compute(backend, [x, t], (out, a, b) =>
    kernels?.logSumExpHvp?.(out, a, cotangent, b, rows, { temperature, mask: null }),
  );
  backend.free(cotangent);
  return {
    actual,
    expected: reference.logSumExpHvp(x, ofRow, t, rows, { temperature }),
    terms: curvature(problem, (_, row) => ofRow[row]),
  };
}

describe.each([
  {
    dtype: 'float32',
    softmax: { largest: 2.3, mean: 0.2235 },
    logSoftmax: { largest: 2.7, mean: 0.304 },
    logSumExp: { largest: 2.4, mean: 0.36 },
  },
  {
    dtype: 'float64',
    softmax: { largest: 4, mean: 0.2885 },
    logSoftmax: { largest: 3, mean: 0.374 },
    logSumExp: { largest: 3, mean: 0.4175 },
  },
] as const)('$dtype second derivatives have the errors of few roundings', ({ dtype, ...bounds }) => {
  const all = problems(dtype);

  test.each([
    ['softmax', softmaxHvp],
    ['logSoftmax', logSoftmaxHvp],
    ['logSumExp', logSumExpHvp],
  ] as const)('of %s', (name, hvp) => {
    expect(exceeding(errors(dtype, all.map(hvp)), bounds[name])).toEqual([]);
  });
});

function held(host: Host | Int32Array): WasmBuffer {
  const dtype = host instanceof Int32Array ? 'int32' : host instanceof Float64Array ? 'float64' : 'float32';
  const buffer = backend.alloc(host.length, dtype);
  backend.write(buffer, host);
  return buffer;
}

/** Losses and gradients with class indices or probabilities as targets, smoothed. */
function crossEntropy(kind: 'indices' | 'probabilities', labelSmoothing: number) {
  return (problem: Problem) => {
    const { temperature, rows, x, s } = problem;
    const { outer, classes } = rows;
    const next = random(classes);
    const indices = Int32Array.from({ length: outer }, () => Math.floor(next() * classes));
    const values = kind === 'indices' ? indices : x.map(() => next());
    const buffers = [held(x), held(values), held(new (x.constructor as typeof Float64Array)(outer)), held(x)] as const;
    const [input, target, loss, gradient] = buffers;
    kernels?.crossEntropy?.({ loss, gradient }, input, rows, {
      ...plainCrossEntropy,
      temperature,
      labelSmoothing,
      target: { kind, buffer: target },
    });
    const actual = { loss: backend.readSync?.(loss) ?? [], gradient: backend.readSync?.(gradient) ?? [] };
    for (const buffer of buffers) backend.free(buffer);
    const expected = referenceCrossEntropy(x, { kind, values }, rows, {
      temperature,
      labelSmoothing,
      reduction: 'none',
    });
    const terms = perEntry(problem, (at, row) => {
      const target = (i: number) => (kind === 'probabilities' ? values[i] : Number(i === at[indices[row]]));
      const q = new Map(at.map((i) => [i, target(i) * (1 - labelSmoothing) + labelSmoothing / classes]));
      const sumBut = (but: number | null, of: (i: number) => number) =>
        at.reduce((sum, i) => (i === but ? sum : sum + of(i)), 0);
      const weight = (i: number) => q.get(i) ?? Number.NaN;
      return (i) => {
        const size =
          s[i] > 0.5
            ? s[i] * sumBut(i, weight) + weight(i) * sumBut(i, (k) => s[k])
            : s[i] * sumBut(null, weight) + weight(i);
        return size / Math.abs(temperature);
      };
    });
    return {
      loss: { actual: actual.loss, expected: expected.loss },
      gradient: { actual: actual.gradient, expected: expected.gradient, terms },
    };
  };
}

describe.each([
  {
    dtype: 'float32',
    smoothed: { loss: { largest: 1.5, mean: 0.315 }, gradient: { largest: 2.7, mean: 0.435 } },
    uniform: { loss: { largest: 1.2, mean: 0.337 }, gradient: { largest: 2.2, mean: 0.353 } },
    soft: { loss: { largest: 1.3, mean: 0.28 }, gradient: { largest: 2.8, mean: 0.33 } },
    both: { loss: { largest: 1.75, mean: 0.376 }, gradient: { largest: 2.6, mean: 0.438 } },
  },
  {
    dtype: 'float64',
    smoothed: { loss: { largest: 2, mean: 0.42 }, gradient: { largest: 3, mean: 0.4055 } },
    uniform: { loss: { largest: 2, mean: 0.362 }, gradient: { largest: 3, mean: 0.313 } },
    soft: { loss: { largest: 2, mean: 0.311 }, gradient: { largest: 2.5, mean: 0.257 } },
    both: { loss: { largest: 2, mean: 0.404 }, gradient: { largest: 3, mean: 0.4125 } },
  },
] as const)('$dtype losses and gradients have the errors of few roundings', ({ dtype, ...bounds }) => {
  const all = problems(dtype);

  test.each([
    ['smoothed class indices', 'smoothed', crossEntropy('indices', 0.1)],
    ['class indices smoothed to nearly uniform', 'uniform', crossEntropy('indices', 0.99)],
    ['probabilities', 'soft', crossEntropy('probabilities', 0)],
    ['smoothed probabilities', 'both', crossEntropy('probabilities', 0.1)],
  ] as const)('of %s', (_, name, results) => {
    const found = all.map(results);
    const loss = errors(
      dtype,
      found.map((one) => one.loss),
    );
    const gradient = errors(
      dtype,
      found.map((one) => one.gradient),
    );
    expect([...exceeding(loss, bounds[name].loss), ...exceeding(gradient, bounds[name].gradient)]).toEqual([]);
  });
});

/** In words, which errors are above their bounds. */
function exceeding(found: Errors, bounds: Errors): readonly string[] {
  const names = ['largest', 'mean'] as const;
  return names.filter((name) => !(found[name] <= bounds[name])).map((name) => `${name}: ${found[name]}`);
}
