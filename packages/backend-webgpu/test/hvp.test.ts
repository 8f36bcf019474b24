import { logSumExp, type Rows, type Tensor, tensor } from '@softgrad/core';
import { reference } from '@softgrad/core/conformance';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { type WebgpuBackend, type WebgpuBuffer, webgpu } from '../src/index.js';

/** Second derivatives of rows from uniform to one-hot, by one invocation, by several and by several workgroups, along rows and along columns. */

let backend: WebgpuBackend;
beforeAll(async () => {
  backend = await webgpu.open();
});
afterAll(() => backend.close());

type Kernel = 'softmaxHvp' | 'logSoftmaxHvp' | 'logSumExpHvp';

const names = ['softmaxHvp', 'logSoftmaxHvp', 'logSumExpHvp'] as const satisfies readonly Kernel[];

function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function uniform(length: number, spread: number, seed: number): Float32Array {
  const random = randomNumbers(seed);
  return Float32Array.from({ length }, () => spread * (2 * random() - 1));
}

/** In each row one logit, at a different place, is larger than the others by 0 to 60. */
function aheadBySteps(rows: Rows): Float32Array {
  const x = uniform(rows.outer * rows.classes * rows.inner, 2, 1);
  reference.rowIndices(rows).forEach((at, row) => {
    at.forEach((i, c) => {
      if (c !== (row * 5) % rows.classes) x[i] -= (row % 16) * 4;
    });
  });
  return x;
}

async function run(
  hosts: readonly Float32Array[],
  enqueue: (out: WebgpuBuffer, ...inputs: readonly WebgpuBuffer[]) => void | false,
): Promise<ArrayLike<number>> {
  const inputs = hosts.map((values) => {
    const buffer = backend.alloc(values.length, 'float32');
    backend.write(buffer, values);
    return buffer;
  });
  const out = backend.alloc(hosts[0].length, 'float32');
  expect(enqueue(out, ...inputs)).not.toBe(false);
  const result = await backend.read(out);
  for (const buffer of [out, ...inputs]) backend.free(buffer);
  return result;
}

/** `|v − o| + Σ p |v − o|` of each entry, o that of a probability above ½, else 0. */
function centredTerms(p: ArrayLike<number>, v: Float32Array, at: readonly number[]): (i: number) => number {
  const top = at.find((i) => p[i] > 0.5);
  const origin = top === undefined ? 0 : v[top];
  const mean = at.reduce((sum, i) => sum + p[i] * Math.abs(v[i] - origin), 0);
  return (i) => Math.abs(v[i] - origin) + mean;
}

/** The largest error in ULP of the results or of their terms. */
function worstUlp(actual: ArrayLike<number>, expected: Float64Array, terms: Float64Array): number {
  return expected.reduce((worst, value, i) => {
    const size = Math.max(Math.abs(value), terms[i]);
    if (size === 0) return actual[i] === 0 ? worst : Number.POSITIVE_INFINITY;
    if (size < 1e-30) return worst;
    const error = Math.abs(actual[i] - value) / 2 ** (Math.floor(Math.log2(size)) - 23);
    // NaN if an error is.
    return Math.max(worst, error);
  }, 0);
}

interface Problem {
  readonly rows: Rows;
  readonly x: Float32Array;
  readonly g: Float32Array;
  readonly t: Float32Array;
  readonly temperature?: number;
  /** Of log-sum-exp; the tangents of masked entries are NaN. */
  readonly mask?: Uint8Array;
  /** A constant that is added to all directions, of which the terms that errors are relative to have nothing. */
  readonly offset?: number;
}

/** The errors of the kernels in ULP of the terms that remain after exact cancellation. */
async function errorsOf({
  rows,
  x,
  g,
  t,
  temperature = 1,
  mask,
  offset = 0,
}: Problem): Promise<Record<Kernel, number>> {
  const { outer, classes, inner } = rows;
  const size = outer * classes * inner;
  const parameters = { temperature };
  // Of one sign, so that their sum is as large as its terms.
  const positive = g.map(Math.abs);
  const movedG = g.map((value) => value + offset);
  const movedT = t.map((value, i) => (mask?.[i] === 0 ? Number.NaN : value + offset));
  const perRow = uniform(outer * inner, 1, 4);
  const s = Float32Array.from(reference.softmax(x, rows, parameters));
  const y = Float32Array.from(reference.logSoftmax(x, rows, parameters));
  const p = reference.softmax(x, rows, { temperature, mask: mask ?? null });
  const ofY = Float64Array.from(y, Math.exp);
  const terms = { softmaxHvp: s.map(Number), logSoftmaxHvp: ofY, logSumExpHvp: p };
  const all = { softmaxHvp: new Float64Array(size), logSoftmaxHvp: ofY.slice(), logSumExpHvp: p.slice() };
  // What logSoftmax.hvp changes by if Σ exp(y) counts as 1, which it is up to the rounding of y.
  const undetermined = new Float64Array(size);
  reference.rowIndices(rows).forEach((at, row) => {
    const [a, b] = [g, t].map((v) => centredTerms(terms.softmaxHvp, v, at));
    const mean = at.reduce((sum, i) => sum + s[i] * a(i) * b(i), 0);
    const total = at.reduce((sum, i) => sum + positive[i], 0);
    const excess = at.reduce((sum, i) => sum + ofY[i], 0) - 1;
    const top = at.find((i) => ofY[i] > 0.5);
    const [c, d] = [ofY, p].map((shares) => centredTerms(shares, t, at));
    for (const i of at) {
      all.softmaxHvp[i] = (s[i] * (a(i) * b(i) + mean)) / temperature ** 2;
      all.logSoftmaxHvp[i] *= (total * c(i)) / temperature ** 2;
      all.logSumExpHvp[i] *= (Math.abs(perRow[row]) * d(i)) / temperature ** 2;
      const moved = Math.abs(t[i] - (top === undefined ? 0 : t[top]));
      undetermined[i] = Math.abs(total * ofY[i] * moved * excess) / temperature ** 2;
    }
  });
  const { kernels } = backend;
  const masked = mask ? { buffer: backend.alloc(size, 'bool'), outer } : null;
  if (masked && mask) backend.write(masked.buffer, mask);
  const ofLogSoftmax = reference.logSoftmaxHvp(y, positive, movedT, rows, parameters);
  const errors = {
    softmaxHvp: worstUlp(
      await run([s, movedG, movedT], (out, a, b, c) => kernels.softmaxHvp(out, a, b, c, rows, parameters)),
      reference.softmaxHvp(s, movedG, movedT, rows, parameters),
      all.softmaxHvp,
    ),
    logSoftmaxHvp: worstUlp(
      Float64Array.from(
        await run([y, positive, movedT], (out, a, b, c) => kernels.logSoftmaxHvp(out, a, b, c, rows, parameters)),
        (value, i) => {
          const error = value - ofLogSoftmax[i];
          return ofLogSoftmax[i] + Math.sign(error) * Math.max(0, Math.abs(error) - undetermined[i]);
        },
      ),
      ofLogSoftmax,
      all.logSoftmaxHvp,
    ),
    logSumExpHvp: worstUlp(
      await run([x, movedT, perRow], (out, a, c, b) =>
        kernels.logSumExpHvp(out, a, b, c, rows, { temperature, mask: masked }),
      ),
      reference.logSumExpHvp(x, perRow, movedT, rows, { temperature, mask: mask ?? null }),
      all.logSumExpHvp,
    ),
  };
  if (masked) backend.free(masked.buffer);
  return errors;
}

const everywhere = inject('everything');

// One, two and four elements of one invocation; four and 256 lanes; columns in 1, 4 and 16 lanes, in blocks; several workgroups.
const shapes: readonly (readonly [Rows, bounds: readonly [softmax: number, logSoftmax: number, logSumExp: number]])[] =
  [
    [{ outer: 6000, classes: 1, inner: 1 }, [0, 0, 0]],
    [{ outer: 3000, classes: 2, inner: 1 }, [0.8, 1.7, 2.4]],
    [{ outer: 2000, classes: 3, inner: 1 }, [1.3, 1.9, 2.1]],
    [{ outer: 1500, classes: 4, inner: 1 }, [2.2, 1.8, 2.1]],
    [{ outer: 600, classes: 10, inner: 1 }, [1, 1.7, 2.4]],
    [{ outer: 353, classes: 17, inner: 1 }, [1, 1.6, 2.7]],
    [{ outer: 47, classes: 130, inner: 1 }, [1, 1.6, 2.3]],
    [{ outer: 3, classes: 1000, inner: 1 }, [1.2, 1.6, 2]],
    [{ outer: 17, classes: 5, inner: 20 }, [1.2, 1.6, 1.9]],
    [{ outer: 2, classes: 33, inner: 8 }, [0.8, 1.5, 1.7]],
    [{ outer: 1, classes: 4200, inner: 17 }, [1.1, 1.7, 2.4]],
    [{ outer: 2, classes: 40_000, inner: 1 }, [0.7, 1.4, 1.7]],
    ...(everywhere
      ? ([
          [{ outer: 2, classes: 40_001, inner: 1 }, [0.6, 1.4, 1.6]],
          [{ outer: 1, classes: 33_000, inner: 2 }, [0.6, 1.4, 1.8]],
        ] as const)
      : []),
  ];

describe.each(shapes)('of %o', (rows, bounds) => {
  const size = rows.outer * rows.classes * rows.inner;
  const [x, g, t] = [aheadBySteps(rows), uniform(size, 1, 2), uniform(size, 1, 3)];

  test.each([1, -2.87])('errors are within a few ULP of the terms at T = %f', async (temperature) => {
    const logits = x.map((value) => value * Math.abs(temperature));
    const errors = await errorsOf({ rows, x: logits, g, t, temperature });
    for (const [k, name] of names.entries()) expect.soft(errors[name], name).toBeLessThanOrEqual(bounds[k]);
  });

  test('masked entries of log-sum-exp are 0 and have no influence', async () => {
    const mask = Uint8Array.from({ length: size }, (_, i) => (i % 3 === 1 ? 0 : 1));
    const { logSumExpHvp } = await errorsOf({ rows, x, g, t, mask });
    expect(logSumExpHvp).toBeLessThanOrEqual(bounds[2]);
  });
});

const even: Rows = { outer: 40, classes: 100, inner: 1 };

test('a constant that all entries of a direction have in common costs no digits of their differences', async () => {
  for (const x of [uniform(4000, 1, 1), aheadBySteps(even)]) {
    // Multiples of 2⁻¹², to which 1024 is added exactly.
    const [g, t] = [2, 3].map((seed) => uniform(4000, 1, seed).map((value) => Math.round(value * 2048) / 4096));
    const errors = await errorsOf({ rows: even, x, g, t, offset: 1024 });
    for (const name of names) expect.soft(errors[name], name).toBeLessThanOrEqual(4);
  }
});

test('a direction that is 0 but for the largest probability, if that is small, keeps the digits of the others', async () => {
  const x = Float32Array.from({ length: 4000 }, (_, i) => (i % 101 === 0 ? 1 : 0));
  const [only, other] = [x.map((value) => 0.7 * value), uniform(4000, 1, 3)];
  for (const [g, t] of [
    [only, other],
    [other, only],
    [only, only],
  ]) {
    const errors = await errorsOf({ rows: even, x, g, t });
    for (const name of names) expect.soft(errors[name], name).toBeLessThanOrEqual(4);
  }
});

test('of numbers that do not add up to 1 the hvp of softmax is that of its reference', async () => {
  const rows: Rows = { outer: 2, classes: 3, inner: 1 };
  const s = Float32Array.of(0.5, 1, 1.5, 0.1, 0.2, 0.3);
  const [g, t] = [uniform(6, 1, 1), uniform(6, 1, 2)];
  const actual = await run([s, g, t], (out, a, b, c) =>
    backend.kernels.softmaxHvp(out, a, b, c, rows, { temperature: 1 }),
  );
  const expected = reference.softmaxHvp(s, g, t, rows);
  expect(Math.max(...expected.map((value, i) => Math.abs(actual[i] - value)))).toBeLessThanOrEqual(4 * 2 ** -22);
});

test('a probability that underflows is 0 whatever the cotangent', async () => {
  const rows: Rows = { outer: 1, classes: 3, inner: 1 };
  const x = Float32Array.of(0, -171, Number.NEGATIVE_INFINITY);
  const t = Float32Array.of(1, 3, 5);
  const options = { temperature: 1, mask: null };
  const ofLogSumExp = await run([x, t, Float32Array.of(1e38)], (out, a, c, b) =>
    backend.kernels.logSumExpHvp(out, a, b, c, rows, options),
  );
  const ofLogSoftmax = await run([x, Float32Array.of(1e38, 0, 0), t], (out, a, b, c) =>
    backend.kernels.logSoftmaxHvp(out, a, b, c, rows, options),
  );
  expect([ofLogSumExp, ofLogSoftmax].flatMap((values) => Array.from(values, Math.abs))).toEqual([0, 0, 0, 0, 0, 0]);
});

test('an entirely masked row of log-sum-exp is 0', async () => {
  const rows: Rows = { outer: 2, classes: 3, inner: 1 };
  const buffer = backend.alloc(6, 'bool');
  backend.write(buffer, Uint8Array.of(0, 0, 0, 1, 1, 1));
  const [x, t] = [uniform(6, 1, 1), uniform(6, 1, 2)];
  const actual = await run([x, t, Float32Array.of(1, 1)], (out, a, c, b) =>
    backend.kernels.logSumExpHvp(out, a, b, c, rows, { temperature: 1, mask: { buffer, outer: 2 } }),
  );
  backend.free(buffer);
  expect([...Array.from(actual).slice(0, 3)]).toEqual([0, 0, 0]);
  expect(
    Array.from(actual)
      .slice(3)
      .every((value) => value !== 0),
  ).toBe(true);
});

test('a mask of one block of rows is that of the others', async () => {
  const rows: Rows = { outer: 4, classes: 3, inner: 1 };
  const [x, t, g] = [uniform(12, 1, 1), uniform(12, 1, 2), uniform(4, 1, 3)];
  const mask = Uint8Array.of(1, 0, 1);
  const buffer = backend.alloc(3, 'bool');
  backend.write(buffer, mask);
  const actual = await run([x, t, g], (out, a, c, b) =>
    backend.kernels.logSumExpHvp(out, a, b, c, rows, { temperature: 1, mask: { buffer, outer: 1 } }),
  );
  backend.free(buffer);
  const expected = reference.logSumExpHvp(x, g, t, rows, { mask: Uint8Array.from(x, (_, i) => mask[i % 3]) });
  expect(Math.max(...expected.map((value, i) => Math.abs(actual[i] - value)))).toBeLessThanOrEqual(2 ** -22);
});

test('temperatures beyond 2^±32 are left to core, which divides by them more than once', async () => {
  const rows: Rows = { outer: 1, classes: 3, inner: 1 };
  const [x, s, y] = [Float32Array.of(0, 1, 2), Float32Array.of(0.25, 0.25, 0.5), Float32Array.of(-1.4, -1.4, -0.7)];
  const [g, t] = [Float32Array.of(1, 2, 4), Float32Array.of(0.5, 0.25, 2)];
  for (const exponent of [-32, 0, 32]) {
    const temperature = 2 ** exponent;
    const calls = (scale: number) => {
      const parameters = { temperature: scale };
      const { kernels } = backend;
      return [
        run([s, g, t], (out, a, b, c) => kernels.softmaxHvp(out, a, b, c, rows, parameters)),
        run([y, g, t], (out, a, b, c) => kernels.logSoftmaxHvp(out, a, b, c, rows, parameters)),
        run([x.map((value) => value * scale), t, Float32Array.of(3)], (out, a, c, b) =>
          kernels.logSumExpHvp(out, a, b, c, rows, { ...parameters, mask: null }),
        ),
      ];
    };
    const [found, atOne] = await Promise.all([calls(temperature), calls(1)].map((all) => Promise.all(all)));
    expect(found.map((values) => Array.from(values, (value) => value * temperature ** 2))).toEqual(
      atOne.map((values) => Array.from(values)),
    );
  }
  const buffer = backend.alloc(3, 'float32');
  const { dispatches } = backend.statistics();
  for (const temperature of [2 ** -33, 2 ** 33, -(2 ** 33)]) {
    const { softmaxHvp, logSoftmaxHvp, logSumExpHvp } = backend.kernels;
    const parameters = { temperature, mask: null };
    for (const kernel of [softmaxHvp, logSoftmaxHvp, logSumExpHvp]) {
      expect(kernel(buffer, buffer, buffer, buffer, rows, parameters)).toBe(false);
    }
  }
  expect(backend.statistics().dispatches).toBe(dispatches);
  backend.free(buffer);
});

describe('through core', () => {
  const values = async (result: Tensor) => [...(await result.data())];
  const given = (x: readonly number[]) => tensor([...x], { backend });

  test.each([
    // Expected values from double-double arithmetic.
    ['a probability', [0, -80, -80.3], 639315.25, [-234.06, 150.5, 99.25], -7.28647e-27],
    ['a tangent', [0, 0.3, 1], 1.3e10, [1e-36, -0.3e-36, 0.2e-36], 1.988735e-27],
    ['a cotangent', [0, 0.3, 1], 1.3e-36, [1e10, -0.3e10, 0.2e10], 1.988735e-27],
  ])('%s near the smallest numbers costs no digits of a result that is not', async (_, x, g, t, expected) => {
    const [first] = await values(logSumExp.hvp(given(x), tensor(g, { backend }), given(t)));
    expect(Math.abs((first ?? Number.NaN) / expected - 1)).toBeLessThan(1e-6);
  });

  test('a second derivative that overflows is infinite, with its sign', async () => {
    const x = given([0, 0.3, 1]);
    const t = given([1e30, -0.3e30, 0.2e30]);
    const infinite = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
    expect(await values(logSumExp.hvp(x, tensor(1e20, { backend }), t))).toEqual(infinite);
  });
});
