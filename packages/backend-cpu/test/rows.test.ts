import type { Rows } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { cpu } from '../src/index.js';
import type { FloatArray } from '../src/storage.js';
import { randomFrom } from './accuracy.js';
import { type DType, dtypes, floats } from './layouts.js';

const backend = cpu.openSync();
const { kernels } = backend;

/** A row's probabilities and its directions. */
interface Row {
  readonly s: readonly number[];
  readonly g: readonly number[];
  readonly t: readonly number[];
}

/** The operands of the derivatives for several rows; y are log-probabilities. */
interface Operands {
  readonly rows: Rows;
  readonly s: FloatArray;
  readonly y: FloatArray;
  readonly g: FloatArray;
  readonly t: FloatArray;
  /** One cotangent a row. */
  readonly perRow: FloatArray;
}

/** Derivatives that are linear in g. */
const derivatives = {
  'softmax.vjp': (out, { s, g, rows }, at) => backend.vjp(out, s, g, rows, at),
  'softmax.hvp': (out, { s, g, t, rows }, at) => kernels.softmaxHvp(out, s, g, t, rows, at),
  'logSoftmax.vjp': (out, { y, g, rows }, at) => kernels.logSoftmaxVjp(out, y, g, rows, at),
  'logSoftmax.jvp': (out, { y, g, rows }, at) => kernels.logSoftmaxJvp(out, y, g, rows, at),
  'logSoftmax.hvp': (out, { y, g, t, rows }, at) => kernels.logSoftmaxHvp(out, y, g, t, rows, at),
  'logSumExp.hvp': (out, { y, perRow, g, rows }, at) => {
    const x = y.map((log) => log * at.temperature);
    kernels.logSumExpHvp(out, x, perRow, g, rows, { ...at, mask: null });
  },
} as const satisfies Record<string, (out: FloatArray, operands: Operands, at: { temperature: number }) => void>;

const lengths = [2, 3, 4, 5, 7, 8, 15, 16, 17, 18, 19, 33, 127, 128, 129, 131];
const temperatures = [1, 2, -1.3];

/** Even rows, rows of which halves are next to each other, and rows that are nearly one-hot, at each end and in between. */
function someRows(classes: number): Row[] {
  const random = randomFrom(classes);
  const direction = () => Array.from({ length: classes }, () => 2 * random() - 1);
  const shares = (own: ReadonlyMap<number, number>, others: number) =>
    Array.from({ length: classes }, (_, c) => own.get(c) ?? others);
  const places = [0, classes >> 1, classes - 2, classes - 1];
  return [
    shares(new Map(), 1 / classes),
    ...places.map((place) => shares(new Map([place, (place + 1) % classes].map((c) => [c, 0.5])), 0)),
    ...places.map((place) => shares(new Map([[place, 1]]), 2 ** -50)),
    ...places.map((place) => shares(new Map([[place, 1 - 2 ** -20]]), 2 ** -20 / (classes - 1))),
  ].map((s) => ({ s, g: direction(), t: direction() }));
}

/** Rows one after the other or, with `inner`, over the last dimension. */
function operandsOf(some: readonly Row[], dtype: DType, inner: boolean): Operands {
  const classes = some[0]?.s.length ?? 0;
  const rows = inner ? { outer: 1, classes, inner: some.length } : { outer: some.length, classes, inner: 1 };
  const laid = (values: (row: Row) => readonly number[]) => {
    const all = floats(some.length * classes, dtype);
    for (const [r, row] of some.entries())
      for (const [c, value] of values(row).entries()) all[inner ? c * some.length + r : r * classes + c] = value;
    return all;
  };
  const perRow = floats(some.length, dtype).map((_, r) => some[r]?.g[0] ?? 0);
  return {
    rows,
    s: laid(({ s }) => s),
    y: laid(({ s }) => s.map(Math.log)),
    g: laid(({ g }) => g),
    t: laid(({ t }) => t),
    perRow,
  };
}

describe.each(dtypes)('in %s', (dtype) => {
  test.each(Object.entries(derivatives))(
    '%s of a row does not depend on the rows beside it, in place too',
    (name, derivative) => {
      for (const classes of lengths) {
        const single = someRows(classes);
        // One-hot rows whose direction is no number.
        const bad = Array.from({ length: classes }, () => Number.NaN);
        const s = [...bad.keys()].map((c) => Number(c === 0));
        const among = single.flatMap((row) => [row, { s, g: bad, t: bad }]);
        for (const temperature of temperatures) {
          const alone = single.map((row) => {
            const out = floats(classes, dtype);
            derivative(out, operandsOf([row], dtype, false), { temperature });
            return out;
          });
          for (const inner of [false, true]) {
            const operands = operandsOf(among, dtype, inner);
            const [out, inPlace] = [operands.g.slice(), operands.g.slice()];
            derivative(out, operands, { temperature });
            derivative(inPlace, { ...operands, g: inPlace }, { temperature });
            for (const result of [out, inPlace]) {
              const wrong = alone.findIndex((values, r) =>
                values.some((value, c) => value !== result[inner ? c * among.length + 2 * r : 2 * r * classes + c]),
              );
              if (wrong >= 0)
                expect.fail(`${name}, ${classes} classes, T = ${temperature}, row ${wrong}, inner: ${inner}`);
            }
          }
        }
      }
    },
  );

  test.each(Object.entries(derivatives))(
    '%s of cotangents times a power of 2 has the same bits',
    (name, derivative) => {
      for (const classes of lengths) {
        const some = someRows(classes);
        for (const temperature of temperatures) {
          const computed = (factor: number) => {
            const scaled = some.map((row) => ({ ...row, g: row.g.map((value) => value * factor) }));
            const operands = operandsOf(scaled, dtype, false);
            // logSumExp.hvp is linear in this one as well.
            const { perRow } = operandsOf(some, dtype, false);
            const out = operands.g.slice();
            derivative(out, { ...operands, perRow }, { temperature });
            return out.map((value) => value / factor);
          };
          const expected = computed(1);
          for (const exponent of dtype === 'float32' ? [40, -20] : [400, -400]) {
            const actual = computed(2 ** exponent);
            if (expected.some((value, k) => value !== actual[k]))
              expect.fail(`${name}, ${classes} classes, T = ${temperature}, times 2^${exponent}`);
          }
        }
      }
    },
  );
});

test.each(['softmax.vjp', 'logSoftmax.vjp', 'logSoftmax.jvp'] as const)(
  '%s of nearly one-hot rows does not cancel along cotangents of float64 near 2^1016 either',
  (name) => {
    const derivative = derivatives[name];
    for (const classes of lengths) {
      const some = someRows(classes).filter(({ s }) => s.includes(1) || s.includes(1 - 2 ** -20));
      for (const temperature of temperatures) {
        const computed = (exponent: number) => {
          const operands = operandsOf(some, 'float64', false);
          // Of one sign, so that their sum does not cancel.
          const g = operands.g.map((value) => Math.abs(value) * 2 ** exponent);
          derivative(g, { ...operands, g }, { temperature });
          return g.map((value) => value / 2 ** exponent);
        };
        const [expected, actual] = [computed(0), computed(1016)];
        const wrong = expected.findIndex((value, k) => !(Math.abs(actual[k] - value) <= 2 ** -30 * Math.abs(value)));
        expect([classes, temperature, wrong]).toEqual([classes, temperature, -1]);
      }
    }
  },
);
