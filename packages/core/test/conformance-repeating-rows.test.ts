import { expect, test } from 'vitest';
import { ofRepeatingRows } from '../conformance/repeating-rows.js';
import { logSumExpVjp, softmaxJacobian, softmaxVjp } from '../reference/functions.js';
import type { Rows } from '../src/index.js';

const classes = 3;
const layouts: readonly Rows[] = [
  { outer: 1500, classes, inner: 1 },
  { outer: 1, classes, inner: 1500 },
];

/** Numbers that repeat after 7 rows: one for each logit, or for each row. */
function repeating({ outer, inner }: Rows, kind: 'logits' | 'rows', seed: number): Float64Array {
  const count = outer * inner;
  const numberAt = (row: number, c: number) => (((row % 7) * 5 + c * 11 + seed) % 13) / 16;
  if (kind === 'rows') return Float64Array.from({ length: count }, (_, row) => numberAt(row, 0));
  return Float64Array.from({ length: count * classes }, (_, i) =>
    inner === 1 ? numberAt(Math.floor(i / classes), i % classes) : numberAt(i % count, Math.floor(i / count)),
  );
}

// An entry for each logit, from a number for each row too; and a matrix for each row.
const functions = {
  vjp: ([s, g]: readonly ArrayLike<number>[], rows: Rows) => softmaxVjp(s, g, rows),
  'vjp of rows': ([x, g]: readonly ArrayLike<number>[], rows: Rows) => logSumExpVjp(x, g, rows),
  jacobian: ([s]: readonly ArrayLike<number>[], rows: Rows) => softmaxJacobian(s, rows),
};

test.for(layouts)(
  'of $outer × $inner rows that repeat, one period is computed, and its results are repeated',
  (rows) => {
    for (const [name, compute] of Object.entries(functions)) {
      const operands = [repeating(rows, 'logits', 0), repeating(rows, name === 'vjp of rows' ? 'rows' : 'logits', 4)];
      const computed: number[] = [];
      const results = ofRepeatingRows(operands, rows, (values, some) => {
        computed.push(some.outer * some.inner);
        return compute(values, some);
      });
      expect(computed).toEqual([7]);
      expect(results).toEqual(compute(operands, rows));
    }
  },
);

test.for(layouts)('$outer × $inner rows may be all the same', (rows) => {
  for (const compute of [functions.vjp, functions.jacobian]) {
    const operands = [0.25, 3].map((value) => new Float64Array(1500 * classes).fill(value));
    let computed = 0;
    const results = ofRepeatingRows(operands, rows, (values, some) => {
      computed += some.outer * some.inner;
      return compute(values, some);
    });
    expect(computed).toBeLessThan(3);
    expect(results).toEqual(compute(operands, rows));
  }
});

test.for(layouts)('of $outer × $inner rows, all are computed if one number in an operand differs', (rows) => {
  const positions = [0, 6, 7, 700, 1499];
  for (const changed of [0, 1]) {
    for (const at of [...positions, ...positions.map((i) => i + 1500 * (classes - 1))]) {
      const operands = [repeating(rows, 'logits', 0), repeating(rows, 'logits', 4)];
      // 0 becomes −0.
      operands[changed][at] *= -1;
      const computed: number[] = [];
      ofRepeatingRows(operands, rows, (values, some) => {
        computed.push(some.outer * some.inner);
        return values[0] as Float64Array;
      });
      expect(computed).toEqual([1500]);
    }
  }
});
