import { type FloatDType, hostArray, type Rows } from '@softgrad/core';
import { describe, expect, test } from 'vitest';
import { wasm } from '../src/index.js';
import { random } from './ulp.js';

const backend = await wasm.open({ relaxedSimd: false });

function jacobian(dtype: FloatDType, host: Float32Array | Float64Array, rows: Rows, temperature = 1) {
  const s = backend.alloc(host.length, dtype);
  const matrices = backend.alloc(host.length * rows.classes, dtype);
  backend.write(s, host);
  backend.jacobian(matrices, s, rows, { temperature });
  const result = backend.readSync?.(matrices) ?? [];
  for (const buffer of [s, matrices]) backend.free(buffer);
  return result;
}

/** Probabilities that are multiples of 1/64 and add up to 1: two halves, one near 1, or drawn by chance. */
function dyadicRow(classes: number, row: number, next: () => number): number[] {
  const parts = new Array<number>(classes).fill(0);
  if (classes === 1) return [(row + 1) / 8];
  if (row % 4 === 0) {
    parts[0] = 32;
    parts[classes - 1] += 32;
  } else {
    if (row % 4 === 1) parts[row % classes] = 45;
    for (let left = row % 4 === 1 ? 19 : 64; left > 0; left--) parts[Math.floor(next() * classes)]++;
  }
  return parts.map((part) => part / 64);
}

describe.each(['float32', 'float64'] as const)('%s', (dtype) => {
  test.each([1, 2, 3, 4])(
    'every entry is exact for multiples of 1/64, to the sign of zeros, with an inner dimension of %i',
    (inner) => {
      const next = random(inner);
      for (const classes of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 63, 64, 65, 66]) {
        const rows = { outer: 7, classes, inner };
        const s = hostArray(7 * classes * inner, dtype);
        for (let row = 0; row < 7 * inner; row++) {
          const from = Math.floor(row / inner) * classes * inner + (row % inner);
          for (const [c, p] of dyadicRow(classes, row, next).entries()) s[from + c * inner] = p;
        }
        for (const temperature of [1, -2]) {
          const actual = jacobian(dtype, s, rows, temperature);
          for (let row = 0; row < 7 * inner; row++) {
            const p = (c: number) => s[Math.floor(row / inner) * classes * inner + (row % inner) + c * inner];
            for (let r = 0; r < classes; r++)
              for (let c = 0; c < classes; c++) {
                const expected = (r === c ? p(r) * (1 - p(r)) : -(p(r) * p(c))) / temperature;
                const value = actual[(row * classes + r) * classes + c];
                if (!Object.is(value, expected))
                  expect.fail(`${classes} classes, row ${row}, T = ${temperature}, [${r}, ${c}]: ${value}`);
              }
          }
        }
      }
    },
  );

  test('two probabilities may both be rounded up from 1/2', () => {
    const ulp = dtype === 'float32' ? 2 ** -23 : 2 ** -52;
    for (const classes of [2, 3, 4, 7, 12, 13, 16, 63, 64, 70]) {
      const s = hostArray(classes, dtype);
      s[0] = s[classes - 1] = 0.5 + ulp / 2;
      const actual = jacobian(dtype, s, { outer: 1, classes, inner: 1 });
      for (const r of [0, classes - 1]) expect(Math.abs(actual[r * (classes + 1)] - 0.25)).toBeLessThan(ulp);
    }
  });
});

// More rows than scratch memory has space for, which are copied and divided by T in blocks, and end in the middle of one.
test.each([
  ['float32', 2],
  ['float32', 3],
  ['float64', 2],
] as const)('%s: every entry of the diagonal of %i classes is that times the sum of the others', (dtype, classes) => {
  const next = random(classes);
  const s = hostArray(8009 * classes, dtype).map(next);
  const rounded = dtype === 'float32' ? Math.fround : (value: number) => value;
  for (const [temperature, inner] of [
    [1, 1],
    [2, 1],
    [-4, 1],
    [1, 8009],
    [0.5, 8009],
  ] as const) {
    const actual = jacobian(dtype, s, { outer: 8009 / inner, classes, inner }, temperature);
    for (let row = 0; row < 8009; row++) {
      const p = (c: number) => s[inner === 1 ? row * classes + c : row + c * inner];
      for (let r = 0; r < classes; r++) {
        const others = classes === 2 ? p(1 - r) : rounded(p((r + 1) % 3) + p((r + 2) % 3));
        const value = actual[(row * classes + r) * classes + r];
        if (value !== rounded((p(r) / temperature) * others))
          expect.fail(`row ${row} of ${inner} columns, T = ${temperature}, class ${r}: ${value}`);
      }
    }
  }
});

test.each(['float32', 'float64'] as const)(
  '%s: a temperature of 2 halves the matrices of more rows than scratch memory has space for',
  (dtype) => {
    for (const classes of [2, 5, 40]) {
      const next = random(classes);
      const rows = { outer: 40_000 / classes, classes, inner: 1 };
      const s = hostArray(40_000, dtype).map(() => next() / classes);
      const halves = Array.from(jacobian(dtype, s, rows), (value) => value / 2);
      const actual = jacobian(dtype, s, rows, 2);
      expect(halves.findIndex((value, k) => !Object.is(actual[k], value))).toBe(-1);
    }
  },
);

test.each([
  ['float64', [4, 17, 60, 70]],
  ['float32', [13, 17, 60, 70]],
] as const)(
  '%s: the diagonal of %j classes at a probability above 1/2 is that times the sum of the others, rounded once',
  (dtype, lengths) => {
    const scale = 2 ** 120;
    const exact = (p: number) => BigInt(p * scale);
    const next = random(3);
    const rounded = dtype === 'float32' ? Math.fround : (value: number) => value;
    const kinds = {
      uniform: () => next(),
      ascending: (c: number, classes: number) => next() * 2 ** ((c - classes) / 2),
      descending: (c: number) => next() * 2 ** (-c / 2),
      'one large': (c: number) => (c === 1 ? 1 : next() * (dtype === 'float64' ? 2 ** -52 : 2 ** -23)),
    };
    for (const [kind, other] of Object.entries(kinds)) {
      for (const classes of lengths) {
        for (let round = 0; round < 20; round++) {
          const top = round % classes;
          const rest = Float64Array.from({ length: classes }, (_, c) => (c === top ? 0 : other(c, classes)));
          const share = 0.4 / rest.reduce((a, b) => a + b, 0);
          const s = hostArray(classes, dtype).map((_, c) => rest[c] * share);
          s[top] = 0.5 + next() / 2;
          const sum = s.reduce((total, p, c) => (c === top ? total : total + exact(p)), 0n);
          const [value] = [jacobian(dtype, s, { outer: 1, classes, inner: 1 })[top * (classes + 1)]];
          expect({ kind, classes, round, value }).toEqual({
            kind,
            classes,
            round,
            value: rounded(s[top] * (Number(sum) / scale)),
          });
        }
      }
    }
  },
);
