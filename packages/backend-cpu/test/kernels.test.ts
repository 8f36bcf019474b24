import { softmax as softmaxOf, softmin, tensor } from '@softgrad/core';
import { plain } from '@softgrad/core/conformance';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { type CpuBackend, cpu } from '../src/index.js';

let backend: CpuBackend;
beforeAll(async () => {
  backend = await cpu.open();
});

const row = (classes: number) => ({ outer: 1, classes, inner: 1 });
const minus = Number.NEGATIVE_INFINITY;
const plus = Number.POSITIVE_INFINITY;

function softmax(x: readonly number[]): number[] {
  const out = Float64Array.from(x);
  backend.softmax(out, out, row(x.length), plain);
  return [...out];
}

function masked(x: readonly number[], keep: readonly number[], temperature = 1): number[] {
  const out = Float64Array.from(x);
  const mask = { buffer: Uint8Array.from(keep), outer: 1 };
  backend.softmax(out, out, row(x.length), { temperature, mask });
  return [...out];
}

describe('rows that need a shift and rows that do not', () => {
  test('agree: a row of one block does not depend on the rows beside it', () => {
    const plainRow = [0.5, -1, 2, 0, 1];
    const hugeRow = [1000, 999, 998, 997, 996];
    const out = Float64Array.from([...plainRow, ...hugeRow]);
    backend.softmax(out, out, { outer: 2, classes: 5, inner: 1 }, plain);
    softmax(plainRow).forEach((p, k) => {
      expect(Math.abs(out[k] - p)).toBeLessThanOrEqual(2 ** -53);
    });
  });

  test('agree up to the largest logits that go unshifted', () => {
    for (const x of [300, 423, 425, 599, 601, 700, 1e6]) {
      const [a, b] = softmax([x, x - 1]);
      expect(a).toBeCloseTo(1 / (1 + Math.exp(-1)), 15);
      expect(b).toBeCloseTo(1 / (1 + Math.E), 15);
      expect(softmax([-x, -x])).toEqual([0.5, 0.5]);
    }
  });
});

test.each([Float32Array, Float64Array])(
  'a temperature whose reciprocal overflows leaves equal logits equal (%o)',
  (Floats) => {
    const x = tensor(new Floats(4), { shape: [1, 4], backend });
    for (const of of [softmaxOf, softmin])
      expect([...of(x, { temperature: 1e-320 }).dataSync()]).toEqual([0.25, 0.25, 0.25, 0.25]);
  },
);

describe('rows of additive masks', () => {
  const low = [-1e9, minus];
  test.each([Float32Array, Float64Array])('give 0 to −1e9 and −Infinity, and to nothing else (%o)', (Floats) => {
    for (const classes of [3, 40]) {
      for (const offset of [0, -100, -400, 1000]) {
        const x = new Floats(classes).map((_, k) => (k % 3 === 2 ? low[k % 2] : offset + (k % 3)));
        const out = Floats.from(x);
        backend.softmax(out, x, row(classes), plain);
        const kept = Floats.from(x.filter((_, k) => k % 3 !== 2));
        backend.softmax(kept, kept, row(kept.length), plain);
        expect(out.every((p, k) => (k % 3 === 2) === (p === 0))).toBe(true);
        expect(largestDifference(Floats.from(out.filter((_, k) => k % 3 !== 2)), kept)).toBeLessThan(2 ** -24);
        expect(Math.abs([...out].reduce((sum, p) => sum + p, 0) - 1)).toBeLessThan(1e-6);
      }
    }
  });

  test.each([Float32Array, Float64Array])('keep what is small beside what is smaller still (%o)', (Floats) => {
    const x = Floats.of(-1000, -1001, -1e9);
    backend.softmax(x, x, row(3), plain);
    expect(x[0]).toBeCloseTo(1 / (1 + Math.exp(-1)), 7);
    expect(x[2]).toBe(0);
    const far = Floats.of(-100, -180);
    backend.softmax(far, far, row(2), plain);
    expect(far[1] / Math.exp(-80)).toBeCloseTo(1, 5);
  });

  test.each([Float32Array, Float64Array])(
    'with a mask of their own too, whatever the logits it hides (%o)',
    (Floats) => {
      for (const offset of [0, -1000, 1000]) {
        const out = Floats.of(offset, Number.NaN, offset, minus, plus, -1e9);
        const mask = { buffer: Uint8Array.of(1, 0, 1, 1, 0, 1), outer: 1 };
        backend.softmax(out, out, row(6), { temperature: 0.5, mask });
        expect([...out]).toEqual([0.5, 0, 0.5, 0, 0, 0]);
      }
    },
  );
});

describe('a row of one class, and of equal ones', () => {
  test.each([Float32Array, Float64Array])('is exact, whatever the logit (%o)', (Floats) => {
    for (let k = -400; k < 400; k++) {
      const one = Floats.of(k * 1.37);
      backend.softmax(one, one, row(1), plain);
      const four = new Floats(4).fill(k * 1.37);
      backend.softmax(four, four, row(4), plain);
      if (one[0] !== 1 || four.some((p) => p !== 0.25)) expect.fail(`${one} and ${four} for ${k * 1.37}`);
    }
  });
});

describe('what is not finite', () => {
  test('−Infinity has probability 0', () => {
    expect(softmax([minus, 0, minus, 0])).toEqual([0, 0.5, 0, 0.5]);
  });

  test.each([[[0, Number.NaN, 1]], [[0, plus, 1]], [[minus, minus, minus]]])(
    '%j is a row of NaN, and its neighbour is not',
    (x) => {
      const out = Float32Array.from([...x, 1, 1, 1]);
      backend.softmax(out, out, { outer: 2, classes: 3, inner: 1 }, plain);
      expect([...out.subarray(0, 3)]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
      expect(out[3]).toBeCloseTo(1 / 3, 7);
    },
  );

  test('what is masked contributes nothing, even NaN or +Infinity, whatever the sign of the temperature', () => {
    for (const temperature of [1, 2, -1]) {
      expect(masked([0, Number.NaN, 0, plus, minus], [1, 0, 1, 0, 0], temperature)).toEqual([0.5, 0, 0.5, 0, 0]);
    }
  });

  test('a fully masked row is 0, a row of nothing but −Infinity is NaN where it is kept', () => {
    expect(masked([1, 2], [0, 0])).toEqual([0, 0]);
    expect(masked([minus, minus], [1, 0])).toEqual([Number.NaN, 0]);
  });

  test('logSumExp of a row with +Infinity is +Infinity, of nothing but −Infinity −Infinity, of NaN NaN', () => {
    const out = new Float64Array(3);
    const x = Float64Array.of(0, plus, minus, minus, Number.NaN, plus);
    backend.kernels.logSumExp?.(out, x, { outer: 3, classes: 2, inner: 1 }, { temperature: 1, mask: null });
    expect([...out]).toEqual([plus, minus, Number.NaN]);
  });
});

describe.each([
  { outer: 3, classes: 5, inner: 7 },
  { outer: 1, classes: 4, inner: 300 },
  { outer: 2, classes: 5000, inner: 3 },
])('over the middle of $outer × $classes × $inner', (rows) => {
  const { outer, classes, inner } = rows;
  const flat = { outer: outer * inner, classes, inner: 1 };
  const length = outer * classes * inner;
  const x = Float32Array.from({ length }, (_, k) => Math.sin(k) * 9);
  const g = Float32Array.from({ length }, (_, k) => Math.cos(k * k));

  /** The transposed operand, so that rows are contiguous. */
  const contiguous = (values: Float32Array) => {
    const out = new Float32Array(length);
    backend.basis.transpose(out, values, rows);
    return out;
  };

  test('softmax and its vjp are those of the transposed rows, in place too', () => {
    const s = x.slice();
    backend.softmax(s, s, rows, plain);
    const flatS = contiguous(x);
    backend.softmax(flatS, flatS, flat, plain);
    expect(largestDifference(contiguous(s), flatS)).toBeLessThanOrEqual(2 ** -24);
    const dx = g.slice();
    backend.vjp(dx, s, dx, rows, plain);
    const flatDx = new Float32Array(length);
    backend.vjp(flatDx, contiguous(s), contiguous(g), flat, plain);
    expect(largestDifference(contiguous(dx), flatDx)).toBe(0);
  });

  test('a mask of one block serves every outer block', () => {
    const buffer = Uint8Array.from({ length: classes * inner }, (_, k) => ((k + Math.floor(k / inner)) % 3 ? 1 : 0));
    const parameters = { temperature: 1, mask: { buffer, outer: 1 } };
    const s = new Float32Array(length);
    backend.softmax(s, x, rows, parameters);
    expect(s.every((p, k) => (p === 0) === (buffer[k % (classes * inner)] === 0))).toBe(true);
    const sums = new Float32Array(outer * inner);
    backend.basis.reduce(sums, 'sum', s, rows);
    expect(sums.every((sum) => Math.abs(sum - 1) < 1e-6)).toBe(true);
  });
});

describe('kernels agree with each other', () => {
  const logits = fc
    .integer({ min: 1, max: 20 })
    .chain((n) => fc.array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: n, maxLength: n }));
  const close = (a: Float64Array, b: Float64Array, bound: number) =>
    expect(largestDifference(a, b)).toBeLessThanOrEqual(bound);

  test('exp(logSoftmax) is softmax, and x − logSumExp is logSoftmax', () => {
    fc.assert(
      fc.property(logits, fc.constantFrom(1, 0.5, 3, -1.7), (values, temperature) => {
        const x = Float64Array.from(values);
        const [s, y, lse] = [x.slice(), x.slice(), new Float64Array(1)];
        const parameters = { temperature, mask: null };
        backend.softmax(s, x, row(x.length), parameters);
        backend.kernels.logSoftmax?.(y, x, row(x.length), parameters);
        backend.kernels.logSumExp?.(lse, x, row(x.length), parameters);
        close(y.map(Math.exp), s, 1e-14);
        const shifted = x.map((value) => value / temperature - lse[0]);
        close(shifted, y, 2e-13);
      }),
    );
  });

  test('the vjp is the Jacobian times the cotangent, for softmax and for logSoftmax', () => {
    fc.assert(
      fc.property(logits, fc.constantFrom(1, 2.5, -1), (values, temperature) => {
        const n = values.length;
        const s = Float64Array.from(values);
        const g = s.map((value, k) => Math.sin(value + k));
        backend.softmax(s, s, row(n), plain);
        const [out, product, jacobian] = [new Float64Array(n), new Float64Array(n), new Float64Array(n * n)];
        backend.vjp(out, s, g, row(n), { temperature });
        backend.jacobian(jacobian, s, row(n), { temperature });
        for (let c = 0; c < n; c++) for (let r = 0; r < n; r++) product[c] += jacobian[r * n + c] * g[r];
        close(out, product, 1e-14);

        const y = Float64Array.from(values);
        backend.kernels.logSoftmax?.(y, y, row(n), { temperature, mask: null });
        backend.kernels.logSoftmaxVjp?.(out, y, g, row(n), { temperature });
        backend.kernels.logSoftmaxJacobian?.(jacobian, y, row(n), { temperature });
        product.fill(0);
        for (let c = 0; c < n; c++) for (let r = 0; r < n; r++) product[c] += jacobian[r * n + c] * g[r];
        close(out, product, 1e-13);

        backend.kernels.logSoftmaxJvp?.(out, y, g, row(n), { temperature });
        product.fill(0);
        for (let r = 0; r < n; r++) for (let c = 0; c < n; c++) product[r] += jacobian[r * n + c] * g[c];
        close(out, product, 1e-13);
      }),
    );
  });

  test('cross-entropy with class indices is that with one-hot probabilities', () => {
    fc.assert(
      fc.property(logits, fc.nat(), fc.constantFrom(0, 0.1, 1), (values, seed, labelSmoothing) => {
        const x = Float64Array.from(values);
        const n = x.length;
        const index = seed % n;
        const oneHot = new Float64Array(n);
        oneHot[index] = 1;
        const results = [
          { kind: 'indices', buffer: Int32Array.of(index) } as const,
          { kind: 'probabilities', buffer: oneHot } as const,
        ].map((target) => {
          const [loss, gradient] = [new Float64Array(1), new Float64Array(n)];
          const options = { temperature: 1, mask: null, weight: null, labelSmoothing, ignoreIndex: -100, scale: 1 };
          backend.kernels.crossEntropy?.({ loss, gradient }, x, row(n), { ...options, target });
          return { loss, gradient };
        });
        close(results[0].loss, results[1].loss, 1e-13);
        close(results[0].gradient, results[1].gradient, 1e-15);
      }),
    );
  });
});

function largestDifference(a: Float32Array | Float64Array, b: Float32Array | Float64Array): number {
  let largest = 0;
  for (let k = 0; k < a.length; k++) {
    const difference = Math.abs(a[k] - b[k]);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}
