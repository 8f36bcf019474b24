import type { Backend, FloatDType } from '@softgrad/core';
import { describe, expect, inject, test } from 'vitest';
import { type WasmBuffer, wasm } from '../src/index.js';
import { defined, rowLengths } from './defines.js';
import { withRelaxedSimd } from './relaxed.js';
import { random, sameBits } from './ulp.js';

type Host = Float32Array | Float64Array;

interface Problem {
  readonly outer: number;
  readonly classes: number;
  readonly mask: Uint8Array;
  readonly s: Host;
  readonly g: Host;
}

const builds = {
  simd: await wasm.open({ relaxedSimd: false }),
  relaxed: await withRelaxedSimd(() => wasm.open({ relaxedSimd: true })),
};

/** One of each row that has a way of its own; `largest` is the largest finite number. */
const cotangents: readonly ((next: () => number, largest: number) => (c: number) => number)[] = [
  (next) => () => next() - 0.5,
  // A constant that they have in common.
  (next) => () => 1e4 + next(),
  // Huge where the probability is not 0, too.
  (next, largest) => () => (next() - 0.5) * largest,
  (next, largest) => (c) => (c === 1 ? largest : next()),
];

/** What a cotangent may be where the mask leaves it out. */
const leftOut = (largest: number) => [Number.NaN, Number.POSITIVE_INFINITY, largest, -largest, 1, -1];

interface Settings {
  /** Rows after which the mask repeats. */
  readonly period: number;
  /** The rows whose probabilities are 0 where the mask leaves them out, as in a result of softmax. */
  readonly zeros: 'all' | 'none' | 'until the mask repeats';
  /** Whether cotangents are ordinary where the mask leaves them out. */
  readonly ordinary: boolean;
}

function problem(dtype: FloatDType, outer: number, classes: number, { period, zeros, ordinary }: Settings): Problem {
  const next = random(outer * 1009 + classes * 31 + period);
  const host = (): Host =>
    dtype === 'float64' ? new Float64Array(outer * classes) : new Float32Array(outer * classes);
  const largest = dtype === 'float64' ? Number.MAX_VALUE : (2 - 2 ** -23) * 2 ** 127;
  const others = ordinary ? [1, -1, 0] : leftOut(largest);
  // Where the first rows of the mask keep everything, they cannot stand for the others.
  const whole = zeros === 'none' ? Math.min(3, period - 1) * classes : 0;
  const mask = Uint8Array.from({ length: period * classes }, (_, i) => Number(next() < 0.7 || i < whole));
  const [s, g] = [host(), host()];
  for (let row = 0; row < outer; row++) {
    const cotangent = cotangents[ordinary ? row % 2 : row % cotangents.length](next, largest);
    let sum = 0;
    for (let c = 0; c < classes; c++) {
      const i = row * classes + c;
      const isKept = mask[i % mask.length] !== 0;
      const isZero = zeros === 'all' || (zeros === 'until the mask repeats' && (row === 0 || row % period !== 0));
      // Every third row has a probability above one half, where the mask keeps it.
      const weight = row % 3 === 2 && c === 1 ? 50 * classes : next();
      s[i] = isKept || !isZero ? weight : 0;
      sum += s[i];
      g[i] = isKept ? cotangent(c) : others[(row + c) % others.length];
    }
    for (let c = 0; c < classes; c++) if (sum > 0) s[row * classes + c] /= sum;
  }
  return { outer, classes, mask, s, g };
}

/** `vjp` of masked cotangents, and 0 at masked entries: what core composes. */
function composed(backend: Backend<WasmBuffer>, { outer, classes, mask, s, g }: Problem, temperature: number): Host {
  const isKept = (i: number) => mask[i % mask.length] !== 0;
  const result = run(
    backend,
    s,
    g.map((value, i) => (isKept(i) ? value : 0)),
    'apart',
    (out, a, b) => void backend.vjp(out, a, b, { outer, classes, inner: 1 }, { temperature }),
  );
  return result.map((value, i) => (isKept(i) ? value : 0));
}

function run(
  backend: Backend<WasmBuffer>,
  s: Host,
  g: Host,
  place: 'apart' | 'in s' | 'in g',
  kernel: (out: WasmBuffer, s: WasmBuffer, g: WasmBuffer) => unknown,
): Host {
  const dtype = s instanceof Float64Array ? 'float64' : 'float32';
  const [out, a, b] = [0, 1, 2].map(() => backend.alloc(s.length, dtype));
  backend.write(a, s);
  backend.write(b, g);
  const into = { apart: out, 'in s': a, 'in g': b }[place];
  kernel(into, a, b);
  const result = backend.readSync?.(into) as Host;
  for (const buffer of [out, a, b]) backend.free(buffer);
  return result.slice() as Host;
}

function masked(
  backend: Backend<WasmBuffer>,
  of: Problem,
  temperature: number,
  place: 'apart' | 'in s' | 'in g',
): Host {
  const { outer, classes, mask, s, g } = of;
  // A mask that was read beyond its end would keep the entries there.
  const buffer = backend.alloc(mask.length + 8 * classes, 'bool');
  backend.write(
    buffer,
    Uint8Array.from({ length: buffer.length }, (_, i) => mask[i] ?? 1),
  );
  const result = run(backend, s, g, place, (out, a, b) => {
    const parameters = { temperature, mask: { buffer, outer: mask.length / classes } };
    const ran = backend.kernels?.maskedVjp?.(out, a, b, { outer, classes, inner: 1 }, parameters);
    expect(ran).not.toBe(false);
  });
  backend.free(buffer);
  return result;
}

/** Numbers of rows: one, an incomplete group, and a block with some rows of the next. */
const counts = (classes: number, stretch: number) =>
  classes > 200 ? [1, 3] : [1, 2, 4 * Math.floor(stretch / 4 / classes) + 3];

/** As long as a mask repeats, one row, and all rows but the last. */
const periods = (outer: number) => [...new Set([outer, 1, Math.max(1, outer - 1)])];

const temperatures = (classes: number) => (classes < 40 || inject('everything') ? [1, -0.5] : [1]);

const settings = [
  { zeros: 'all', ordinary: true },
  { zeros: 'all', ordinary: false },
  { zeros: 'none', ordinary: true },
  { zeros: 'none', ordinary: false },
  { zeros: 'until the mask repeats', ordinary: true },
] as const;

describe.each(['simd', 'relaxed'] as const)('%s', (build) => {
  test.each(['float32', 'float64'] as const)(
    'a vjp with a mask has the bits of that of masked cotangents, in %s rows of any length and number, in place too',
    (dtype) => {
      const backend = builds[build];
      const stretch = defined('STRETCH', dtype);
      const wrong: string[] = [];
      for (const classes of [...rowLengths(dtype), ...(inject('everything') ? [5000] : [])]) {
        for (const outer of counts(classes, stretch)) {
          for (const period of periods(outer)) {
            for (const setting of settings) {
              const of = problem(dtype, outer, classes, { ...setting, period });
              for (const temperature of temperatures(classes)) {
                const expected = composed(backend, of, temperature);
                for (const place of ['apart', 'in s', 'in g'] as const) {
                  const actual = masked(backend, of, temperature, place);
                  if (sameBits(actual, expected)) continue;
                  const i = actual.findIndex((value, k) => !Object.is(value, expected[k]));
                  const at = `${outer}x${classes}, mask of ${period} rows, ${JSON.stringify(setting)}, T = ${temperature}, ${place}`;
                  wrong.push(`${at}: ${actual[i]} instead of ${expected[i]} at ${i}`);
                }
              }
            }
          }
        }
      }
      expect(wrong).toEqual([]);
    },
  );
});

test('a mask along another axis, no mask, or a temperature that is hardly representable is declined', () => {
  const backend = builds.simd;
  const buffers = [0, 1, 2].map(() => backend.alloc(12, 'float32'));
  const [out, s, g] = buffers;
  const mask = { buffer: backend.alloc(12, 'bool'), outer: 2 };
  const call = (inner: number, temperature: number, given: typeof mask | null) =>
    backend.kernels?.maskedVjp?.(out, s, g, { outer: 6 / inner, classes: 2, inner }, { temperature, mask: given });
  expect([call(3, 1, mask), call(1, 1, null), call(1, 1e31, mask)]).toEqual([false, false, false]);
  expect(call(1, 1, { ...mask, outer: 6 })).not.toBe(false);
  for (const buffer of [...buffers, mask.buffer]) backend.free(buffer);
});
